// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestCloseParent: a parent with open children is BUSY, says how many, and goes on working.
func TestCloseParent(t *testing.T) {
	ctx := t.Context()
	kv := openKV(t)
	cont, pool, sys := kv.cont, kv.cont.pool, kv.cont.pool.sys
	for _, c := range []interface{ Close() error }{sys, pool, cont} {
		wantCode(t, fmt.Sprintf("Close of %T with a child", c), c.Close(), errno.Busy)
	}
	r, err := kvWithReader(ctx, kv)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "Close of a KV with a reader", kv.Close(), errno.Busy)
	must(t, r.Close())
	must(t, kv.Put(ctx, []byte("k"), nil))
	if _, err := pool.Info(ctx); err != nil {
		t.Errorf("Info after a refused Close: %v", err)
	}
}

func kvWithReader(ctx context.Context, kv *KV) (*Reader, error) {
	if err := kv.Put(ctx, []byte("k"), []byte("v")); err != nil {
		return nil, err
	}
	return kv.Reader(ctx, []byte("k"))
}

// TestCloseRaces closes handles while many goroutines use them: each call works or is NO_HDL.
func TestCloseRaces(t *testing.T) {
	ctx := t.Context()
	kv := openKV(t)
	for round := range 20 {
		h, err := kv.cont.OpenKV(ctx, "stadium", false)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() { useUntilClosed(t, h, fmt.Sprintf("%d", g)) })
		}
		time.Sleep(time.Duration(round) * time.Millisecond / 2)
		for range 3 {
			wg.Go(func() { must(t, closeEventually(h)) })
		}
		wg.Wait()
		must(t, h.Close())
	}
}

// closeEventually closes a handle on which readers come and go.
func closeEventually(h *KV) error {
	for {
		if err := h.Close(); !errors.Is(err, errno.Busy) {
			return err
		}
		runtime.Gosched()
	}
}

func useUntilClosed(t *testing.T, kv *KV, name string) {
	key := []byte(name)
	for i := 0; ; i++ {
		var err error
		switch i % 4 {
		case 0:
			err = kv.Put(context.Background(), key, key)
		case 1:
			_, err = kv.Get(context.Background(), key)
		case 2:
			for _, e := range kv.List(context.Background(), Range{}) {
				err = e
			}
		case 3:
			var r *Reader
			if r, err = kv.Reader(context.Background(), key); err == nil {
				err = r.Close()
			}
		}
		if errors.Is(err, fs.ErrClosed) {
			return
		}
		if err != nil {
			t.Errorf("a call that races with Close: %v", err)
			return
		}
	}
}

// TestCloseOpenRaces closes a parent while children are opened from it: a child that was opened works.
func TestCloseOpenRaces(t *testing.T) {
	ctx := context.Background()
	kv := openKV(t)
	pool := kv.cont.pool
	for range 20 {
		cont, err := pool.OpenContainer(ctx, "neo")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { openAndUse(t, cont) })
		}
		wg.Go(func() {
			for errors.Is(cont.Close(), errno.Busy) {
				runtime.Gosched()
			}
		})
		wg.Wait()
		must(t, cont.Close())
	}
}

func openAndUse(t *testing.T, cont *Container) {
	kv, err := cont.OpenKV(context.Background(), "stadium", true)
	if errors.Is(err, errno.NoHdl) {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	if _, err = kv.Exists(context.Background(), []byte("k")); err != nil {
		t.Errorf("a child of a parent that is being closed: %v", err)
	}
	must(t, kv.Close())
}

// TestLeaks drops handles of every kind without closing them: each is reported and freed, children before parents.
func TestLeaks(t *testing.T) {
	var log memLog
	root := t.TempDir()
	keep := open(t, Options{Root: root, Logger: slog.New(&log)})
	leak(t, root, slog.New(&log))
	want := []string{"system", "pool", "container", "KV", "reader", "writer"}
	deadline := time.Now().Add(10 * time.Second)
	for missing(log.all(), want) != "" && time.Now().Before(deadline) {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if kind := missing(log.all(), want); kind != "" {
		t.Fatalf("the leak of a %s was not reported: %q", kind, log.all())
	}
	// All is freed when the pool can be destroyed.
	err := errno.Busy.Error
	for time.Now().Before(deadline) {
		e := keep.DestroyPool(t.Context(), "tank", true)
		if e == nil {
			return
		}
		err = e.Error
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the pool of leaked handles cannot be destroyed: %s; %q", err(), log.all())
}

func missing(lines, kinds []string) string {
	for _, kind := range kinds {
		if !strings.Contains(strings.Join(lines, "\n"), "kind="+kind) {
			return kind
		}
	}
	return ""
}

//go:noinline
func leak(t *testing.T, root string, log *slog.Logger) {
	leaksMeant.Add(6)
	ctx := t.Context()
	sys, err := OpenWith(Options{Root: root, Logger: log})
	must(t, err)
	_, err = sys.CreatePool(ctx, "tank", CreatePool{Size: testPool})
	must(t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	must(t, err)
	_, err = pool.CreateContainer(ctx, "neo", CreateContainer{})
	must(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	must(t, err)
	kv, err := cont.OpenKV(ctx, "stadium", true)
	must(t, err)
	must(t, kv.Put(ctx, []byte("k"), []byte("v")))
	_, err = kv.Reader(ctx, []byte("k"))
	must(t, err)
	w, err := kv.Writer(ctx, []byte("w"))
	must(t, err)
	_, err = w.Write([]byte("half"))
	must(t, err)
}

// TestCloseWaits: Close returns only after the calls that were inside.
func TestCloseWaits(t *testing.T) {
	kv := openKV(t)
	h, err := kv.cont.OpenKV(t.Context(), "stadium", false)
	if err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int32
	var wg sync.WaitGroup
	for g := range 50 {
		inside.Add(1)
		wg.Go(func() {
			err := h.Put(context.Background(), fmt.Append(nil, g), make([]byte, 1000))
			if err != nil && !errors.Is(err, errno.NoHdl) {
				t.Error(err)
			}
			inside.Add(-1)
		})
	}
	must(t, h.Close())
	if n := h.h.inside(); n != 0 {
		t.Errorf("after Close the handle counts %d calls", n)
	}
	wg.Wait()
}
