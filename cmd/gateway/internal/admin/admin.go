// SPDX-License-Identifier: Apache-2.0

// Package admin serves what an operator watches the gateway by, over HTTP: /metrics, /livez, /readyz, /debug/pprof and, at /, a page.
//
// Always true: nothing here changes data or opens a pool, and nothing here shows keys or values. What is asked of the system is asked
// by one goroutine at a time and kept for a second, so that many watchers cost no more than one; a system that does not answer leaves
// the last answer standing, and the counts go on.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/trace"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	"github.com/tarn-storage/tarn/go/system"
)

const connectionMax = 64 // at once; more wait

// Config says what is watched, and where it is served.
type Config struct {
	Addr     string // HOST:PORT
	Exposed  bool   // Addr may be one that other machines reach
	System   system.System
	Handles  *handles.Cache
	Gate     *limit.Gate
	Conns    *limit.Conns
	Counts   *limit.Counts
	Watch    *watch.Log
	Drain    <-chan struct{} // closed when the gateway goes down
	Tasks    func() []Task   // operations of the gateway, the newest first
	InFlight func() int      // operations that C has; nil: not known
	Denied   func() uint64   // calls, since the start
	Sessions func() (open, waiting int64)
	Trace    *trace.Tracing // nil: none
	Version  string
	Started  time.Time
	Log      *slog.Logger
}

// Server serves the admin address.
type Server struct {
	cfg      Config
	listener net.Listener
	http     http.Server
	facts    facts
	series   watch.Series
	viewers  chan struct{} // a place for each page that is open
	done     chan struct{} // closed by Stop
}

// New listens, and has not begun to serve.
func New(cfg Config) (*Server, error) {
	if !cfg.Exposed {
		if err := CheckLoopback("admin", cfg.Addr); err != nil {
			return nil, err
		}
	}
	s := &Server{cfg: cfg, viewers: make(chan struct{}, viewerMax), done: make(chan struct{})}
	s.facts.cfg = &s.cfg
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	s.http = http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	if s.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	return s, nil
}

// CheckLoopback refuses an address that other machines could reach. flag is the setting that has it.
func CheckLoopback(flag, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--%s %s is not HOST:PORT", flag, addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--%s %s can be reached from other machines, and everyone who reaches it may read memory profiles and the names of "+
		"pools and objects: use a loopback address, or say --insecure-admin", flag, addr)
}

func (s *Server) handler() (http.Handler, error) {
	metrics := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s} {
		if err := metrics.Register(c); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		MaxRequestsInFlight: 8, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn)}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /status.json", s.status)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return s.guard(mux), nil
}

// guard refuses a request in the name of another host: a page from elsewhere, whose name was made to resolve to the loopback, would
// otherwise read all of this in a browser here.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !s.cfg.Exposed && !isLocal(r.Host) {
			say(w, http.StatusForbidden, "this address is served as localhost or by its number, and not by another name")
			return
		}
		if r.ContentLength == 0 { // it has been read: its deadline would end a profile, or the stream of a page
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // without it they end early
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

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.draining() {
		say(w, http.StatusServiceUnavailable, "draining: calls that run may end, and no others are taken")
		return
	}
	say(w, http.StatusOK, "ok")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // who asked may have gone
}

func (s *Server) draining() bool {
	select {
	case <-s.cfg.Drain:
		return true
	default:
		return false
	}
}

// Addr is the address that is listened on, with its real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve begins to serve, and returns.
func (s *Server) Serve() {
	go s.sample()
	go func() {
		if err := s.http.Serve(netutil.LimitListener(s.listener, connectionMax)); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("the admin address is served no longer", "error", err)
		}
	}()
}

// Stop ends all requests, those for profiles and pages too. It must be called before the system is closed.
func (s *Server) Stop() {
	close(s.done)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // what was left is cut
	}
	_ = s.listener.Close() // when it was never served
	s.facts.stop()
}

// sample makes a point of the series every second.
func (s *Server) sample() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.series.Add(time.Now(), totals(s.cfg.Counts))
		select {
		case now := <-tick.C:
			s.cfg.Watch.Tick(now)
		case <-s.done:
			return
		}
	}
}

func totals(c *limit.Counts) (t watch.Totals) {
	for _, m := range c.All() {
		t.Calls += m.Calls
		t.Errors += m.Errors
		if !m.Stream {
			t.Latency = t.Latency.Plus(m.Latency)
		}
	}
	return t
}
