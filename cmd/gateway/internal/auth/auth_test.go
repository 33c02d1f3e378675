// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestRulesOf: a server with a method that has no rule does not start, and a method that nobody knows of may not be called.
func TestRulesOf(t *testing.T) {
	offer := func(service, method string) map[string]grpc.ServiceInfo {
		return map[string]grpc.ServiceInfo{service: {Methods: []grpc.MethodInfo{{Name: method}}}}
	}
	rules, err := RulesOf(offer("tarn.v1.KeyValueService", "Get"))
	if err != nil || rules["/tarn.v1.KeyValueService/Get"].Access != apiv1.Access_ACCESS_READER {
		t.Errorf("%v, %v", rules, err)
	}
	if rules["/tarn.v1.KeyValueService/get"].Access != apiv1.Access_ACCESS_UNSPECIFIED {
		t.Errorf("%v", rules)
	}
	for service, method := range map[string]string{
		"tarn.v1.KeyValueService": "Steal", "other.v1.Service": "Get",
		"google.longrunning.Operations": "GetOperation", // a method of somebody else's, without the option
	} {
		if rules, err := RulesOf(offer(service, method)); err == nil {
			t.Errorf("%s/%s: %v", service, method, rules)
		}
	}
}

// TestUserName: the socket is for the gateway's own user and for root.
func TestUserName(t *testing.T) {
	for _, c := range []struct {
		uid uint32
		own int
		ok  bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1000, 0, false}, {1<<32 - 1, -1, false}} {
		if _, err := userName(c.uid, c.own); (err == nil) != c.ok {
			t.Errorf("user %d at the socket of %d: %v", c.uid, c.own, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]Config{
		"a certificate without a key": {Cert: "c"},
		"a key without a certificate": {Key: "k"},
		"authorities without TLS":     {ClientCA: "a"},
		"a list without authorities":  {Cert: "c", Key: "k", CRL: "l"},
		"revoked without keys":        {TokenRevoked: "r"},
		"an audience without keys":    {Audience: "a"},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := Config{Cert: "c", Key: "k", ClientCA: "a", CRL: "l", TokenKeys: "t", TokenRevoked: "r", Audience: "x", Audit: "z"}
	if err := c.Check(); err != nil || !c.Knows() {
		t.Errorf("%v", err)
	}
}

// TestFew: a flood of complaints is counted, not written.
func TestFew(t *testing.T) {
	var f few
	at := time.Unix(1, 0)
	for i := range fewMax * 3 {
		if got := f.allow(at); got != (i < fewMax) {
			t.Errorf("number %d: %v", i, got)
		}
	}
	if n := f.take(); n != fewMax*2 || f.take() != 0 {
		t.Errorf("%d were skipped", n)
	}
	if !f.allow(at.Add(time.Second)) {
		t.Error("not in the next second either")
	}
}

// TestReloadComplains: a file that is gone, or no good, changes nothing, and is complained of once.
func TestReloadComplains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	keys := filepath.Join(t.TempDir(), "keys")
	const public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
	for file, text := range map[string]string{path: "one\n", keys: public} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	g, err := New(Config{TokenKeys: keys, TokenRevoked: path, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil { // nothing but this test looks at the files now
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	g.Reload()
	g.Reload()
	if n := strings.Count(said.String(), "not reloaded"); n != 1 || !g.state.Load().denied["one"] {
		t.Errorf("%d complaints: %s", n, said.String())
	}
	if err := os.WriteFile(path, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.reload(false) // it may still be being written
	if !g.state.Load().denied["one"] {
		t.Error("a file that has just changed was read")
	}
	g.reload(false)
	if s := g.state.Load(); s.denied["one"] || !s.denied["two"] || s.generation != 2 {
		t.Errorf("%+v", s)
	}
}
