// SPDX-License-Identifier: Apache-2.0

package server

import (
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
	"github.com/tarn-storage/tarn/go/tarn"
)

// testLog shows the server's log when the test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("server: %s", p)
	return len(p), nil
}

// engine opens the real system in a directory.
func engine(t testing.TB, root string) system.System {
	t.Helper()
	sys, err := tarn.OpenWith(tarn.Options{Root: root, CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return sys.System()
}

// start starts a gateway; it is stopped, and its system closed, when the test ends.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s := begin(t, cfg)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

// begin starts a gateway that the test stops itself.
func begin(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Listen == "" && cfg.Socket == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	cfg.Version = "0.0.0-test"
	cfg.Log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve()
	return s
}

func dial(t testing.TB, endpoint string) *client.System {
	t.Helper()
	c, err := client.Dial(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, c)
	return c
}

// connect is a bare connection, for what the Go client would not do.
func connect(t testing.TB, endpoint string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// openKV makes and opens tank/neo/stadium.
func openKV(t testing.TB, sys system.System) system.KV {
	t.Helper()
	ctx := t.Context()
	if _, err := sys.CreatePool(ctx, "tank", system.CreatePool{Size: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	pool, err := sys.OpenPool(ctx, "tank")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.CreateContainer(ctx, "neo", system.CreateContainer{}); err != nil {
		t.Fatal(err)
	}
	return openIn(t, pool)
}

// openIn opens neo/stadium in a pool. All three are closed when the test ends.
func openIn(t testing.TB, pool system.Pool) system.KV {
	t.Helper()
	closeAfter(t, pool)
	cont, err := pool.OpenContainer(t.Context(), "neo")
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, cont)
	kv, err := cont.OpenKV(t.Context(), "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, kv)
	return kv
}

// closeAfter closes a handle when the test ends, and what was opened from it has been closed.
func closeAfter(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !t.Failed() {
			t.Errorf("close: %v", err)
		}
	})
}

// TestConformance: over a gateway the system is the same as in this process.
func TestConformance(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{System: engine(t, filepath.Join(dir, "root")), Listen: "127.0.0.1:0", Socket: filepath.Join(dir, "sock")})
	if testing.Short() {
		systemtest.Run(t, dial(t, s.Addr()))
		return
	}
	for name, endpoint := range map[string]string{"tcp": s.Addr(), "unix": "unix:" + filepath.Join(dir, "sock")} {
		t.Run(name, func(t *testing.T) { systemtest.Run(t, dial(t, endpoint)) })
	}
}
