// SPDX-License-Identifier: Apache-2.0

// Package server puts the gateway together: listeners, limits, services, and how it stops.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // for clients that ask for it
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/access"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/admin"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/trace"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/web"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

// A client that names no codec, or "proto", speaks with this one.
func init() { encoding.RegisterCodecV2(wire.Codec{}) }

// streamWorkers are the goroutines that keep their stacks from one call to the next. A call that waits for the device keeps one; for calls
// beyond them goroutines are made.
const streamWorkers = 256

// What a client may send before it is read. grpc's own windows begin at 64 KiB and grow up to 16 MiB with what is measured on the way, which
// on a short way is little.
const (
	streamWindow = 1 << 20
	connWindow   = 2 << 20
)

// bulkBuffer is how much is given to a connection at once. It is held only while there is something to write.
const bulkBuffer = 128 << 10

// Config says what is served, and where. A zero limit has its default.
type Config struct {
	System  system.System // closed by Stop
	Version string
	Listen  string // TCP address; "": none
	Socket  string // path of a Unix socket; "": none
	HTTP    string // TCP address that serves HTTP and JSON; "": none
	Log     *slog.Logger
	Auth    auth.Config // its Log is this one

	LogLevel *slog.LevelVar    // of Log, for who may set it; nil: it cannot be set
	Settings []service.Setting // in effect, in the order of their names; nil: not known

	Devices  system.LocalDevices // nil: none
	AllowRaw bool                // callers may write to them, and read them over TCP

	Admin        string     // TCP address of the HTTP server for operators; "": none
	AdminExposed bool       // it may be one that other machines reach
	CoreInFlight func() int // operations that the system has; nil: not known
	Alone        bool       // nothing else is in this process: the server may tell the collector how much memory there is

	Timeout     time.Duration // of a unary call whose caller set none: 30 s
	StopTimeout time.Duration // how long Stop waits for calls: 20 s
	Idle        time.Duration // after which an unused handle is closed: 5 min
	Handles     int           // kept open while unused: 1024
	Patience    time.Duration // of a deletion with calls that use what it deletes: 2 s
	InFlight    int64         // bytes that calls hold together: 1/16 of the memory, at least 64 MiB and at most 1 GiB
	Calls       int64         // under way at once: 256 for each processor, at least 512
	Streams     uint32        // calls at once on one connection: 128
	Watches     int           // at once: half of Calls, at most 1024
	Connections int           // at once on each listener, more wait: 512
	Handshakes  int           // connections that are shaking hands, more are closed: 128
	PerAddress  int           // connections at once of one machine that is not this one, more are refused: 128
}

func (c *Config) setDefaults() {
	c.Timeout = or(c.Timeout, 30*time.Second)
	c.StopTimeout = or(c.StopTimeout, 20*time.Second)
	c.Idle = or(c.Idle, 5*time.Minute)
	c.Patience = or(c.Patience, 2*time.Second)
	c.Handles = or(c.Handles, 1024)
	c.InFlight = or(c.InFlight, limit.DefaultBytes())
	c.Calls = or(c.Calls, limit.DefaultCalls())
	c.Streams = or(c.Streams, 128)
	c.Watches = or(c.Watches, int(min(c.Calls/2, 1024)))
	c.Connections = or(c.Connections, 512)
	c.Handshakes = or(c.Handshakes, 128)
	c.PerAddress = or(c.PerAddress, 128)
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Server is a gateway.
type Server struct {
	cfg       Config
	grpc      *grpc.Server
	health    *health.Server
	guard     *auth.Guard
	handles   *handles.Cache
	services  *service.Services
	gate      *limit.Gate
	conns     *limit.Conns
	admin     *admin.Server  // nil: none
	web       *web.Server    // nil: none
	trace     *trace.Tracing // nil: none
	unwatch   func()         // ends the watch of pools' health; nil: there is none
	drain     chan struct{}
	asked     chan struct{} // closed when a caller has asked to go down
	stopped   chan struct{} // closed when nothing is served any more
	listeners []net.Listener
	failed    chan error
}

// New returns a gateway that listens, and has not begun to serve. When it fails, the system is still the caller's.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	s := &Server{cfg: cfg, health: health.NewServer(), gate: limit.NewGate(cfg.Calls, cfg.InFlight), drain: make(chan struct{}), asked: make(chan struct{}),
		conns: &limit.Conns{Most: cfg.Connections, Handshakes: cfg.Handshakes}, stopped: make(chan struct{})}
	s.gate.LimitWatches(int64(cfg.Watches))
	cfg.Auth.Log = cfg.Log
	guard, err := auth.New(cfg.Auth)
	if err != nil {
		return nil, err
	}
	s.guard = guard
	if s.trace, err = trace.FromEnv(cfg.Version, cfg.Log); err != nil {
		return nil, s.abandon(err)
	}
	s.cfg.System = s.trace.System(cfg.System)
	if err := s.listen(); err != nil {
		return nil, s.abandon(err)
	}
	s.failed = make(chan error, len(s.listeners)+2) // and those of HTTP
	s.handles = handles.New(s.cfg.System, handles.Options{Max: cfg.Handles, Idle: cfg.Idle, Patience: cfg.Patience, Log: cfg.Log, Check: access.Check})
	calls := &limit.Calls{Gate: s.gate, Timeout: cfg.Timeout, Drain: s.drain, Log: cfg.Log, Watch: &watch.Log{}}
	s.grpc = grpc.NewServer(append(s.trace.Options(),
		grpc.Creds(s.conns.Credentials(s.guard.Credentials())),
		grpc.InTapHandle(s.tap(calls)),
		grpc.ChainUnaryInterceptor(limit.HeardUnary, s.guard.Unary, calls.Unary),
		grpc.ChainStreamInterceptor(limit.HeardStream, s.guard.Stream, calls.Stream),
		experimental.BufferPool(wire.Pool),
		grpc.MaxRecvMsgSize(service.MessageMax),
		grpc.MaxHeaderListSize(limit.HeadersMost),
		grpc.InitialWindowSize(streamWindow),
		grpc.WriteBufferSize(bulkBuffer),
		grpc.InitialConnWindowSize(connWindow),
		grpc.MaxConcurrentStreams(cfg.Streams),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.WaitForHandlers(true),            // Stop must not close the system under a call
		grpc.ConnectionTimeout(5*time.Second), // of the handshake
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: time.Minute, Timeout: 20 * time.Second, MaxConnectionIdle: 15 * time.Minute,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)...)
	s.register(calls)
	calls.Methods(s.grpc.GetServiceInfo())
	if err := s.guard.Rule(s.grpc.GetServiceInfo()); err != nil {
		return nil, s.abandon(err)
	}
	if err := errors.Join(s.listenHTTP(), s.listenAdmin(calls)); err != nil {
		return nil, s.abandon(err)
	}
	return s, nil
}

// abandon undoes what New has done.
func (s *Server) abandon(err error) error {
	s.closeListeners()
	<-s.stopHTTP()
	s.trace.Stop()
	if s.grpc != nil {
		s.grpc.Stop() // its workers run already
	}
	if s.handles != nil {
		err = errors.Join(err, s.closeHandles())
	}
	return errors.Join(err, s.guard.Close())
}

// Reload reads the files of credentials now. They are read when they change, too.
func (s *Server) Reload() { s.guard.Reload() }

// ReloadOn reloads at a signal, as long as the program runs.
func (s *Server) ReloadOn(sig os.Signal) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, sig)
	go func() {
		for range signals {
			s.Reload()
		}
	}()
}

func (s *Server) register(calls *limit.Calls) {
	services := &service.Services{
		Log: s.cfg.Log, System: s.cfg.System, Handles: s.handles, Gate: s.gate, Health: s.health, Version: s.cfg.Version, Counts: &calls.Counts, Drain: s.drain,
		Started: time.Now(), Devices: s.cfg.Devices, AllowRaw: s.cfg.AllowRaw, Trace: s.trace, Watch: calls.Watch,
		Level: s.cfg.LogLevel, GoDown: sync.OnceFunc(func() { close(s.asked) }),
	}
	if s.cfg.Settings != nil {
		services.Settings = s.settings
	}
	s.services = services
	services.Register(s.grpc)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
	defer cancel()
	pools, err := s.cfg.System.Pools(ctx)
	if err != nil {
		s.cfg.Log.Warn("list pools", "error", err)
	}
	for _, info := range pools {
		services.PoolHealth(info.Label, true)
	}
}

func (s *Server) listen() error {
	if s.cfg.Listen != "" {
		l, err := limit.ListenTCP(s.cfg.Listen)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if s.cfg.Socket != "" {
		l, err := listenSocket(s.cfg.Socket)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if len(s.listeners) == 0 {
		return errors.New("nothing to listen on: give --listen or --socket")
	}
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Addr is the TCP address that is listened on, with its real port; "" when there is none.
func (s *Server) Addr() string {
	for _, l := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			return a.String()
		}
	}
	return ""
}

// Serve begins to serve, and returns.
func (s *Server) Serve() {
	if s.admin != nil {
		s.admin.Serve()
	}
	s.unwatch = s.startHealth()
	s.serveHTTP()
	go s.sweep()
	for _, l := range s.listeners {
		s.conns.Filter(l)
		go func() {
			if err := s.grpc.Serve(s.conns.Listen(limit.PerAddress(s.guard.Peers(l), s.cfg.PerAddress))); err != nil {
				s.failed <- err
			}
		}()
	}
}

// Failed has an error when a listener failed.
func (s *Server) Failed() <-chan error { return s.failed }

// Asked is closed when a caller has asked to go down: then whoever has made the server stops it.
func (s *Server) Asked() <-chan struct{} { return s.asked }

// settings are those that the server began with, but for the log level, which may have been set since.
func (s *Server) settings() []service.Setting {
	all := slices.Clone(s.cfg.Settings)
	for i := range all {
		if all[i].Name == "log-level" && s.cfg.LogLevel != nil && all[i].Value != s.cfg.LogLevel.Level().String() {
			all[i].Value, all[i].Source = s.cfg.LogLevel.Level().String(), "SetLogLevel"
		}
	}
	return all
}

// Stop says NOT_SERVING, lets calls that run end, cuts those that take too long, and closes every handle and then the system. The
// socket file is gone afterwards.
func (s *Server) Stop() error {
	s.health.Shutdown()
	close(s.drain)
	http := s.stopHTTP()
	s.endCalls()
	close(s.stopped)
	<-http
	if s.unwatch != nil {
		s.unwatch()
	}
	s.services.Stop()
	if s.admin != nil {
		s.admin.Stop()
	}
	if err := s.closeHandles(); err != nil {
		return err
	}
	s.trace.Stop()
	return errors.Join(s.guard.Close(), s.cfg.System.Close())
}

func (s *Server) closeHandles() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.StopTimeout)
	defer cancel()
	return s.handles.Close(ctx)
}
