// SPDX-License-Identifier: Apache-2.0

// Package auth decides who may call what. Every call of the gateway passes a Guard before anything else, and this is always true:
//
//   - A method without a rule cannot be called, and a server that has one does not start.
//   - A credential that is not valid is refused, whatever else the caller has.
//   - A call does not outlive its credential by more than 5 s, nor does it outlive the revocation of it.
//   - A stream does not outlive by more than 5 s what an access control list gave it. Package access asks the lists.
//   - A file that changes takes effect within 2 s; one that is not good changes nothing.
//   - What is refused, and what needs the role admin or raw, is in the audit log.
package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/internal/audit"
	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	"github.com/tarn-storage/tarn/go/errno"
)

// Config names the files. With none of them everybody who can connect may do everything: on the loopback, and nowhere else, that is how
// it is meant.
type Config struct {
	Cert, Key    string // of the server, PEM; "": no TLS
	ClientCA     string // authorities of client certificates; needs Cert
	CRL          string // their revocation lists; needs ClientCA
	TokenKeys    string // public keys of tokens
	TokenRevoked string // ids of revoked tokens; needs TokenKeys
	Audience     string // that tokens must be for; "": token.DefaultAudience
	Audit        string // the audit log; "": none
	Log          *slog.Logger
}

// Check says which files do not belong together.
func (c *Config) Check() error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("--tls-cert and --tls-key belong together: give both or none")
	case c.ClientCA != "" && c.Cert == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	case c.CRL != "" && c.ClientCA == "":
		return errors.New("--tls-crl needs --tls-client-ca, which signed what it revokes")
	case (c.TokenRevoked != "" || c.Audience != "") && c.TokenKeys == "":
		return errors.New("--token-revoked and --token-audience need --token-keys")
	}
	return nil
}

// Knows reports whether callers over TCP must show who they are.
func (c *Config) Knows() bool { return c.ClientCA != "" || c.TokenKeys != "" }

// Guard stands before every call.
type Guard struct {
	cfg       Config
	parts     []*part
	reloading sync.Mutex // guards parts
	state     atomic.Pointer[state]
	anonymous role.Set // of callers over TCP without a credential
	rules     Rules
	tokens    verified
	live      live
	turns     turns
	logged    few // complaints about callers
	denials   few // in the audit log
	denied    atomic.Uint64
	audit     *audit.Log
	broken    atomic.Bool // the audit log: its last entry could not be written
	stop      chan struct{}
	stopped   chan struct{}
}

// New reads the files. The caller calls Start when every service is registered, and Close in the end.
func New(cfg Config) (*Guard, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Audience == "" {
		cfg.Audience = token.DefaultAudience
	}
	g := &Guard{cfg: cfg, parts: cfg.parts(), turns: newTurns(), stop: make(chan struct{}), stopped: make(chan struct{})}
	if !cfg.Knows() {
		g.anonymous = role.All
	}
	if err := g.loadFirst(); err != nil {
		return nil, err
	}
	if cfg.Audit != "" {
		log, err := audit.Open(cfg.Audit)
		if err != nil {
			return nil, err
		}
		g.audit = log
	}
	go g.watch()
	return g, nil
}

// Rule learns the rules of what a server offers, before it serves.
func (g *Guard) Rule(services map[string]grpc.ServiceInfo) (err error) {
	g.rules, err = RulesOf(services)
	return err
}

// Denied is how many calls, and calls that came on streams, were denied since the start: for their credential, their role or a list.
func (g *Guard) Denied() uint64 { return g.denied.Load() }

// Close ends what runs in the background. No call may follow.
func (g *Guard) Close() error {
	close(g.stop)
	<-g.stopped
	if g.audit == nil {
		return nil
	}
	return g.audit.Close()
}

// admit decides about a call.
func (g *Guard) admit(ctx context.Context, method string, req any) (*Identity, *connection, error) {
	who, conn, err := g.identify(ctx)
	needs := g.rules[method].Access
	switch {
	case open(method, req):
		if err != nil {
			who = &Identity{Kind: "none"}
		}
		return who, conn, nil
	case err != nil:
		return &Identity{Kind: "none"}, conn, err
	case !who.Roles.May(needs):
		return who, conn, errno.New("", "", errno.NoPerm, who.Who()+" has the roles ["+who.Roles.String()+"], and the call needs "+accessName(needs))
	}
	return who, conn, nil
}

// Unary is a grpc.UnaryServerInterceptor.
func (g *Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	who, conn, err := g.admit(ctx, info.FullMethod, req)
	r := g.record(ctx, info.FullMethod, who)
	if g.audit != nil && (r.always || err != nil) {
		r.subject(req)
	}
	if err != nil {
		_ = grpc.SetHeader(ctx, r.header()) // only when headers were sent, which no unary call does before this
		return nil, r.denied(err)
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	ctx, end := g.enter(ctx, info.FullMethod, who, conn, nil)
	defer end()
	resp, err := handler(ctx, req)
	if g.audit != nil && refused(err) {
		r.subject(req)
	}
	return resp, r.ended(outcome(ctx, err))
}

// Stream is a grpc.StreamServerInterceptor.
func (g *Guard) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	who, conn, err := g.admit(ss.Context(), info.FullMethod, nil)
	r := g.record(ss.Context(), info.FullMethod, who)
	if err != nil {
		_ = ss.SetHeader(r.header())
		return r.denied(err)
	}
	if err := r.begin(); err != nil {
		return err
	}
	ctx, end := g.enter(ss.Context(), info.FullMethod, who, conn, r)
	defer end()
	return r.ended(outcome(ctx, handler(srv, &stream{ServerStream: ss, ctx: ctx, record: r})))
}

// enter is the context of an admitted call. A stream has a record; it is watched for what access control lists say, too.
func (g *Guard) enter(ctx context.Context, method string, who *Identity, conn *connection, stream *record) (context.Context, func()) {
	c, end := &caller{who: who, needs: g.rules[method].Needs}, func() {}
	if who.Kind == "cert" || who.Kind == "token" || stream != nil {
		live := &call{who: who, conn: conn, record: stream}
		ctx, end = g.live.begin(ctx, live)
		if stream != nil {
			c.live = live
		}
	}
	return context.WithValue(ctx, callerKey{}, c), end
}

// outcome is how a call ended: by its credential or a list, when that is why its context ended.
func outcome(ctx context.Context, err error) error {
	var why *errno.Error
	if err != nil && errors.As(context.Cause(ctx), &why) && (why.Code == errno.BadCert || why.Code == errno.NoPerm) {
		return fault.Status(why, false)
	}
	return err
}

// stream is a stream whose context ends with the credential, and whose first message tells what it is about.
type stream struct {
	grpc.ServerStream
	ctx    context.Context
	record *record
	named  bool
}

// Context implements grpc.ServerStream.
func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *stream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil && s.record.g.audit != nil && !s.named {
		s.named = true
		s.record.subject(m)
	}
	return err
}

const (
	requestID    = "x-request-id"
	requestIDMax = 128
)

// idOf is the caller's request id, or a new one.
func idOf(ctx context.Context) string {
	if ids := metadata.ValueFromIncomingContext(ctx, requestID); len(ids) == 1 && len(ids[0]) <= requestIDMax {
		return ids[0]
	}
	return rand.Text()
}
