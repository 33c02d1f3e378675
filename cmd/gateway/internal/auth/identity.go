// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
)

// Identity is who calls. It never changes.
type Identity struct {
	Kind  string // of the credential: "none", "unix", "cert" or "token"
	Name  string // of the principal; "" when it has none
	Roles role.Set
	// Groups of the principal, as its certificate or token names them.
	Groups []string

	expires time.Time           // of a token, with the skew
	certs   []*x509.Certificate // of a client certificate
	id, key string              // of a token

	names atomic.Pointer[names]
}

// names are what an identity is called. They are made once: every call asks for them.
type names struct {
	who        string
	principals acl.Who
}

func (i *Identity) called() *names {
	if n := i.names.Load(); n != nil {
		return n
	}
	n := &names{who: i.Kind, principals: i.findPrincipals()}
	if i.Name != "" {
		n.who += ":" + i.Name
	}
	i.names.Store(n)
	return n
}

// Who names the principal with the kind of its credential.
func (i *Identity) Who() string { return i.called().who }

// valid says what makes the credential invalid now.
func (i *Identity) valid(s *state, now time.Time) error {
	switch i.Kind {
	case "cert":
		return s.verify(i.certs, now)
	case "token":
		return i.validToken(s, now)
	}
	return nil
}

func (i *Identity) validToken(s *state, now time.Time) error {
	switch {
	case now.After(i.expires):
		return errors.New("it has expired")
	case s.denied[i.id]:
		return errors.New("it was revoked")
	case s.keys[i.key] == nil:
		return errors.New("it was signed with a key that is not known here")
	}
	return nil
}

// identify finds out who calls: by the token when there is one, else by the connection. A credential that is not valid is never passed
// over for another one.
func (g *Guard) identify(ctx context.Context) (*Identity, *connection, error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return nil, nil, noCredential()
	}
	conn, ok := p.AuthInfo.(*connection)
	if !ok {
		return nil, nil, noCredential()
	}
	s, now := g.state.Load(), time.Now()
	if sent := metadata.ValueFromIncomingContext(ctx, "authorization"); len(sent) > 0 {
		i, err := g.byToken(sent, s, now)
		return i, conn, err
	}
	i, err := conn.identity(s, now)
	return i, conn, err
}

func noCredential() error {
	return errno.New("", "", errno.NoCert, "the gateway does not know who calls; present a client certificate or a token")
}

func badToken(err error) error {
	return errno.New("", "", errno.BadCert, "the token is not taken: "+err.Error()+"; get a new one")
}

func badCert(err error) error {
	return errno.New("", "", errno.BadCert, err.Error()+"; get a new one")
}

// byToken is whom a bearer token names.
func (g *Guard) byToken(sent []string, s *state, now time.Time) (*Identity, error) {
	scheme, text, _ := strings.Cut(sent[0], " ")
	switch {
	case s.keys == nil:
		return nil, badToken(errors.New("this gateway was started without --token-keys"))
	case len(sent) > 1 || !strings.EqualFold(scheme, "bearer"):
		return nil, badToken(errors.New("write it as one \"authorization: Bearer TOKEN\""))
	}
	digest := sha256.Sum256([]byte(text))
	i := g.tokens.get(digest)
	if i == nil {
		t, err := token.Verify(text, s.keys, g.cfg.Audience, now)
		if err != nil {
			return nil, badToken(err)
		}
		i = &Identity{Kind: "token", Name: t.Principal, Roles: t.Roles, Groups: t.Groups, expires: t.Expires.Add(token.Skew), id: t.ID, key: t.Key}
		g.tokens.put(digest, i)
	}
	if err := i.validToken(s, now); err != nil {
		return nil, badToken(err)
	}
	return i, nil
}

// verified remembers tokens whose signature was found right, by their digests.
type verified struct {
	mu  sync.RWMutex
	all map[[sha256.Size]byte]*Identity
}

const verifiedMax = 4096

func (v *verified) get(digest [sha256.Size]byte) *Identity {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.all[digest]
}

// put forgets everything when it is full: tokens are few, and verifying one costs 50 µs.
func (v *verified) put(digest [sha256.Size]byte, i *Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil || len(v.all) >= verifiedMax {
		v.all = map[[sha256.Size]byte]*Identity{}
	}
	v.all[digest] = i
}

// byCert is whom a client certificate names.
func byCert(certs []*x509.Certificate) (*Identity, error) {
	name, roles, err := pki.Principal(certs[0])
	if err != nil {
		return nil, badCert(err)
	}
	groups, err := pki.Groups(certs[0])
	if err != nil {
		return nil, badCert(err)
	}
	return &Identity{Kind: "cert", Name: name, Roles: roles, Groups: groups, certs: certs}, nil
}
