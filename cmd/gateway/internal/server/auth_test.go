// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/internal/audit"
	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

func echo(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := apiv1.NewAdminServiceClient(conn).Echo(ctx, &apiv1.EchoRequest{})
	return err
}

// TestOverTLS: with a certificate, and with a token from a file, the system is the same as in this process.
func TestOverTLS(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: engine(t, filepath.Join(r.dir, "root")), Auth: r.config()})
	cert, key := r.pem(r.client("alice", role.Admin))
	r.write("alice.pem", cert)
	r.write("alice.key", key)
	r.write("alice.token", []byte(r.token(role.Admin)+"\n"))
	for name, opts := range map[string]client.Options{
		"certificate": {CA: r.path("ca.pem"), Cert: r.path("alice.pem"), Key: r.path("alice.key")},
		"token":       {CA: r.path("ca.pem"), TokenFile: r.path("alice.token")},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.DialWith(t.Context(), s.Addr(), opts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if name == "token" && testing.Short() {
				return
			}
			systemtest.Run(t, c)
		})
	}
}

// TestDialRefused: what the client does not do, and what it is told.
func TestDialRefused(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	r.write("other.pem", first(r.pem(r.authority("other"))))
	for name, c := range map[string]struct {
		endpoint string
		opts     client.Options
		want     errno.Code
	}{
		"no credential":           {s.Addr(), client.Options{CA: r.path("ca.pem")}, errno.NoCert},
		"bad token":               {s.Addr(), client.Options{CA: r.path("ca.pem"), Token: "x"}, errno.BadCert},
		"no TLS":                  {s.Addr(), client.Options{}, errno.Unreach},
		"another CA":              {s.Addr(), client.Options{CA: r.path("other.pem"), Token: r.token(role.All)}, errno.BadCert},
		"another name":            {s.Addr(), client.Options{CA: r.path("ca.pem"), ServerName: "example.org", Token: r.token(role.All)}, errno.BadCert},
		"system's CAs":            {s.Addr(), client.Options{CA: client.SystemCA, Token: r.token(role.All)}, errno.BadCert},
		"no file":                 {s.Addr(), client.Options{CA: r.path("none")}, errno.Inval},
		"no key":                  {s.Addr(), client.Options{CA: r.path("ca.pem"), Cert: r.path("server.pem")}, errno.Inval},
		"token in the clear":      {"192.0.2.1:7447", client.Options{Token: "x"}, errno.Inval},
		"token in the clear, DNS": {"dns:/example.org:7447", client.Options{Token: "x"}, errno.Inval},
		"two tokens":              {s.Addr(), client.Options{CA: r.path("ca.pem"), Token: "x", TokenFile: "y"}, errno.Inval},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := client.DialWith(ctx, c.endpoint, c.opts); errno.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		cancel()
	}
}

// TestTLSVersion: nothing older than 1.3 is spoken.
func TestTLSVersion(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	roots := x509.NewCertPool()
	roots.AddCert(r.ca.Cert)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: false, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{MinVersion: version, MaxVersion: version, RootCAs: roots, NextProtos: []string{"h2"}})
		if ok != (err == nil) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close() // all is known
		}
	}
}

// TestHealthIsOpen: whether the gateway is up is told to everybody, and about a pool to nobody without a credential.
func TestHealthIsOpen(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	h := healthpb.NewHealthClient(r.dialTLS(s.Addr(), nil))
	if got, err := h.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", got, err)
	}
	for _, service := range []string{"tarn.v1.PoolService/tank", "tarn.v1.PoolService/none"} {
		if _, err := h.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// TestTokensWithoutTLS: on the loopback tokens do without it, and then nobody gets in without one.
func TestTokensWithoutTLS(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: auth.Config{TokenKeys: r.path("token.pub"), Audience: "tarn"}})
	conn := r.dialPlain(s.Addr())
	if err := echo(t.Context(), conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	if err := echo(bearing(t.Context(), r.token(role.Reader)), conn); err != nil {
		t.Errorf("with a token: %v", err)
	}
	sent := metadata.AppendToOutgoingContext(bearing(t.Context(), r.token(role.Reader)), "authorization", "Bearer "+r.token(role.All))
	if err := echo(sent, conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("with two tokens: %v", err)
	}
}

// TestStrangersAreNotRead: who has no credential is refused before a message is read.
func TestStrangersAreNotRead(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	const put = "/tarn.v1.KeyValueService/Put"
	stream, err := r.dialTLS(s.Addr(), nil).NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, put)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&apiv1.PutResponse{}); status.Code(err) != codes.Unauthenticated { // nothing was sent
		t.Error(err)
	}
}

// TestRequestIDsApart: the answer that is replayed for a request id is for who got it first, and for nobody else.
func TestRequestIDsApart(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	for _, name := range []string{"alice", "carol"} {
		pair := r.client(name, role.Admin)
		req := &apiv1.CreatePoolRequest{Label: "of-" + name, Size: 1 << 30, RequestId: "00000000-0000-4000-8000-000000000001"}
		resp, err := apiv1.NewPoolServiceClient(r.dialTLS(s.Addr(), &pair)).CreatePool(t.Context(), req)
		if err != nil || resp.GetPool().GetLabel() != req.GetLabel() {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
}

// TestRevocation: who is revoked loses streams that wait for either side, and calls, within 5 s; who is not keeps them.
func TestRevocation(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	bad, good := r.client("mallory", role.All), r.client("alice", role.All)
	text := r.token(role.All)
	key2, public2 := r.newKey()
	r.write("token.pub", append(must[[]byte](t)(os.ReadFile(r.path("token.pub"))), public2...))
	s.Reload()
	byKey2 := must[string](t)(token.Sign(key2, token.Token{Principal: "bob", Roles: role.All, Audience: "tarn"}, time.Hour))
	kept := watchStreams(t, t.Context(), r.dialTLS(s.Addr(), &good))
	for name, c := range map[string]struct {
		conn   *grpc.ClientConn
		token  string
		revoke func()
		want   codes.Code // of the calls after it
	}{
		"certificate": {r.dialTLS(s.Addr(), &bad), "", func() { r.revoke(bad.Cert) }, codes.Unavailable},
		"token": {r.dialTLS(s.Addr(), nil), text, func() { r.write("revoked", []byte(must[token.Token](t)(token.Show(text)).ID+"\n")) },
			codes.Unauthenticated},
		"key": {r.dialTLS(s.Addr(), nil), byKey2, func() {
			r.write("token.pub", must[[]byte](t)(os.ReadFile(r.path("token.pub")))[:len(public2)])
		}, codes.Unauthenticated},
	} {
		ctx := t.Context()
		if c.token != "" {
			ctx = bearing(ctx, c.token)
		}
		ended := watchStreams(t, ctx, c.conn)
		time.Sleep(300 * time.Millisecond)
		if err := echo(ctx, c.conn); err != nil {
			t.Errorf("%s: before: %v", name, err)
		}
		begin := time.Now()
		c.revoke()
		for range lasting {
			select {
			case err := <-ended:
				t.Logf("%s: a stream ended after %v: %v", name, time.Since(begin), err)
			case <-time.After(5 * time.Second):
				t.Errorf("%s: a stream lives on", name)
			}
		}
		eventually(t, c.want, func() error { return echo(ctx, c.conn) })
	}
	select {
	case err := <-kept:
		t.Errorf("a stream of somebody else ended: %v", err)
	default:
	}
}

// lasting is how many streams watchStreams opens.
const lasting = 3

// TestExpiry: streams and calls end when the certificate does.
func TestExpiry(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: r.config()})
	const life = 3 * time.Second
	begin := time.Now()
	short := must[pki.Pair](t)(r.ca.Client("alice", role.All, life))
	conn := r.dialTLS(s.Addr(), &short)
	ended := watchStreams(t, t.Context(), conn)
	for range lasting {
		select {
		case err := <-ended:
			if lived := time.Since(begin); lived < life-time.Second { // a certificate has whole seconds
				t.Errorf("a stream ended after %v: %v", lived, err)
			}
		case <-time.After(life + 5*time.Second):
			t.Error("a stream lives on")
		}
	}
	eventually(t, codes.Unavailable, func() error { return echo(t.Context(), conn) })
}

// watchStreams opens streams that last: in some the server waits for the client, and in one the client for the server.
func watchStreams(t *testing.T, ctx context.Context, conn *grpc.ClientConn) <-chan error {
	t.Helper()
	put, err := apiv1.NewKeyValueServiceClient(conn).PutStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	health, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	deaf, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx) // its handler waits for the client, and for nothing else
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, lasting)
	go func() { ended <- deaf.RecvMsg(&reflectionpb.ServerReflectionResponse{}) }()
	go func() { ended <- put.RecvMsg(&apiv1.PutStreamResponse{}) }()
	go func() {
		for err = nil; err == nil; {
			_, err = health.Recv()
		}
		ended <- err
	}()
	return ended
}

// TestAuditLog: administrative and refused calls are in it, with who, where and the request id; nothing else is; and it is whole.
func TestAuditLog(t *testing.T) {
	r := newAuthRig(t)
	s := begin(t, Config{System: quiet(), Auth: r.config()})
	alice, bob := r.client("alice", role.Admin), r.client("bob", role.Reader)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "id-1")
	admin, reader := r.dialTLS(s.Addr(), &alice), r.dialTLS(s.Addr(), &bob)
	if _, err := apiv1.NewPoolServiceClient(admin).CreatePool(ctx, &apiv1.CreatePoolRequest{Label: "pond", Size: 1 << 30}); err != nil {
		t.Error(err)
	}
	_, err := apiv1.NewKeyValueServiceClient(reader).Put(ctx, &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte(secretKey), Value: []byte(secretValue)})
	if status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	var header metadata.MD
	_, err = apiv1.NewPoolServiceClient(reader).DeletePool(t.Context(), &apiv1.DeletePoolRequest{Pool: "tank"}, grpc.Header(&header))
	if status.Code(err) != codes.PermissionDenied || len(header.Get("x-request-id")) != 1 {
		t.Errorf("%v, %v", err, header)
	}
	if err := echo(ctx, r.dialTLS(s.Addr(), nil)); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	_ = echo(ctx, reader) // allowed, and not in the log
	if n := s.guard.Denied(); n != 3 {
		t.Errorf("%d calls were denied, not 3", n)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	text := must[[]byte](t)(os.ReadFile(r.path("audit.log")))
	if sum, err := audit.Verify(bytes.NewReader(text)); err != nil || sum.Entries != 4 {
		t.Errorf("%+v, %v", sum, err)
	}
	lines := strings.Split(string(text), "\n")
	for i, want := range [][]string{
		{`"who":"cert:alice"`, `"from":"127.0.0.1:`, `"what":"/tarn.v1.PoolService/CreatePool"`, `"where":"pond"`, `"result":"OK"`, `"request_id":"id-1"`},
		{`"who":"cert:bob"`, `"what":"/tarn.v1.KeyValueService/Put"`, `"where":"tank/neo/stadium"`, `"result":"PermissionDenied"`, `"request_id":"id-1"`},
		{`"who":"cert:bob"`, `"where":"tank"`, `"result":"PermissionDenied"`, header.Get("x-request-id")[0]},
		{`"who":"none"`, `"what":"/tarn.v1.AdminService/Echo"`, `"result":"Unauthenticated"`, `"request_id":"id-1"`},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d is %s, want %s in it", i+1, lines[i], w)
			}
		}
	}
}

const secretKey, secretValue = "a-secret-key", "a-secret-value"

// TestNoSecretsInLogs: whatever is done and whatever fails, neither keys nor values nor tokens are in the log or in the audit log.
func TestNoSecretsInLogs(t *testing.T) {
	r := newAuthRig(t)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&locked{w: &out}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	fail := errno.New("kv put", "tank/neo/stadium", errno.IO, "the device failed")
	sys := newDouble(func(_ context.Context, op string) error {
		if op == "put" || op == "write" {
			return fail
		}
		return nil
	})
	s, err := New(Config{System: sys, Listen: "127.0.0.1:0", Auth: r.config(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.Serve()
	for _, roles := range []role.Set{0, role.All} {
		text := r.token(roles)
		kv := apiv1.NewKeyValueServiceClient(r.dialTLS(s.Addr(), nil))
		ctx := bearing(t.Context(), text)
		_, _ = kv.Put(ctx, &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte(secretKey), Value: []byte(secretValue)})
		_, _ = kv.Get(ctx, &apiv1.GetRequest{Object: "tank/neo/stadium", Key: []byte(secretKey)})
		_, _ = kv.Delete(ctx, &apiv1.DeleteRequest{Object: "tank/neo/stadium", Key: []byte(secretKey)}) // a defect of the double: a panic
		_, _ = kv.Get(bearing(t.Context(), text+"x"), &apiv1.GetRequest{Object: "tank/neo/stadium", Key: []byte(secretKey)})
		defer func() {
			for name, said := range map[string]string{"log": out.String(), "audit log": string(must[[]byte](t)(os.ReadFile(r.path("audit.log"))))} {
				for _, secret := range []string{secretKey, secretValue, text, text[strings.LastIndexByte(text, '.'):]} {
					if strings.Contains(said, secret) {
						t.Errorf("%s is in the %s:\n%s", secret, name, said)
					}
				}
			}
		}()
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "the device failed") || !strings.Contains(out.String(), "panic") {
		t.Errorf("the log does not tell what failed: %s", out.String())
	}
}

type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// TestAuthRefused: a gateway does not start with files that are not good, or that do not belong together.
func TestAuthRefused(t *testing.T) {
	r := newAuthRig(t)
	r.write("junk", []byte("junk"))
	for name, change := range map[string]func(*auth.Config){
		"no key":          func(c *auth.Config) { c.Key = "" },
		"junk":            func(c *auth.Config) { c.Cert = r.path("junk") },
		"wrong key":       func(c *auth.Config) { c.Key = r.path("token.pub") },
		"junk CA":         func(c *auth.Config) { c.ClientCA = r.path("junk") },
		"no CA for a CRL": func(c *auth.Config) { c.ClientCA = "" },
		"CRL of another":  func(c *auth.Config) { c.ClientCA = r.path("server.pem") },
		"junk CRL":        func(c *auth.Config) { c.CRL = r.path("junk") },
		"junk keys":       func(c *auth.Config) { c.TokenKeys = r.path("junk") },
		"no file":         func(c *auth.Config) { c.TokenRevoked = r.path("none") },
		"no keys":         func(c *auth.Config) { c.TokenKeys = "" },
		"junk audit log":  func(c *auth.Config) { c.Audit = r.path("junk") },
	} {
		cfg := r.config()
		change(&cfg)
		s, err := New(Config{System: quiet(), Listen: "127.0.0.1:0", Auth: cfg, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%s: it started", name)
			_ = s.Stop() // the test has failed
		}
	}
}

// TestAuditFails: when the audit log cannot be written, administrative calls are refused, and no others.
func TestAuditFails(t *testing.T) {
	s := begin(t, Config{System: quiet(), Auth: auth.Config{Audit: "/dev/full"}})
	c := dial(t, s.Addr())
	create := func() error {
		_, err := c.CreatePool(t.Context(), "pond", system.CreatePool{Size: 1 << 30})
		return err
	}
	_ = create() // after which the gateway knows
	if err := create(); errno.CodeOf(err) != errno.NoService {
		t.Errorf("%v", err)
	}
	if _, err := c.Pools(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Stop(); err == nil {
		t.Error("Stop does not tell that the audit log failed")
	}
}

// TestOneAuditor: two gateways do not write one audit log.
func TestOneAuditor(t *testing.T) {
	r := newAuthRig(t)
	s := start(t, Config{System: quiet(), Auth: auth.Config{Audit: r.path("audit.log")}})
	if _, err := New(Config{System: quiet(), Listen: "127.0.0.1:0", Auth: auth.Config{Audit: r.path("audit.log")}, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a second gateway writes the audit log")
	}
	if _, err := dial(t, s.Addr()).CreatePool(t.Context(), "pond", system.CreatePool{Size: 1 << 30}); err != nil {
		t.Error(err)
	}
}
