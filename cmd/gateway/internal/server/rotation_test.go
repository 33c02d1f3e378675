// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

var (
	rotations = flag.Int("rotations", 7, "how often credentials change under load")
	rotSeed   = flag.Uint64("rotation-seed", 0, "of which of them change, and how (0: a new one)")
)

// holder is somebody's certificate and token of the moment.
type holder struct {
	pair  pki.Pair
	token string
	conn  *grpc.ClientConn // with the certificate; it stays
}

// carousel changes every credential again and again, while calls with the valid ones of the moment run, and calls with those that were.
type carousel struct {
	*authRig
	s       *Server
	random  *rand.Rand
	roots   *x509.CertPool // of every authority that there ever was
	keys    [][]byte       // public keys of tokens that are taken
	denied  []byte         // ids of revoked tokens
	mu      sync.RWMutex   // held for reading during a call: no credential is taken back under it, no root is added
	now     holder
	old     atomic.Pointer[holder] // was revoked
	valid   atomic.Int64
	invalid atomic.Int64
	slowest time.Duration // of what a revocation took to end the last stream
	cut     int           // streams
}

// TestRotations changes the server's certificate, the authority, the clients' certificates, revocation lists, token keys and tokens under
// load, and puts bad files in between. No call with a valid credential fails; none with another gets through; who is revoked loses
// streams within 5 s, and nobody else does.
func TestRotations(t *testing.T) {
	if *rotSeed == 0 {
		*rotSeed = uint64(time.Now().UnixNano())
	}
	n := *rotations
	if testing.Short() {
		n = min(n, 3)
	}
	t.Logf("replay with -rotation-seed %d -rotations %d", *rotSeed, n)
	c := newCarousel(t)
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, call := range []func() bool{c.keptCall, c.newCall, c.tokenCall, c.oldCertificate, c.oldToken, c.stranger()} {
		load.Go(func() {
			for ctx.Err() == nil && call() {
			}
		})
	}
	kinds := []func(){c.serverCert, c.authority, c.certificate, c.tokenKey, c.revokeToken, c.halfFile, c.expiredCert}
	done := 0
	for i := range n {
		kind := i % len(kinds) // each of them, and then by chance
		if i >= len(kinds) {
			kind = c.random.IntN(len(kinds))
		}
		kept := c.keep()
		kinds[kind]()
		c.lives(kept, kind)
		if t.Failed() {
			break
		}
		done++
	}
	cancel()
	load.Wait()
	t.Logf("%d rotations, %d valid and %d invalid calls, %d streams cut, the slowest after %v", done, c.valid.Load(), c.invalid.Load(), c.cut, c.slowest)
	if c.valid.Load() < 20 || c.invalid.Load() < 20 {
		t.Error("too few calls for a test")
	}
}

func newCarousel(t *testing.T) *carousel {
	t.Helper()
	c := &carousel{authRig: newAuthRig(t), random: rand.New(rand.NewPCG(*rotSeed, 0)), roots: x509.NewCertPool()}
	c.roots.AddCert(c.ca.Cert)
	c.keys = [][]byte{must[[]byte](t)(os.ReadFile(c.path("token.pub")))}
	c.s = start(t, Config{System: quiet(), Auth: c.config()})
	pair := c.client("alice", role.All)
	c.now = holder{pair: pair, token: c.authRig.token(role.All), conn: c.dial(&pair)}
	t.Cleanup(func() { _ = c.now.conn.Close() }) // all is known
	return c
}

// dial is a connection that takes the certificate of any of the authorities. Who calls closes it, and does not hold the lock.
func (c *carousel) dial(with *pki.Pair) *grpc.ClientConn {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.dialHeld(with)
}

// dialHeld is dial of who holds the lock for reading: to take it twice could wait for a writer in between.
func (c *carousel) dialHeld(with *pki.Pair) *grpc.ClientConn {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: c.roots.Clone()}
	if with != nil {
		shown := tls.Certificate{Certificate: [][]byte{with.Cert.Raw}, PrivateKey: with.Key}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	return must[*grpc.ClientConn](c.t)(grpc.NewClient(c.s.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(cfg))))
}

// patientEcho gives a call all the time that a busy machine may need.
func patientEcho(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := apiv1.NewAdminServiceClient(conn).Echo(ctx, &apiv1.EchoRequest{})
	return err
}

// ok counts a valid call, which must succeed.
func (c *carousel) ok(what string, err error) bool {
	if err != nil {
		c.t.Errorf("%s, after %d valid calls: %v", what, c.valid.Load(), err)
		return false
	}
	c.valid.Add(1)
	return true
}

// refused counts an invalid call, which must not succeed.
func (c *carousel) refused(what string, err error, want codes.Code) bool {
	if status.Code(err) != want {
		c.t.Errorf("%s, after %d invalid calls: %v, want %v", what, c.invalid.Load(), err, want)
		return false
	}
	c.invalid.Add(1)
	return true
}

func (c *carousel) keptCall() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ok("on a connection that stays", patientEcho(c.t.Context(), c.now.conn))
}

func (c *carousel) newCall() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	conn := c.dialHeld(&c.now.pair)
	defer func() { _ = conn.Close() }() // all is known
	return c.ok("on a new connection", patientEcho(c.t.Context(), conn))
}

func (c *carousel) tokenCall() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	conn := c.dialHeld(nil)
	defer func() { _ = conn.Close() }() // all is known
	return c.ok("with a token", patientEcho(bearing(c.t.Context(), c.now.token), conn))
}

func (c *carousel) oldCertificate() bool {
	old := c.old.Load()
	if old == nil || old.pair.Cert == nil {
		time.Sleep(time.Millisecond)
		return true
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	conn := c.dialHeld(&old.pair)
	defer func() { _ = conn.Close() }() // all is known
	return c.refused("with a certificate that was taken back", patientEcho(c.t.Context(), conn), codes.Unavailable)
}

func (c *carousel) oldToken() bool {
	old, text := c.old.Load(), "x"
	if old != nil && old.token != "" {
		text = old.token
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	conn := c.dialHeld(nil)
	defer func() { _ = conn.Close() }() // all is known
	return c.refused("with a token that was taken back", patientEcho(bearing(c.t.Context(), text), conn), codes.Unauthenticated)
}

// stranger has a certificate of an authority that nobody knows.
func (c *carousel) stranger() func() bool {
	pair := must[pki.Pair](c.t)(c.authRig.authority("ca").Client("mallory", role.All, time.Hour))
	return func() bool {
		c.mu.RLock()
		defer c.mu.RUnlock()
		conn := c.dialHeld(&pair)
		defer func() { _ = conn.Close() }() // all is known
		return c.refused("a stranger", patientEcho(c.t.Context(), conn), codes.Unavailable)
	}
}

// keep opens a stream that must outlive what follows, unless that takes the certificate back.
func (c *carousel) keep() grpc.ServerStreamingClient[healthpb.HealthCheckResponse] {
	c.t.Helper()
	stream, err := healthpb.NewHealthClient(c.now.conn).Watch(c.t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		c.t.Fatal(err)
	}
	return stream
}

// lives wants a stream to be open still, when its credential is.
func (c *carousel) lives(stream grpc.ServerStreamingClient[healthpb.HealthCheckResponse], kind int) {
	c.t.Helper()
	if kind == 1 || kind == 2 { // its certificate was taken back
		return
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	select {
	case err := <-ended:
		c.t.Errorf("a stream with a valid certificate ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
}

// settle makes the gateway look at its files now, or waits until it has.
func (c *carousel) settle() {
	if c.random.IntN(4) > 0 {
		c.s.Reload()
		return
	}
	time.Sleep(2500 * time.Millisecond)
}

// become makes a credential the one of valid calls, when no call with the one before it is under way.
func (c *carousel) become(next holder) (before holder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.now = c.now, next
	return before
}

// taken wants the streams of a credential that is being taken back to end within 5 s, and its calls to be refused from then on.
func (c *carousel) taken(was holder, conn *grpc.ClientConn, ctx context.Context, takeBack func()) {
	c.t.Helper()
	ended := watchStreams(c.t, ctx, conn)
	time.Sleep(50 * time.Millisecond)
	begin := time.Now()
	takeBack()
	for range lasting {
		select {
		case <-ended:
			c.cut++
			c.slowest = max(c.slowest, time.Since(begin))
		case <-time.After(5 * time.Second):
			c.t.Error("a stream lives on without a credential")
		}
	}
	c.old.Store(&was)
	if err := conn.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *carousel) serverCert() {
	c.serve(c.ca)
	c.settle()
}

// authority puts another authority beside the one that is, then makes everything anew under it, then takes the old one out.
func (c *carousel) authority() {
	before, beforeList := first(c.pem(c.ca)), must[[]byte](c.t)(os.ReadFile(c.path("crl.pem")))
	next := c.authRig.authority("ca")
	list := must[[]byte](c.t)(next.RevocationList(nil, time.Hour))
	c.mu.Lock()
	c.roots.AddCert(next.Cert)
	c.mu.Unlock()
	c.write("ca.pem", append(first(c.pem(next)), before...))
	c.write("crl.pem", append(list, beforeList...))
	c.settle()
	c.ca, c.crl = next, must[[]*x509.RevocationList](c.t)(pki.ParseLists(list, []*x509.Certificate{next.Cert}))[0]
	c.serve(next)
	c.settle()
	was := c.renewed()
	c.taken(holder{pair: was.pair}, was.conn, c.t.Context(), func() {
		c.write("ca.pem", first(c.pem(next)))
		c.write("crl.pem", list)
	})
}

// renewed gives the valid calls a new certificate.
func (c *carousel) renewed() (was holder) {
	pair := c.client("alice", role.All)
	return c.become(holder{pair: pair, token: c.now.token, conn: c.dial(&pair)})
}

// certificate gives out a new one, and revokes the old one.
func (c *carousel) certificate() {
	was := c.renewed()
	c.taken(holder{pair: was.pair}, was.conn, c.t.Context(), func() { c.revoke(was.pair.Cert) })
}

// tokenKey puts another key beside the one that is, signs with it, and takes the old one out.
func (c *carousel) tokenKey() {
	key, public := c.newKey()
	c.write("token.pub", append(c.keys[0], public...))
	c.settle()
	c.keys = [][]byte{public}
	c.retoken(key, func(string) { c.write("token.pub", public) })
}

// revokeToken gives out a new token, and revokes the old one.
func (c *carousel) revokeToken() {
	c.retoken(c.key, func(was string) {
		c.denied = append(c.denied, must[token.Token](c.t)(token.Show(was)).ID+"\n"...)
		c.write("revoked", c.denied)
	})
}

func (c *carousel) retoken(key ed25519.PrivateKey, takeBack func(was string)) {
	c.key = key
	was := c.become(holder{pair: c.now.pair, token: c.authRig.token(role.All), conn: c.now.conn})
	conn := c.dial(nil)
	c.taken(holder{token: was.token}, conn, bearing(c.t.Context(), was.token), func() { takeBack(was.token) })
}

// halfFile puts half a file into the place of one for a while: nothing changes.
func (c *carousel) halfFile() {
	name := []string{"ca.pem", "crl.pem", "server.pem", "token.pub"}[c.random.IntN(4)]
	text := must[[]byte](c.t)(os.ReadFile(c.path(name)))
	c.write(name, text[:len(text)/3])
	c.settle()
	c.write(name, text)
	c.settle()
}

// expiredCert puts a certificate of the past into the place of the server's for a while: nothing changes.
func (c *carousel) expiredCert() {
	cert, key := c.pem(must[pki.Pair](c.t)(c.ca.Server([]string{"127.0.0.1"}, -time.Minute)))
	c.write("server.key", key)
	c.write("server.pem", cert)
	c.settle()
	c.serverCert()
}
