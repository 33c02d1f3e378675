// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/go/system"
)

// rule is one line of http.yaml.
type rule struct {
	Selector, Get, Put, Post, Patch, Delete, Body string
}

func (r rule) method() (method, path string) {
	for method, path := range map[string]string{"GET": r.Get, "PUT": r.Put, "POST": r.Post, "PATCH": r.Patch, "DELETE": r.Delete} {
		if path != "" {
			return method, path
		}
	}
	return "", ""
}

// example is an address of that rule.
func (r rule) example() (method, path string) {
	method, path = r.method()
	path = regexp.MustCompile(`\{\w+=([^}]*)\}`).ReplaceAllString(path, "$1")
	return method, strings.ReplaceAll(strings.ReplaceAll(path, "{key}", "k"), "*", "1")
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("../../../../proto/tarn/v1/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ HTTP struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]rule{}
	for _, r := range file.HTTP.Rules {
		if _, twice := all[r.Selector]; twice {
			t.Errorf("%s has two rules", r.Selector)
		}
		all[r.Selector] = r
	}
	return all
}

// TestHTTPRules: every unary RPC and Scan has an address, of the form that the translation of names and keys knows.
func TestHTTPRules(t *testing.T) {
	all := rules(t)
	for _, m := range methods(t) {
		r, has := all[string(m.FullName())]
		streams := m.IsStreamingClient() || m.IsStreamingServer()
		switch {
		case streams && m.Name() != "Scan" && !has:
		case streams && m.Name() != "Scan":
			t.Errorf("%s is a stream, which HTTP has not", m.FullName())
		case !has:
			t.Errorf("%s has no rule in proto/tarn/v1/http.yaml", m.FullName())
		default:
			checkRule(t, m, r)
		}
		delete(all, string(m.FullName()))
	}
	for name := range all {
		t.Errorf("%s has a rule, and is no RPC", name)
	}
}

func checkRule(t *testing.T, m protoreflect.MethodDescriptor, r rule) {
	t.Helper()
	method, path := r.method()
	reads := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	if reads != (method == "GET") && m.Name() != "BatchGet" {
		t.Errorf("%s is a %s", m.FullName(), method)
	}
	if method == "POST" && r.Body != "*" {
		t.Errorf("%s is a POST without a body", m.FullName())
	}
	fields := m.Input().Fields()
	for _, name := range []protoreflect.Name{"pool", "container", "object", "snapshot", "key"} {
		if f := fields.ByName(name); f != nil && !f.IsList() && !strings.Contains(path, "{"+string(name)) {
			t.Errorf("%s has the field %s, and its path has not: %s", m.FullName(), name, path)
		}
	}
	if r.Body != "*" {
		checkParameters(t, m, "", fields)
	}
	if verb := regexp.MustCompile(`/keys/\{key\}(:\w+)?$`).FindStringSubmatch(path); verb != nil && verb[1] != "" && verb[1] != ":head" && verb[1] != ":increment" {
		t.Errorf("%s has the verb %s, which address.go does not know", m.FullName(), verb[1])
	}
}

// checkParameters wants every field of bytes that can be a parameter to be one that is translated.
func checkParameters(t *testing.T, m protoreflect.MethodDescriptor, prefix string, fields protoreflect.FieldDescriptors) {
	t.Helper()
	known := map[string]bool{"key": true, "range.prefix": true, "range.start": true, "range.end": true}
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.IsMap() { // its values are base64, as in JSON
			continue
		}
		name := prefix + string(f.Name())
		switch {
		case f.Kind() == protoreflect.BytesKind && !known[name]:
			t.Errorf("%s has the parameter %s of bytes, which address.go does not know", m.FullName(), name)
		case f.Kind() == protoreflect.MessageKind && prefix == "":
			checkParameters(t, m, name+".", f.Message().Fields())
		}
	}
}

// overTLS speaks HTTP with a certificate, or without one, on new connections.
func (r *authRig) overTLS(s *Server, with *pki.Pair) site {
	r.t.Helper()
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AddCert(r.ca.Cert)
	if with != nil {
		shown := tls.Certificate{Certificate: [][]byte{with.Cert.Raw}, PrivateKey: with.Key}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	web := overHTTP(r.t, s)
	web.base = "https://" + s.HTTP()
	web.http.Transport.(*http.Transport).TLSClientConfig = cfg
	return web
}

// guest is one way to be somebody over HTTP.
type guest struct {
	name  string
	site  site
	roles role.Set
	fails int // status of every call; -1: there is no connection; 400: or there is none; 0: as the roles say
}

func (g guest) bearing(text string) guest {
	g.site.head = http.Header{"Authorization": {"Bearer " + text}}
	return g
}

// TestHTTPMatrix: every address, by every role, by every kind of credential. It is as over gRPC: there is no way around a check.
func TestHTTPMatrix(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: engine(t, t.TempDir()), HTTP: "127.0.0.1:0", Auth: r.config(), Timeout: 2 * time.Second})
	all := rules(t)
	for _, g := range r.guests(s) {
		t.Run(g.name, func(t *testing.T) {
			for _, m := range methods(t) {
				if rule, ok := all[string(m.FullName())]; ok {
					g.check(t, m, rule)
				}
			}
		})
	}
}

func (r *authRig) guests(s *Server) []guest {
	open := guest{name: "none", site: r.overTLS(s, nil), fails: http.StatusUnauthorized}
	all := []guest{open, {name: "no TLS", site: overHTTP(r.t, s), fails: http.StatusBadRequest}}
	for _, roles := range []role.Set{0, role.Reader, role.Writer, role.Admin, role.Raw, role.All} {
		pair := r.client("alice", roles)
		all = append(all, guest{name: "certificate " + roles.String(), site: r.overTLS(s, &pair), roles: roles},
			guest{name: "token " + roles.String(), site: open.site, roles: roles}.bearing(r.token(roles)))
	}
	for name, text := range r.badTokens() {
		all = append(all, guest{name: "token: " + name, site: open.site, fails: http.StatusUnauthorized}.bearing(text))
	}
	good, expired, revoked := r.client("alice", role.All), must2(r.ca.Client("alice", role.All, -time.Minute)), r.client("mallory", role.All)
	r.revoke(revoked.Cert)
	time.Sleep(2 * time.Second) // until the gateway has seen the list
	stranger := must2(r.authority("ca").Client("alice", role.All, time.Hour))
	basic := guest{name: "a password", site: open.site, fails: http.StatusUnauthorized}
	basic.site.head = http.Header{"Authorization": {"Basic YWxpY2U6c2VjcmV0"}}
	two := guest{name: "two tokens", site: open.site, fails: http.StatusUnauthorized}
	two.site.head = http.Header{"Authorization": {"Bearer " + r.token(role.All), "Bearer " + r.token(role.All)}}
	passed := guest{name: "as metadata of gRPC", site: open.site, fails: http.StatusUnauthorized}
	passed.site.head = http.Header{"Grpc-Metadata-Authorization": {"Bearer " + r.token(role.All)}, "Grpcgateway-Authorization": {"Bearer " + r.token(role.All)}}
	odd := guest{name: "certificate with an unprintable token", site: r.overTLS(s, &good), fails: http.StatusUnauthorized}
	odd.site.head = http.Header{"Authorization": {"Bearer \xff"}}
	return append(all, basic, two, passed, odd,
		guest{name: "certificate with a bad token", site: r.overTLS(s, &good), fails: http.StatusUnauthorized}.bearing("x"),
		guest{name: "certificate: expired", site: r.overTLS(s, &expired), fails: -1},
		guest{name: "certificate: revoked", site: r.overTLS(s, &revoked), fails: -1},
		guest{name: "certificate: of another authority", site: r.overTLS(s, &stranger), fails: -1})
}

func (g guest) check(t *testing.T, m protoreflect.MethodDescriptor, rule rule) {
	t.Helper()
	method, path := rule.example()
	code, body := g.status(t, method, path)
	let := g.roles.May(accessOf(m))
	refused := code == http.StatusUnauthorized || code == http.StatusForbidden
	switch {
	case g.fails != 0 && code != g.fails && (g.fails != http.StatusBadRequest || code != -1):
		t.Errorf("%s %s: %d, want %d\n%s", method, path, code, g.fails, body)
	case g.fails == 0 && let && refused && !fussy(m):
		t.Errorf("%s %s: %d with the roles %s\n%s", method, path, code, g.roles, body)
	case g.fails == 0 && !let && code != http.StatusForbidden:
		t.Errorf("%s %s: %d with the roles %s, want 403\n%s", method, path, code, g.roles, body)
	case code == http.StatusNotFound && strings.Contains(body, "no such path"), code == http.StatusMethodNotAllowed:
		t.Errorf("%s %s is served by nothing", method, path)
	}
}

func (g guest) status(t *testing.T, method, path string) (code int, body string) {
	t.Helper()
	var content io.Reader
	if method != "GET" && method != "DELETE" {
		content = strings.NewReader("{}")
	}
	req := must2(http.NewRequestWithContext(t.Context(), method, g.site.base+path, content))
	req.Header.Set("Content-Type", "application/json")
	for name, values := range g.site.head {
		req.Header[name] = values
	}
	resp, err := g.site.http.Do(req)
	if err != nil {
		return -1, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // for the message only
	return resp.StatusCode, string(text)
}

// TestHTTPAudit: the audit log tells of calls over HTTP what it tells of others: what, who, from where.
func TestHTTPAudit(t *testing.T) {
	r := newAuthRig(t)
	s := begin(t, Config{System: quiet(), HTTP: "127.0.0.1:0", Auth: r.config()})
	alice := r.client("alice", role.Admin)
	r.overTLS(s, &alice).ok("POST", "/v1/pools", `{"label":"tank"}`, "X-Request-Id", "one")
	r.overTLS(s, nil).do("POST", "/v1/pools", `{"label":"theft"}`, "X-Request-Id", "two")
	bob := r.client("bob", role.Reader)
	r.overTLS(s, &bob).do("DELETE", "/v1/pools/tank", "", "X-Forwarded-For", "8.8.8.8", "X-Request-Id", "three")
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	text := string(must[[]byte](t)(os.ReadFile(r.path("audit.log"))))
	for _, want := range []string{
		`"who":"cert:alice","from":"127.0.0.1:\d+","what":"/tarn.v1.PoolService/CreatePool","where":"tank","result":"OK","request_id":"one"`,
		`"who":"none","from":"127.0.0.1:\d+","what":"/tarn.v1.PoolService/CreatePool","where":"","result":"Unauthenticated","request_id":"two"`,
		`"who":"cert:bob","from":"127.0.0.1:\d+","what":"/tarn.v1.PoolService/DeletePool","where":"tank","result":"PermissionDenied","request_id":"three"`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the audit log has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "theft") || strings.Contains(text, "8.8.8.8") {
		t.Errorf("the audit log believes strangers:\n%s", text)
	}
}

// TestHTTPBrowser: a page from elsewhere gets nothing done and nothing to read through a browser here.
func TestHTTPBrowser(t *testing.T) {
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0"})
	web := overHTTP(t, s)
	for _, c := range []struct {
		method string
		status int
		header []string
	}{
		{"POST", http.StatusOK, nil},
		{"POST", http.StatusOK, []string{"Sec-Fetch-Site", "same-origin"}},
		{"POST", http.StatusForbidden, []string{"Sec-Fetch-Site", "cross-site"}},
		{"POST", http.StatusForbidden, []string{"Origin", "http://evil.example"}},
		{"POST", http.StatusForbidden, []string{"Origin", "null"}},
		{"POST", http.StatusForbidden, []string{"Host", "evil.example"}},
		{"GET", http.StatusForbidden, []string{"Host", "evil.example:7449"}},
		{"GET", http.StatusOK, []string{"Host", "localhost:7449"}},
		{"GET", http.StatusOK, []string{"Host", "[::1]:7449"}},
	} {
		body := ""
		if c.method == "POST" {
			body = `{"label":"tank"}`
		}
		r := web.do(c.method, "/v1/pools", body, c.header...)
		if r.StatusCode != c.status || r.Header.Get("Access-Control-Allow-Origin") != "" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %v: %s, %v", c.method, c.header, r.Status, r.Header)
		}
		if c.status == http.StatusForbidden && r.reason() != "DER_NO_PERM" {
			t.Errorf("%s %v: %s", c.method, c.header, r.text)
		}
	}
}

// TestHTTPStrangersAreNotRead: who is not known, and a body that is too large, is refused before it is sent.
func TestHTTPStrangersAreNotRead(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0", InFlight: 1 << 20, Auth: auth.Config{TokenKeys: r.path("token.pub")}})
	good := "Authorization: Bearer " + r.token(role.All)
	for head, want := range map[string]string{
		"Content-Length: 1000000":                             "401",
		"Transfer-Encoding: chunked":                          "401",
		"Authorization: Bearer x\r\nContent-Length: 1000000":  "401",
		good + "\r\nContent-Length: 7000000":                  "413",
		good + "\r\nContent-Length: 1000000":                  "429", // there is no room for so much
		good + "\r\nTransfer-Encoding: chunked":               "429", // nor for what may come
		good + "\r\nContent-Length: 1000":                     "100", // only this one is asked for
		good + "\r\nContent-Length: 2\r\nContent-Length: 3":   "400",
		good + "\r\nContent-Length: 2\r\nX-Long: " + long(30): "431",
	} {
		conn := must2(net.Dial("tcp", s.HTTP()))
		_, err := fmt.Fprintf(conn, "PUT %s/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n%s\r\n\r\n", keysPath, head)
		line, rerr := bufio.NewReader(conn).ReadString('\n')
		if err := errors.Join(err, rerr); err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%.60q: %q, %v; want %s", head, line, err, want)
		}
		_ = conn.Close() // all is known
	}
	givenBack(t, s)
}

// givenBack wants that requests that ended hold nothing.
func givenBack(t *testing.T, s *Server) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		used, _ := s.gate.Used()
		if used == 0 {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d bytes of room are kept", used)
		}
	}
}

func long(kib int) string { return strings.Repeat("x", kib<<10) }

// TestHTTPBodyEnds: a body that turns out too large is refused, and what it took is given back.
func TestHTTPBodyEnds(t *testing.T) {
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0"})
	web := overHTTP(t, s)
	for size, want := range map[int]int{1 << 20: http.StatusOK, 7 << 20: http.StatusRequestEntityTooLarge} {
		endless := struct{ io.Reader }{bytes.NewReader(make([]byte, size))} // of a length that is not known
		req := must2(http.NewRequestWithContext(t.Context(), "PUT", web.base+keysPath+"/k", endless))
		req.Header.Set("Content-Type", "application/octet-stream")
		resp, err := web.http.Do(req)
		if err != nil { // the connection may be closed while the client writes
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %s, want %d", size, resp.Status, want)
		}
	}
	givenBack(t, s)
}

// TestHTTPRevocation: who is revoked loses a scan that runs, and what comes after it.
func TestHTTPRevocation(t *testing.T) {
	r := newAuthRig(t)
	d := quiet()
	s := start(t, Config{System: scanning{d}, HTTP: "127.0.0.1:0", Auth: r.config()})
	mallory, alice := r.client("mallory", role.All), r.client("alice", role.All)
	ended, kept := r.endless(s, &mallory), r.endless(s, &alice)
	r.revoke(mallory.Cert)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the scan of who is revoked goes on")
	}
	select {
	case err := <-kept:
		t.Errorf("the scan of who is not ended: %v", err)
	default:
	}
}

// endless begins a scan without an end.
func (r *authRig) endless(s *Server, as *pki.Pair) <-chan error {
	r.t.Helper()
	web := r.overTLS(s, as)
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	resp, err := web.http.Do(must2(http.NewRequestWithContext(ctx, "GET", web.base+keysPath+":scan", nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil {
		r.t.Fatalf("%s: %q, %v", resp.Status, line, err)
	}
	ended := make(chan error, 1)
	go func() {
		defer resp.Body.Close()
		for {
			if line, err := lines.ReadString('\n'); err != nil || strings.Contains(line, `"error"`) {
				ended <- err
				return
			}
		}
	}()
	return ended
}

// TestHTTPLeaves: of clients that went away nothing is left, in the midst of scans too.
func TestHTTPLeaves(t *testing.T) {
	s := start(t, Config{System: scanning{quiet()}, HTTP: "127.0.0.1:0"})
	visit := func() {
		conn := must2(net.Dial("tcp", s.HTTP()))
		fmt.Fprintf(conn, "GET %s:scan HTTP/1.1\r\nHost: localhost\r\n\r\n", keysPath)
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_ = conn.Close()
	}
	visit()
	settled(t, runtime.NumGoroutine()) // what stays once is not a leak
	before := runtime.NumGoroutine()
	for range 50 {
		visit()
	}
	settled(t, before)
}

func settled(t *testing.T, want int) {
	t.Helper()
	for start := time.Now(); runtime.NumGoroutine() > want; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines, want %d", runtime.NumGoroutine(), want)
		}
	}
}

// TestHTTPStop: a stop lets a request end, and takes no other.
func TestHTTPStop(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	s := begin(t, Config{HTTP: "127.0.0.1:0", System: newDouble(func(_ context.Context, op string) error {
		if op == "put" {
			close(inside)
			<-leave
		}
		return nil
	})})
	web := overHTTP(t, s)
	answer := make(chan int, 1)
	go func() { answer <- web.do("PUT", keysPath+"/k", `{}`).StatusCode }()
	<-inside
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.HTTP())
		if err != nil {
			break
		}
		_ = conn.Close() // it still listens
	}
	close(leave)
	if code := <-answer; code != http.StatusOK {
		t.Errorf("the request that ran: %d", code)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestHTTPConnections: connections are bounded as those of gRPC are.
func TestHTTPConnections(t *testing.T) {
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0", Connections: 1})
	first, second := overHTTP(t, s), overHTTP(t, s)
	first.ok("GET", "/v1/pools", "") // and keeps its connection
	second.http.Timeout = 300 * time.Millisecond
	if _, err := second.http.Get(second.base + "/v1/pools"); err == nil {
		t.Error("a second connection is served beside the first")
	}
	first.http.CloseIdleConnections()
	second.http.Timeout = 20 * time.Second
	second.ok("GET", "/v1/pools", "")
}

// TestOpenAPI: the description is served, and has every rule.
func TestOpenAPI(t *testing.T) {
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0"})
	text := overHTTP(t, s).ok("GET", "/openapi.json", "")
	var api struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, `"operationId"`, `"operationid"`)), &api); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, path := range api.Paths {
		for _, call := range path {
			served[call.OperationID] = true
		}
	}
	for name := range rules(t) {
		parts := strings.Split(name, ".")
		if id := strings.Join(parts[2:], "_"); !served[id] {
			t.Errorf("the description has no %s", id)
		}
	}
}

// scanning is a double whose scans have no end.
type scanning struct{ *double }

func (s scanning) OpenPool(ctx context.Context, name string) (system.Pool, error) {
	p, err := s.double.OpenPool(ctx, name)
	return scanningPool{p}, err
}

type scanningPool struct{ system.Pool }

func (p scanningPool) OpenContainer(ctx context.Context, name string) (system.Container, error) {
	c, err := p.Pool.OpenContainer(ctx, name)
	return scanningContainer{c}, err
}

type scanningContainer struct{ system.Container }

func (c scanningContainer) OpenKV(ctx context.Context, name string, create bool) (system.KV, error) {
	kv, err := c.Container.OpenKV(ctx, name, create)
	return scanningKV{kv}, err
}

type scanningKV struct{ system.KV }

func (scanningKV) List(ctx context.Context, _ system.Range) iter.Seq2[system.Entry, error] {
	value := make([]byte, 32<<10)
	return func(yield func(system.Entry, error) bool) {
		for ctx.Err() == nil && yield(system.Entry{Key: []byte("k"), Value: value, Size: uint64(len(value))}, nil) {
		}
	}
}
