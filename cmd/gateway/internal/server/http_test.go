// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/go/system"
)

const keysPath = "/v1/pools/tank/containers/neo/objects/stadium/keys"

// site is a gateway over HTTP.
type site struct {
	t    testing.TB
	base string
	http *http.Client
	head http.Header // of every request
}

// webReply is an answer over HTTP.
type webReply struct {
	*http.Response
	text string
}

func overHTTP(t testing.TB, s *Server) site {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return site{t: t, base: "http://" + s.HTTP(), http: &http.Client{Transport: transport, Timeout: 20 * time.Second}, head: http.Header{}}
}

// do sends a request; headers are names and values by turns.
func (s site) do(method, path, body string, headers ...string) webReply {
	s.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, content)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range s.head {
		req.Header[name] = values
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	return webReply{resp, string(text)}
}

// ok is an answer that must be one.
func (s site) ok(method, path, body string, headers ...string) string {
	s.t.Helper()
	r := s.do(method, path, body, headers...)
	if r.StatusCode != http.StatusOK {
		s.t.Errorf("%s %s: %s\n%s", method, path, r.Status, r.text)
	}
	return r.text
}

// reason is the name of the error that an answer has.
func (r webReply) reason() string {
	var body struct {
		Message string
		Details []struct{ Reason, Domain string }
	}
	if json.Unmarshal([]byte(r.text), &body) != nil || body.Message == "" || len(body.Details) == 0 || body.Details[0].Domain != "tarn" {
		return "no error: " + r.text
	}
	return body.Details[0].Reason
}

// same compares JSON, whose spaces vary by the protobuf library's will.
func same(t testing.TB, what, got, want string) {
	t.Helper()
	var short bytes.Buffer
	if err := json.Compact(&short, []byte(got)); err != nil || short.String() != want {
		t.Errorf("%s: %s, want %s (%v)", what, got, want, err)
	}
}

func httpOn(t testing.TB, cfg Config) (*Server, site, system.KV) {
	t.Helper()
	cfg.HTTP = "127.0.0.1:0"
	s, kv, _ := real(t, cfg)
	return s, overHTTP(t, s), kv
}

// TestHTTP: what is done over HTTP is seen over gRPC, and the other way round.
func TestHTTP(t *testing.T) {
	_, web, kv := httpOn(t, Config{})
	same(t, "Put", web.ok("PUT", keysPath+"/Rio", `{"value":"TWFyYWNhbsOj","condition":"CONDITION_INSERT"}`), "{}")
	if val, err := kv.Get(t.Context(), []byte("Rio")); string(val) != "Maracanã" {
		t.Errorf("over gRPC: %q, %v", val, err)
	}
	same(t, "Get", web.ok("GET", keysPath+"/Rio", ""), `{"value":"TWFyYWNhbsOj"}`)
	same(t, "Increment", web.ok("POST", keysPath+"/n:increment", `{"delta":41}`), `{"value":"41"}`)
	same(t, "Increment again", web.ok("POST", keysPath+"/n:increment", `{"delta":"1"}`), `{"value":"42"}`)
	same(t, "Count", web.ok("GET", keysPath+":count?range.prefix=R", ""), `{"count":"1"}`)
	same(t, "ListKeys", web.ok("GET", keysPath+"?page_size=1", ""), `{"keys":["Umlv"],"nextPageToken":"Umlv"}`)
	got := web.ok("POST", keysPath+":batchGet", `{"keys":["Umlv","bm9uZQ=="]}`)
	if !strings.Contains(got, "TWFyYWNhbsOj") || !strings.Contains(got, "DER_NONEXIST") {
		t.Errorf("BatchGet: %s", got)
	}
	same(t, "Transact", web.ok("POST", keysPath+":transact", `{"compares":[{"key":"Umlv","comparison":"COMPARISON_EQUAL","exists":true}],
		"success":[{"get":"bg=="},{"change":{"key":"bg==","delete":true}}]}`),
		`{"succeeded":true,"gets":[{"key":"bg==","value":"NDI=","revision":"5"}]}`)
	same(t, "Delete", web.ok("DELETE", keysPath+"/Rio?condition=CONDITION_UPDATE", ""), "{}")
	same(t, "DeleteRange", web.ok("POST", keysPath+":deleteRange", `{"range":{}}`), `{"deleted":"0"}`)
	if n, err := kv.Count(t.Context(), system.Range{}); n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

// TestHTTPThings: pools, containers, objects and snapshots have their paths.
func TestHTTPThings(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), HTTP: "127.0.0.1:0"})
	web := overHTTP(t, s)
	web.ok("POST", "/v1/pools", `{"label":"tank","size":"67108864"}`)
	web.ok("POST", "/v1/pools/tank/containers", `{"label":"neo","properties":{"description":"one"}}`)
	web.ok("POST", "/v1/pools/tank/containers/neo/objects", `{"name":"a b:sync"}`)
	for path, has := range map[string]string{
		"/v1/pools":                                          `"label":"tank"`,
		"/v1/pools/tank":                                     `"label":"tank"`,
		"/v1/pools/tank?view=POOL_VIEW_BASIC":                `"readOnly":false`,
		"/v1/pools/tank/containers":                          `"label":"neo"`,
		"/v1/pools/tank/containers/neo":                      `"description":"one"`,
		"/v1/pools/tank/containers/neo/objects":              `"name":"a b:sync"`,
		"/v1/pools/tank/containers/neo/objects/a%20b%3Async": `"name":"a b:sync"`,
		"/v1/pools/tank/containers/neo/objects/a%20b:sync":   `"name":"a b:sync"`, // GET has no such verb
		"/v1/server":                                         `"version":"0.0.0-test"`,
		"/v1/server:stats":                                   `"methods":`,
		"/v1/operations":                                     `"operations":[]`,
	} {
		if got := strings.ReplaceAll(web.ok("GET", path, ""), ": ", ":"); !strings.Contains(strings.ReplaceAll(got, ", ", ","), has) {
			t.Errorf("GET %s: %s, want %s in it", path, got, has)
		}
	}
	got := web.ok("PATCH", "/v1/pools/tank/containers/neo", `{"valueMax":"1000"}`)
	if !strings.Contains(got, "one") || !strings.Contains(got, `"1000"`) {
		t.Errorf("PATCH: %s", got)
	}
	web.snapshots()
	web.ok("POST", "/v1/pools/tank:sync", "")
	web.ok("DELETE", "/v1/pools/tank/containers/neo/objects/a%20b%3Async", "")
	if r := web.do("DELETE", "/v1/pools/tank", ""); r.StatusCode != http.StatusBadRequest || r.reason() != "DER_BUSY" {
		t.Errorf("DELETE of a pool with a container: %s %s", r.Status, r.text)
	}
	web.ok("DELETE", "/v1/pools/tank?force=true", "")
}

// snapshots takes one, reads in it, and destroys it.
func (s site) snapshots() {
	s.t.Helper()
	const there = "/v1/pools/tank/containers/neo"
	s.ok("POST", there+"/objects", `{"name":"o"}`)
	s.ok("PUT", there+"/objects/o/keys/k", `{"value":"MQ=="}`)
	s.ok("POST", there+"/snapshots", `{"name":"daily"}`)
	s.ok("DELETE", there+"/objects/o/keys/k", "")
	same(s.t, "a key of the snapshot", s.ok("GET", there+"@daily/objects/o/keys/k", ""), `{"value":"MQ=="}`)
	if r := s.do("PUT", there+"@daily/objects/o/keys/k", `{"value":"MQ=="}`); r.StatusCode != http.StatusBadRequest || r.reason() != "DER_EP_RO" {
		s.t.Errorf("PUT into a snapshot: %s %s", r.Status, r.text)
	}
	var got struct{ Snapshot struct{ Epoch, Name string } }
	if err := json.Unmarshal([]byte(s.ok("GET", there+"/snapshots/daily", "")), &got); err != nil || got.Snapshot.Name != "daily" {
		s.t.Errorf("the snapshot: %+v, %v", got, err)
	}
	s.ok("GET", there+"/snapshots/@"+got.Snapshot.Epoch, "")
	s.ok("DELETE", there+"/snapshots/daily", "")
	if r := s.do("GET", there+"/snapshots/daily", ""); r.StatusCode != http.StatusNotFound {
		s.t.Errorf("the snapshot afterwards: %s %s", r.Status, r.text)
	}
}

// TestHTTPKeys: any bytes are a key of an address.
func TestHTTPKeys(t *testing.T) {
	_, web, kv := httpOn(t, Config{})
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for path, key := range map[string]string{
		"Rio": "Rio", "a/b/c": "a/b/c", "a%2Fb": "a/b", "a%20b+c": "a b+c", "%00%FF": "\x00\xff", "S%C3%A3o": "São", "%25": "%", "keys": "keys", "a//": "a//",
		"n%3Ahead": "n:head", "n:heads": "n:heads", "n%3Aincrement": "n:increment", "x%3Ay": "x:y", "x:y": "x:y", "%2E%2E": "..", "=": "=", "a=": "a=", "-_": "-_",
		url.PathEscape(string(all)): string(all),
	} {
		web.ok("PUT", keysPath+"/"+path, `{"value":"MQ=="}`)
		if val, err := kv.Get(t.Context(), []byte(key)); string(val) != "1" {
			t.Errorf("%s is not the key %q: %v", path, key, err)
		}
		same(t, path, web.ok("GET", keysPath+"/"+path, ""), `{"value":"MQ=="}`)
		same(t, path, web.ok("GET", keysPath+":count?range.start="+url.QueryEscape(key)+"&range.end="+url.QueryEscape(key+"\x00"), ""), `{"count":"1"}`)
		if got := web.ok("GET", keysPath+"/"+path+":head", ""); !strings.Contains(got, `"size":"1"`) && !strings.Contains(got, `"size": "1"`) {
			t.Errorf("Head of %s: %s", path, got)
		}
		web.ok("DELETE", keysPath+"/"+path+"?condition=CONDITION_UPDATE", "")
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != 0 || err != nil {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

// TestHTTPRaw: a value can be a body by itself.
func TestHTTPRaw(t *testing.T) {
	_, web, kv := httpOn(t, Config{})
	value := bytes.Repeat([]byte{0, 1, 255, '"'}, service.UnaryValueMax/4)
	same(t, "Put", web.ok("PUT", keysPath+"/k", string(value), "Content-Type", "application/octet-stream"), "{}")
	if got, err := kv.Get(t.Context(), []byte("k")); !bytes.Equal(got, value) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r := web.do("GET", keysPath+"/k", "", "Accept", "application/octet-stream")
	if r.text != string(value) || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%s, %d bytes, %v", r.Status, len(r.text), r.Header)
	}
	r = web.do("GET", keysPath+"/none", "", "Accept", "application/octet-stream")
	if r.StatusCode != http.StatusNotFound || r.reason() != "DER_NONEXIST" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a key that is not there: %s, %v\n%s", r.Status, r.Header, r.text)
	}
}

// TestHTTPScan: a scan is lines of JSON; an error at its begin is an answer, and one in its midst a line.
func TestHTTPScan(t *testing.T) {
	_, web, kv := httpOn(t, Config{})
	const keys = 3000
	for first := 0; first < keys; first += 1000 {
		var batch []system.Mutation
		for i := range 1000 {
			batch = append(batch, system.Mutation{Key: fmt.Appendf(nil, "k%05d", first+i), Value: []byte("v")})
		}
		if err := kv.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	r := web.do("GET", keysPath+":scan?range.prefix=k&range.start=k00001&range.after=true&keys_only=true", "")
	lines, next := strings.Split(strings.TrimSuffix(r.text, "\n"), "\n"), 2
	for _, line := range lines {
		var message struct {
			Result struct{ Entries []struct{ Key []byte } }
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil {
			t.Fatal(err)
		}
		for _, e := range message.Result.Entries {
			if want := fmt.Sprintf("k%05d", next); string(e.Key) != want {
				t.Fatalf("%s, want %s", e.Key, want)
			}
			next++
		}
	}
	if next != keys || len(lines) < 2 || r.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("up to %d in %d lines, %v", next, len(lines), r.Header)
	}
	if r := web.do("GET", keysPath+":scan?range.prefix=none", ""); r.StatusCode != http.StatusOK || r.text != "" {
		t.Errorf("of nothing: %s %q", r.Status, r.text)
	}
	if r := web.do("GET", strings.Replace(keysPath, "neo", "nobody", 1)+":scan", ""); r.StatusCode != http.StatusNotFound || !strings.Contains(r.text, "DER_CONT_NONEXIST") {
		t.Errorf("in no container: %s %q", r.Status, r.text)
	}
}

// TestHTTPErrors: every answer that is an error says so in one form, with DAOS's name.
func TestHTTPErrors(t *testing.T) {
	_, web, _ := httpOn(t, Config{})
	const body, object = "application/json", "/v1/pools/tank/containers/neo/objects/stadium"
	for _, c := range []struct {
		method, path, body, kind string
		status                   int
		reason, says             string
	}{
		{"GET", keysPath + "/none", "", "", 404, "DER_NONEXIST", ""},
		{"GET", "/v1/pools/none", "", "", 404, "DER_NONEXIST", "none"},
		{"POST", "/v1/pools", `{"label":"tank","size":"67108864"}`, body, 409, "DER_EXIST", ""},
		{"POST", "/v1/pools", `{"label":"tank"`, body, 400, "DER_INVAL", "unexpected"},
		{"POST", "/v1/pools", `{"label":"tank"} {}`, body, 400, "DER_INVAL", "not understood"},
		{"POST", "/v1/pools", `{"lable":"tank"}`, body, 400, "DER_INVAL", "unknown field \"lable\""},
		{"POST", "/v1/pools", `[]`, body, 400, "DER_INVAL", "not understood"},
		{"POST", "/v1/pools", strings.Repeat("[", 100000), body, 400, "DER_INVAL", ""},
		{"POST", "/v1/pools", "\xff\xfe", body, 400, "DER_INVAL", ""},
		{"POST", "/v1/pools", `label=tank`, "application/x-www-form-urlencoded", 415, "DER_INVAL", "application/json"},
		{"POST", "/v1/pools", `{}`, "text/plain", 415, "DER_INVAL", "application/json"},
		{"POST", "/v1/pools", `{}`, "", 415, "DER_INVAL", "application/json"},
		{"POST", "/v1/pools", `{}`, "application/octet-stream", 415, "DER_INVAL", ""},
		{"PUT", keysPath + "/k", `{"value":"?"}`, body, 400, "DER_INVAL", "not understood"},
		{"PUT", keysPath + "/k", `{"value":"MQ==","condition":"CONDITION_UPDATE"}`, body, 404, "DER_NONEXIST", ""},
		{"PUT", keysPath + "/k", `{"condition":"WHEN_I_LIKE"}`, body, 400, "DER_INVAL", ""},
		{"PUT", keysPath + "/", `{}`, body, 400, "DER_INVAL", ""},
		{"GET", keysPath + "/", "", "", 400, "DER_INVAL", ""},
		{"GET", keysPath + "/" + strings.Repeat("k", 7000), "", "", 404, "DER_NONEXIST", ""},
		{"PUT", "/v1/pools/tank/containers/neo@daily/objects/o/keys/k", `{}`, body, 404, "DER_NONEXIST", ""},
		{"GET", "/v1/pools/tank%2Fneo", "", "", 400, "DER_INVAL", "%2F"},
		{"GET", "/v1/pools//containers", "", "", 400, "DER_INVAL", "pools/NAME"},
		{"GET", "/v1/pools/tank?view=WIDE", "", "", 400, "DER_INVAL", ""},
		{"GET", "/v1/pools/tank?no=field", "", "", 400, "DER_INVAL", "no parameter \"no\""},
		{"DELETE", keysPath + "/k?codition=CONDITION_UPDATE", "", "", 400, "DER_INVAL", "no parameter"},
		{"GET", keysPath + ":count?range.no=1", "", "", 400, "DER_INVAL", "no parameter"},
		{"GET", keysPath + ":count?range.prefix.no=1", "", "", 400, "DER_INVAL", "no parameter"},
		{"GET", keysPath + ":count?range.prefix=%zz", "", "", 400, "DER_INVAL", "query"},
		{"GET", "/nothing", "", "", 404, "DER_NOSYS", "openapi.json"},
		{"GET", "/", "", "", 404, "DER_NOSYS", ""},
		{"PUT", "/v1/pools", "", "", 405, "DER_NOSYS", "PUT"},
		{"PATCH", object, `{}`, body, 405, "DER_NOSYS", ""},
		{"OPTIONS", "/v1/pools", "", "", 405, "DER_NOSYS", ""},
		{"TRACE", "/v1/pools", "", "", 405, "DER_NOSYS", ""},
	} {
		headers := []string{"Content-Type", c.kind}
		r := web.do(c.method, c.path, c.body, headers...)
		if r.StatusCode != c.status || c.reason != "" && r.reason() != c.reason || !strings.Contains(r.text, strings.ReplaceAll(c.says, `"`, `\"`)) {
			t.Errorf("%s %.100s %.40s: %s, %s; want %d, %s, %q\n%s", c.method, c.path, c.body, r.Status, r.reason(), c.status, c.reason, c.says, r.text)
		}
	}
}
