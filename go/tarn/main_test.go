// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(holdRoot) != "" {
		os.Exit(hold())
	}
	code := m.Run()
	if n := stray(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d handles were not closed: give the tests a logger that takes DEBUG, and it says which\n", n)
		code = 1
	}
	os.Exit(code)
}

// leaksMeant is what tests of leaks have leaked.
var leaksMeant atomic.Uint64

// stray is the number of handles that were collected before they were closed, and that no test meant to leak.
func stray() uint64 {
	for range 3 { // cleanups run after a collection, and may free what the next one collects
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	return Leaked() - leaksMeant.Load()
}

func TestConformance(t *testing.T) {
	systemtest.Run(t, open(t, Options{}).System())
}

const testPool = 64 << 20

// open opens a system in a directory of its own, until the test ends.
func open(t testing.TB, o Options) *System {
	t.Helper()
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	sys, err := OpenWith(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, sys.Close()) })
	return sys
}

// openPool makes and opens a pool, until the test ends.
func openPool(t testing.TB, sys *System) *Pool {
	t.Helper()
	if _, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: testPool}); err != nil {
		t.Fatal(err)
	}
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, pool.Close()) })
	return pool
}

// openKV makes and opens an object in a pool of its own, until the test ends.
func openKV(t testing.TB) *KV {
	t.Helper()
	return openKVWith(t, Options{})
}

func openKVWith(t testing.TB, o Options) *KV {
	t.Helper()
	pool := openPool(t, open(t, o))
	if _, err := pool.CreateContainer(t.Context(), "neo", CreateContainer{}); err != nil {
		t.Fatal(err)
	}
	cont, err := pool.OpenContainer(t.Context(), "neo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, cont.Close()) })
	kv, err := cont.OpenKV(t.Context(), "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, kv.Close()) })
	return kv
}

// check is Pool.Check for who wants no report.
func check(ctx context.Context, pool *Pool) error {
	_, err := pool.Check(ctx, CheckOptions{})
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func wantCode(t testing.TB, what string, err error, code errno.Code) {
	t.Helper()
	var e *errno.Error
	if !errors.Is(err, code) || !errors.As(err, &e) || e.Message == "" {
		t.Errorf("%s: got %v, want %s with a sentence", what, err, code.Name())
	}
}

// memLog is a logger's memory.
type memLog struct {
	mu    sync.Mutex
	lines []string
}

func (m *memLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (m *memLog) WithAttrs([]slog.Attr) slog.Handler           { return m }
func (m *memLog) WithGroup(string) slog.Handler                { return m }

func (m *memLog) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, line)
	return nil
}

func (m *memLog) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.lines...)
}
