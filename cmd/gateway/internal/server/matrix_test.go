// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// methods are all RPCs of tarn.v1.
func methods(t testing.TB) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("tarn.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			ms := f.Services().Get(i).Methods()
			for j := range ms.Len() {
				all = append(all, ms.Get(j))
			}
		}
		return true
	})
	if len(all) < 50 {
		t.Fatalf("only %d RPCs were found", len(all))
	}
	return all
}

func accessOf(m protoreflect.MethodDescriptor) apiv1.Access {
	return proto.GetExtension(m.Options(), apiv1.E_Access).(apiv1.Access)
}

// TestEveryRPCHasARule: and no RPC that changes something is open to readers, as far as the contract tells.
func TestEveryRPCHasARule(t *testing.T) {
	for _, m := range methods(t) {
		access := accessOf(m)
		if access == apiv1.Access_ACCESS_UNSPECIFIED {
			t.Errorf("%s has no option (tarn.v1.access)", m.FullName())
		}
		reads := m.Options().ProtoReflect().Get(m.Options().ProtoReflect().Descriptor().Fields().ByName("idempotency_level")).Enum() == 1
		if access == apiv1.Access_ACCESS_READER && !reads {
			t.Errorf("%s is for readers, and does not say that it has no side effects", m.FullName())
		}
	}
}

// credential is one way to be somebody.
type credential struct {
	name  string
	conn  *grpc.ClientConn
	token string
	roles role.Set
	fails codes.Code // of every call, whatever the roles
}

// TestMatrix: every RPC, by every role, by every kind of credential. A call that is let in gets an empty request, and may fail as it likes,
// but not for who calls.
func TestMatrix(t *testing.T) {
	r := newAuthRig(t)
	socket := filepath.Join(r.dir, "sock")
	s := start(t, Config{System: quiet(), Listen: "127.0.0.1:0", Socket: socket, Auth: r.config(), Timeout: 2 * time.Second})
	for _, c := range r.credentials(s.Addr(), socket) {
		t.Run(c.name, func(t *testing.T) {
			for _, m := range methods(t) {
				c.check(t, m)
			}
		})
	}
}

// credentials are all kinds, with all roles.
func (r *authRig) credentials(tcp, socket string) []credential {
	open := r.dialTLS(tcp, nil)
	all := []credential{
		{name: "none", conn: open, fails: codes.Unauthenticated},
		{name: "unix", conn: r.dialPlain("unix:" + socket), roles: role.All},
		{name: "no TLS", conn: r.dialPlain(tcp), fails: codes.Unavailable},
	}
	for _, roles := range []role.Set{0, role.Reader, role.Writer, role.Admin, role.Raw, role.All} {
		pair := r.client("alice", roles)
		all = append(all,
			credential{name: "certificate " + roles.String(), conn: r.dialTLS(tcp, &pair), roles: roles},
			credential{name: "token " + roles.String(), conn: open, token: r.token(roles), roles: roles})
	}
	return append(all, r.badCredentials(tcp, open)...)
}

// badCredentials would have every role, were they good.
func (r *authRig) badCredentials(tcp string, open *grpc.ClientConn) []credential {
	var all []credential
	for name, text := range r.badTokens() {
		all = append(all, credential{name: "token: " + name, conn: open, token: text, fails: codes.Unauthenticated})
	}
	good, expired, revoked := r.client("alice", role.All), must2(r.ca.Client("alice", role.All, -time.Minute)), r.client("mallory", role.All)
	r.revoke(revoked.Cert)
	time.Sleep(2 * time.Second) // until the gateway has seen the list
	stranger := must2(r.authority("ca").Client("alice", role.All, time.Hour))
	server := must2(r.ca.Server([]string{"alice"}, time.Hour))
	return append(all,
		credential{name: "certificate with a bad token", conn: r.dialTLS(tcp, &good), token: "x", fails: codes.Unauthenticated},
		credential{name: "certificate: expired", conn: r.dialTLS(tcp, &expired), fails: codes.Unavailable},
		credential{name: "certificate: revoked", conn: r.dialTLS(tcp, &revoked), fails: codes.Unavailable},
		credential{name: "certificate: of another authority", conn: r.dialTLS(tcp, &stranger), fails: codes.Unavailable},
		credential{name: "certificate: of a server", conn: r.dialTLS(tcp, &server), fails: codes.Unavailable})
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (r *authRig) badTokens() map[string]string {
	good := r.token(role.All)
	parts := strings.Split(good, ".")
	otherKey, _ := r.newKey()
	sign := func(t token.Token) string { return must2(token.Sign(r.key, t, time.Hour)) }
	claims := func(change func(jwt.MapClaims)) string {
		now := time.Now()
		c := jwt.MapClaims{"sub": "alice", "aud": "tarn", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "1", "roles": []string{"admin"}}
		change(c)
		return r.signed(jwt.SigningMethodEdDSA, c, r.key)
	}
	revoked := r.token(role.All)
	r.write("revoked", []byte("# mallory's\n"+must2(token.Show(revoked)).ID+"\n"))
	return map[string]string{
		"empty":            "",
		"not one":          "hello",
		"revoked":          revoked,
		"another audience": sign(token.Token{Principal: "alice", Roles: role.All, Audience: "elsewhere"}),
		"another key":      must2(token.Sign(otherKey, token.Token{Principal: "alice", Roles: role.All, Audience: "tarn"}, time.Hour)),
		"changed":          parts[0] + "." + strings.Replace(parts[1], parts[1][10:12], "AA", 1) + "." + parts[2],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"algorithm none":   r.signed(jwt.SigningMethodNone, jwt.MapClaims{"sub": "alice", "aud": "tarn"}, jwt.UnsafeAllowNoneSignatureType),
		"symmetric":        r.signed(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "alice", "aud": "tarn"}, []byte(r.key.Public().(ed25519.PublicKey))),
		"expired": claims(func(c jwt.MapClaims) {
			c["iat"], c["exp"] = time.Now().Add(-time.Hour).Unix(), time.Now().Add(-time.Minute).Unix()
		}),
		"of the future":    claims(func(c jwt.MapClaims) { c["iat"] = time.Now().Add(10 * time.Minute).Unix() }),
		"for a week":       claims(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(7 * 24 * time.Hour).Unix() }),
		"without end":      claims(func(c jwt.MapClaims) { delete(c, "exp") }),
		"without id":       claims(func(c jwt.MapClaims) { delete(c, "jti") }),
		"without audience": claims(func(c jwt.MapClaims) { delete(c, "aud") }),
		"without begin":    claims(func(c jwt.MapClaims) { delete(c, "iat") }),
		"two audiences":    claims(func(c jwt.MapClaims) { c["aud"] = []string{"tarn", "elsewhere"} }),
		"without subject":  claims(func(c jwt.MapClaims) { delete(c, "sub") }),
		"unknown role":     claims(func(c jwt.MapClaims) { c["roles"] = []string{"god"} }),
		"too long":         good + strings.Repeat("A", token.BytesMax),
	}
}

// signed is a token with claims that package token would not sign.
func (r *authRig) signed(method jwt.SigningMethod, claims jwt.MapClaims, key any) string {
	t := jwt.NewWithClaims(method, claims)
	t.Header["kid"] = token.KeyID(r.key.Public().(ed25519.PublicKey))
	return must2(t.SignedString(key))
}

func (c credential) check(t *testing.T, m protoreflect.MethodDescriptor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if c.token != "" || strings.HasPrefix(c.name, "token: ") {
		ctx = bearing(ctx, c.token)
	}
	code, let := status.Code(callEmpty(ctx, c.conn, m)), c.roles.May(accessOf(m))
	refused := code == codes.PermissionDenied || code == codes.Unauthenticated
	switch {
	case c.fails != codes.OK && code != c.fails:
		t.Errorf("%s: %v, want %v", m.FullName(), code, c.fails)
	case c.fails == codes.OK && let && refused && !fussy(m):
		t.Errorf("%s: %v with the roles %s", m.FullName(), code, c.roles)
	case c.fails == codes.OK && !let && code != codes.PermissionDenied:
		t.Errorf("%s: %v with the roles %s, want %v", m.FullName(), code, c.roles, codes.PermissionDenied)
	}
}

// fussy are the methods that refuse for reasons of their own: devices without --allow-raw.
func fussy(m protoreflect.MethodDescriptor) bool { return accessOf(m) == apiv1.Access_ACCESS_RAW }

// callEmpty calls a method with one empty request, and reads the answers to their end.
func callEmpty(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) error {
	return callOnce(ctx, conn, m, dynamicpb.NewMessage(m.Input()))
}
