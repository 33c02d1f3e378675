// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
)

// authRig has an authority, a key, and the files that a gateway reads of them.
type authRig struct {
	t   *testing.T
	dir string
	ca  pki.Pair
	key ed25519.PrivateKey
	crl *x509.RevocationList
}

func newAuthRig(t *testing.T) *authRig {
	t.Helper()
	r := &authRig{t: t, dir: t.TempDir()}
	r.ca = r.authority("ca")
	r.write("ca.pem", first(r.pem(r.ca)))
	r.serve(r.ca)
	r.revoke()
	var public []byte
	r.key, public = r.newKey()
	r.write("token.pub", public)
	r.write("revoked", nil)
	return r
}

func first(a, _ []byte) []byte { return a }

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *authRig) authority(name string) pki.Pair {
	r.t.Helper()
	return must[pki.Pair](r.t)(pki.NewCA(name, time.Hour))
}

func (r *authRig) newKey() (ed25519.PrivateKey, []byte) {
	r.t.Helper()
	private, public, err := token.Generate()
	if err != nil {
		r.t.Fatal(err)
	}
	return must[ed25519.PrivateKey](r.t)(token.ParsePrivate(private)), public
}

func (r *authRig) pem(p pki.Pair) (cert, key []byte) {
	r.t.Helper()
	cert, key, err := p.PEM()
	if err != nil {
		r.t.Fatal(err)
	}
	return cert, key
}

func (r *authRig) path(name string) string { return filepath.Join(r.dir, name) }

// write puts a file into its place at one moment.
func (r *authRig) write(name string, text []byte) {
	r.t.Helper()
	next := r.path(name + ".new")
	if err := os.WriteFile(next, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// serve gives the gateway a new certificate.
func (r *authRig) serve(ca pki.Pair) {
	r.t.Helper()
	cert, key := r.pem(must[pki.Pair](r.t)(ca.Server([]string{"127.0.0.1"}, time.Hour)))
	r.write("server.key", key)
	r.write("server.pem", cert)
}

// revoke revokes certificates, beside those that are revoked.
func (r *authRig) revoke(certs ...*x509.Certificate) {
	r.t.Helper()
	var serials []*big.Int
	for _, c := range certs {
		serials = append(serials, c.SerialNumber)
	}
	text := must[[]byte](r.t)(r.ca.RevocationList(r.crl, time.Hour, serials...))
	r.crl = must[[]*x509.RevocationList](r.t)(pki.ParseLists(text, []*x509.Certificate{r.ca.Cert}))[0]
	r.write("crl.pem", text)
}

// config is that of a gateway that takes certificates and tokens.
func (r *authRig) config() auth.Config {
	return auth.Config{Cert: r.path("server.pem"), Key: r.path("server.key"), ClientCA: r.path("ca.pem"), CRL: r.path("crl.pem"),
		TokenKeys: r.path("token.pub"), TokenRevoked: r.path("revoked"), Audit: r.path("audit.log")}
}

func (r *authRig) client(name string, roles role.Set) pki.Pair {
	r.t.Helper()
	return must[pki.Pair](r.t)(r.ca.Client(name, roles, time.Hour))
}

// token is a token of alice's, signed by the rig's key, that one may change before.
func (r *authRig) token(roles role.Set) string {
	r.t.Helper()
	return must[string](r.t)(token.Sign(r.key, token.Token{Principal: "alice", Roles: roles, Audience: token.DefaultAudience}, time.Hour))
}

// dialTLS is a bare connection over TLS, with a certificate or without one.
func (r *authRig) dialTLS(endpoint string, with *pki.Pair) *grpc.ClientConn {
	r.t.Helper()
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AddCert(r.ca.Cert)
	if with != nil {
		shown := tls.Certificate{Certificate: [][]byte{with.Cert.Raw}, PrivateKey: with.Key}
		// Shown whatever authorities the gateway names: a client that is not honest does so, too.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	return r.dialWith(endpoint, credentials.NewTLS(cfg))
}

func (r *authRig) dialWith(endpoint string, creds credentials.TransportCredentials) *grpc.ClientConn {
	r.t.Helper()
	conn := must[*grpc.ClientConn](r.t)(grpc.NewClient(endpoint, grpc.WithTransportCredentials(creds)))
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r *authRig) dialPlain(endpoint string) *grpc.ClientConn {
	r.t.Helper()
	return r.dialWith(endpoint, insecure.NewCredentials())
}

// bearing is a context whose calls carry a token.
func bearing(ctx context.Context, text string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+text)
}

// eventually wants a code within 5 s, and returns how long it took.
func eventually(t *testing.T, want codes.Code, call func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		err := call()
		if status.Code(err) == want {
			return time.Since(begin)
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("after 5 s: %v, want %v", err, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
