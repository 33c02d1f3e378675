// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// secured is a gateway with TLS, certificates, tokens and an audit log, all made by the command line as its help says.
type secured struct {
	t       *testing.T
	cli     rig.CLI
	gateway *rig.Gateway
	dir     string
	addr    string
}

func startSecured(t *testing.T, args ...string) *secured {
	t.Helper()
	s := &secured{t: t, cli: rig.CLI{T: t, Root: t.TempDir()}, dir: t.TempDir(), addr: freeAddr(t)}
	certs := s.path("certs")
	s.cli.OK("cert", "ca", "--dir", certs)
	s.cli.OK("cert", "server", "127.0.0.1", "--dir", certs)
	s.cli.OK("token", "keygen", "--key", s.path("token.key"), "--public", s.path("token.pub"))
	s.write("revoked", "")
	s.gateway = rig.StartGateway(t, s.cli.Root, append(args, "--listen", s.addr, "--tls-cert", s.path("certs/127.0.0.1.pem"), "--tls-key", s.path("certs/127.0.0.1.key"),
		"--tls-client-ca", s.path("certs/ca.pem"), "--tls-crl", s.path("certs/crl.pem"), "--token-keys", s.path("token.pub"),
		"--token-revoked", s.path("revoked"), "--audit", s.path("audit.log"))...)
	return s
}

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (s *secured) path(name string) string { return filepath.Join(s.dir, name) }

func (s *secured) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// env is what everybody knows of the gateway.
func (s *secured) env() []string {
	return []string{"TARN_ENDPOINT=" + s.addr, "TARN_TLS_CA=" + s.path("certs/ca.pem")}
}

// as runs "tarn ARGS" at the gateway, with the environment of somebody, and wants an exit status.
func (s *secured) as(env []string, exit int, args ...string) rig.Result {
	s.t.Helper()
	r := rig.Run(s.t, "", append(s.env(), env...), rig.Bin(s.t, "tarn"), args...)
	if r.Exit != exit {
		s.t.Errorf("tarn %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.Exit, exit, r.Stdout, r.Stderr)
	}
	return r
}

// holder makes a certificate and is the environment of who holds it.
func (s *secured) holder(name, roles string) []string {
	s.t.Helper()
	s.cli.OK("cert", "client", name, "--role", roles, "--dir", s.path("certs"))
	return []string{"TARN_TLS_CERT=" + s.path("certs/"+name+".pem"), "TARN_TLS_KEY=" + s.path("certs/"+name+".key")}
}

// TestSecured is the life of a first user: an authority, a gateway, an admin with a certificate, a reader with a token, and both revoked.
func TestSecured(t *testing.T) {
	s := startSecured(t)
	admin := s.holder("alice", "admin")
	text := s.cli.OK("token", "sign", "bob", "--role", "reader", "--key", s.path("token.key"))
	s.write("bob.token", text)
	reader := []string{"TARN_TOKEN_FILE=" + s.path("bob.token")}

	s.as(admin, 0, "pool", "create", "tank", "--size", "16M")
	s.as(admin, 0, "cont", "create", "tank/neo")
	s.as(admin, 0, "kv", "put", "tank/neo/stadium", "Barcelona", "Camp Nou")
	if r := s.as(reader, 0, "kv", "get", "tank/neo/stadium", "Barcelona"); !strings.Contains(r.Stdout, "Camp Nou") {
		t.Errorf("the reader reads %q", r.Stdout)
	}
	s.as(nil, 5, "pool", "list")
	s.as([]string{"TARN_TOKEN=nonsense"}, 5, "pool", "list")
	if r := s.as(reader, 5, "kv", "put", "tank/neo/stadium", "Barcelona", "another"); !strings.Contains(r.Stderr, "needs the role writer") {
		t.Errorf("the reader is told %q", r.Stderr)
	}
	s.as(reader, 5, "pool", "destroy", "tank", "--yes", "--force")
	s.revoke(text, reader, admin)
	s.gateway.Stop()
	s.audited()
}

// revoke takes both credentials back; the gateway is not told.
func (s *secured) revoke(text string, reader, admin []string) {
	s.t.Helper()
	said := s.cli.OK("token", "show", strings.TrimSpace(text))
	_, id, _ := strings.Cut(said, "ID")
	s.write("revoked", strings.Fields(id)[0]+"\n")
	s.cli.OK("cert", "revoke", s.path("certs/alice.pem"), "--dir", s.path("certs"))
	time.Sleep(3 * time.Second)
	s.as(reader, 5, "kv", "get", "tank/neo/stadium", "Barcelona")
	refused := rig.Run(s.t, "", append(s.env(), admin...), rig.Bin(s.t, "tarn"), "--timeout", "5s", "pool", "list")
	if refused.Exit != 5 && refused.Exit != 9 { // 9 when the connection was closed before the gateway had said why
		s.t.Errorf("with a revoked certificate: exit %d: %s", refused.Exit, refused.Stderr)
	}
	s.as(s.holder("carol", "reader"), 0, "kv", "get", "tank/neo/stadium", "Barcelona")
}

// audited: the log tells of all of it, is whole, and is not when it was changed.
func (s *secured) audited() {
	s.t.Helper()
	s.cli.OK("audit", "verify", s.path("audit.log"))
	text, err := os.ReadFile(s.path("audit.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, want := range []string{`"cert:alice"`, `"token:bob"`, "CreatePool", "DeletePool", "PermissionDenied", "Unauthenticated"} {
		if !strings.Contains(string(text), want) {
			s.t.Errorf("%s is not in the audit log:\n%s", want, text)
		}
	}
	if strings.Contains(string(text)+s.gateway.Log(), "Barcelona") || strings.Contains(string(text)+s.gateway.Log(), "Camp Nou") {
		s.t.Errorf("a key or a value is in a log:\n%s\n%s", text, s.gateway.Log())
	}
	s.write("audit.log", strings.Replace(string(text), "token:bob", "token:bot", 1))
	if r := s.cli.Run("audit", "verify", s.path("audit.log")); r.Exit != 8 {
		s.t.Errorf("a changed log: exit %d: %s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// TestCertFiles: keys are for their owner only, and nothing that is there is written over.
func TestCertFiles(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	dir := filepath.Join(t.TempDir(), "certs")
	if r := cli.Run("cert", "client", "alice", "--dir", dir); r.Exit != 3 || !strings.Contains(r.Stderr, "tarn cert ca") {
		t.Errorf("without an authority: exit %d: %s", r.Exit, r.Stderr)
	}
	cli.OK("cert", "ca", "--dir", dir)
	cli.OK("cert", "client", "alice", "--dir", dir)
	cli.OK("token", "keygen", "--key", filepath.Join(dir, "token.key"), "--public", filepath.Join(dir, "token.pub"))
	for _, name := range []string{"ca.key", "alice.key", "token.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for args, exit := range map[string]int{
		"cert ca": 4, "cert client alice": 4, "cert client ../alice": 2, "cert client ca": 2, "cert client bob --role god": 2, "cert server a/b": 2,
		"cert show " + filepath.Join(dir, "alice.key"): 2, "cert revoke " + filepath.Join(dir, "none.pem"): 3,
	} {
		if r := cli.Run(append(strings.Fields(args), "--dir", dir)...); r.Exit != exit {
			t.Errorf("%s: exit %d, want %d: %s", args, r.Exit, exit, r.Stderr)
		}
	}
	if r := cli.Run("cert", "show", filepath.Join(dir, "alice.key")); r.Exit != 2 || strings.Contains(r.Stderr, "BEGIN") {
		t.Errorf("a key for a certificate: exit %d: %s", r.Exit, r.Stderr)
	}
	if out := cli.OK("cert", "show", filepath.Join(dir, "alice.pem")); !strings.Contains(out, "reader") {
		t.Errorf("%s", out)
	}
}
