// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/go/errno"
)

//go:embed openapi.json
var openapi []byte

const (
	typeJSON  = "application/json"
	typeLines = "application/x-ndjson"
	typeBytes = "application/octet-stream"
)

// handler is everything that a request passes, from the outside.
func (s *Server) handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, &refusal{http.StatusForbidden, errno.New("", "", errno.NoPerm, "a page of another origin may not change anything here")})
	}))
	return s.guarded(cross.Handler(http.HandlerFunc(s.route)))
}

// guarded refuses a request in the name of another host: a page from elsewhere, whose name was made to resolve to the loopback, would
// otherwise be of this origin in a browser here.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if s.local && !isLocal(r.Host) {
			s.refuse(w, r, &refusal{http.StatusForbidden,
				errno.New("", "", errno.NoPerm, "this address is served as localhost or by its number, and not by another name")})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// route serves the description by itself, and all else as a call.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/openapi.json" && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", typeJSON)
		_, _ = w.Write(openapi) // who asked may have gone
		return
	}
	c := &call{server: s, body: r.Body, control: http.NewResponseController(w)}
	defer c.end()
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callKey{}, c))
	defer cancel()
	r = r.WithContext(ctx)
	if err := errors.Join(checkBody(r), address(r)); err != nil {
		s.refuse(w, r, err)
		return
	}
	sanitize(r.Header)
	c.size = r.ContentLength
	r.Body = c
	if r.ContentLength == 0 {
		c.wholeBody()
	}
	s.mux.ServeHTTP(&patient{w, c.control, cancel}, r)
}

// checkBody refuses what can be refused without reading.
func checkBody(r *http.Request) error {
	if r.ContentLength > bodyMax {
		return tooLarge()
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && (kind == typeJSON || kind == typeBytes && r.Method == http.MethodPut) {
		return nil
	}
	if r.ContentLength == 0 {
		r.Header.Del("Content-Type") // it is that of nothing
		return nil
	}
	return &refusal{http.StatusUnsupportedMediaType, errno.New("", "", errno.Inval,
		"the body is not said to be JSON: send \"Content-Type: application/json\", as curl --json does; for a value by itself, application/octet-stream with PUT")}
}

func tooLarge() error {
	return &refusal{http.StatusRequestEntityTooLarge, errno.New("", "", errno.Rec2Big, "the body has more than 6 MiB; send less at once, or use gRPC")}
}

// sanitize leaves in the headers what gRPC can pass on. What is no credential must not become none.
func sanitize(h http.Header) {
	h.Del("X-Forwarded-For") // who calls is who connected
	h.Del("X-Forwarded-Host")
	for i, value := range h["Authorization"] {
		if !printable(value) {
			h["Authorization"][i] = "unprintable"
		}
	}
	for name := range passed {
		if !printable(h.Get(name)) {
			h.Del(name)
		}
	}
}

func printable(value string) bool {
	return !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
}

type callKey struct{}

// call is one request, and its body. One goroutine uses it.
type call struct {
	server  *Server
	body    io.ReadCloser
	control *http.ResponseController
	size    int64 // of the body; -1: not known
	read    int64
	held    int64 // bytes that it has taken of the room
	refused error // why the body is not read
}

// bodyCost is how many copies of a body there are at the worst: the text, the message, and the message on its way and at its end.
const bodyCost = 4

// admit asks whether the caller is known, and takes room for the body. It is called with the RPC's name, before the body is read.
func (c *call) admit(ctx context.Context, r *http.Request) metadata.MD {
	if c.size == 0 {
		return nil // the call itself asks all of this
	}
	method, _ := runtime.RPCMethod(ctx)
	caller := ctx.Value(callerKey{}).(*caller)
	c.refused = caller.of().Known(ctx, method, metadata.MD{"authorization": r.Header["Authorization"], "x-request-id": r.Header["X-Request-Id"]})
	if c.refused == nil {
		size := c.size
		if size < 0 {
			size = bodyMax
		}
		c.refused = c.take(size * bodyCost)
	}
	return nil
}

func (c *call) take(bytes int64) error {
	if err := c.server.cfg.Room.Take(bytes); err != nil {
		return err
	}
	c.held += bytes
	return nil
}

func (c *call) end() {
	if c.held > 0 {
		c.server.cfg.Room.Give(c.held)
	}
}

// Read implements io.Reader: the body, when it may be read, and as much as may be.
func (c *call) Read(p []byte) (int, error) {
	if c.refused != nil {
		return 0, c.refused
	}
	n, err := c.body.Read(p)
	c.read += int64(n)
	if c.read > bodyMax {
		c.refused = tooLarge()
		return 0, c.refused
	}
	if err == io.EOF {
		c.wholeBody()
	}
	return n, err
}

// wholeBody ends the time for reading: it would end the call, too.
func (c *call) wholeBody() { _ = c.control.SetReadDeadline(time.Time{}) } // without it long calls end early

// Close implements io.Closer.
func (c *call) Close() error { return c.body.Close() }

// patient gives a client that reads slowly its time for each piece of an answer, and not for all of it. When the client has gone the call
// ends; to who writes the answer that is no error.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	gone    context.CancelFunc
}

// Write implements http.ResponseWriter.
func (p *patient) Write(b []byte) (int, error) {
	err := p.control.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		_, err = p.ResponseWriter.Write(b)
	}
	if err != nil {
		p.gone()
	}
	return len(b), nil
}

// FlushError is for http.ResponseController.
func (p *patient) FlushError() error {
	if p.control.Flush() != nil {
		p.gone()
	}
	return nil
}

// refuse answers a request that becomes no call.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Connection", "close") // what is left of the body is not waited for
	s.fail(r.Context(), nil, nil, w, r, err)
}

// refusal is an error whose HTTP status is not that of its code.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// invalid is the status of a request that the routes do not understand.
func invalid(format string, args ...any) error { return fault.Invalid("request", "", format, args...) }
