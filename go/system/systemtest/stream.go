// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// stream writes a value in pieces and commits it; the first error ends it.
func stream(ctx context.Context, kv system.KV, key, val []byte, piece int, cond ...system.Cond) error {
	w, err := kv.Writer(ctx, key, cond...)
	if err != nil {
		return err
	}
	defer w.Close()
	for len(val) > 0 {
		n, err := w.Write(val[:min(piece, len(val))])
		if err != nil {
			return err
		}
		val = val[n:]
	}
	return w.Commit(ctx)
}

func wantStream(t *testing.T, kv system.KV, key string, want []byte, piece int) {
	t.Helper()
	r, err := kv.Reader(t.Context(), []byte(key))
	if err != nil {
		t.Errorf("Reader(%s): %v", key, err)
		return
	}
	defer r.Close()
	if st := r.Stat(); st.Size != uint64(len(want)) || st.Revision == 0 {
		t.Errorf("Reader(%s).Stat() = %+v, want size %d", key, st, len(want))
	}
	var got bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, make([]byte, piece))
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("Reader(%s) in pieces of %d: %d bytes, %v; want %d", key, piece, got.Len(), err, len(want))
	}
}

func testStream(t *testing.T, f *fixture) {
	kv := f.kv(t)
	for _, n := range []int{0, 1, 5000, 65536, 1 << 20, 5<<20 + 3} {
		for i, piece := range []int{max(n, 1), 1000003, 32768, 999} {
			if n/piece > 600 {
				continue
			}
			key, val := fmt.Sprintf("%d by %d", n, piece), pattern(n, byte(i))
			if err := stream(t.Context(), kv, []byte(key), val, piece); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			wantValue(t, kv, key, val)
			wantStream(t, kv, key, val, piece)
			must(t, kv.Delete(t.Context(), []byte(key)))
		}
	}
}

// testStreamAbandoned: nothing is visible before Commit, and nothing ever without.
func testStreamAbandoned(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("old"), []byte("old")))
	for _, key := range []string{"old", "new"} {
		w, err := kv.Writer(ctx, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Write(pattern(3<<20, 1)); err != nil {
			t.Fatal(err)
		}
		wantOld(t, kv, key)
		must(t, w.Close())
		must(t, w.Close())
		_, err = w.Write([]byte("x"))
		wantCode(t, "Write after Close", err, errno.NoHdl)
		wantCode(t, "Commit after Close", w.Commit(ctx), errno.NoHdl)
		wantOld(t, kv, key)
	}
	mustCheck(t, f.pool)
}

func wantOld(t *testing.T, kv system.KV, key string) {
	t.Helper()
	if key == "old" {
		wantValue(t, kv, key, []byte("old"))
	} else {
		wantAbsent(t, kv, key)
	}
}

// testStreamSnapshot: a reader sees the value as it was.
func testStreamSnapshot(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	for _, n := range []int{100, 3 << 20} {
		old := pattern(n, 1)
		must(t, kv.Put(ctx, []byte("k"), old))
		r, err := kv.Reader(ctx, []byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 50)
		if _, err = io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		must(t, kv.Put(ctx, []byte("k"), pattern(n, 2)))
		must(t, kv.Delete(ctx, []byte("k")))
		must(t, f.pool.Checkpoint(ctx))
		for i := range 20 {
			must(t, kv.Put(ctx, fmt.Appendf(nil, "other %d", i), pattern(100000, byte(i))))
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(got, rest...), old) {
			t.Errorf("a reader of %d bytes got %d, %v, after the value was changed", n, len(got)+len(rest), err)
		}
		must(t, r.Close())
	}
}

func testStreamErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	_, err := kv.Reader(ctx, []byte("none"))
	wantCode(t, "Reader of none", err, errno.NonExist)
	must(t, kv.Put(ctx, []byte("there"), []byte("old")))
	val := pattern(100000, 1)
	wantCode(t, "insert of what is there", stream(ctx, kv, []byte("there"), val, 10000, system.CondInsert), errno.Exist)
	wantCode(t, "update of none", stream(ctx, kv, []byte("none"), val, 10000, system.CondUpdate), errno.NonExist)
	wantOld(t, kv, "none")
	wantValue(t, kv, "there", []byte("old"))
	must(t, stream(ctx, kv, []byte("there"), val, 10000, system.CondUpdate))
	must(t, stream(ctx, kv, []byte("none"), val, 10000, system.CondInsert))
	wantValue(t, kv, "there", val)
	wantValue(t, kv, "none", val)
	w, err := kv.Writer(ctx, []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, w.Commit(ctx))
	wantCode(t, "Commit after Commit", w.Commit(ctx), errno.NoHdl)
	must(t, w.Close())
	wantValue(t, kv, "k", nil)
}

// testContexts: with a context that has ended, every call fails with its error, and changes nothing.
func testContexts(t *testing.T, f *fixture) {
	kv := f.kv(t)
	must(t, kv.Put(t.Context(), []byte("k"), []byte("v")))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		code errno.Code
	}{{cancelled, errno.Canceled}, {expired, errno.TimedOut}} {
		ctx := c.ctx
		for name, call := range map[string]func() error{
			"Get":         func() error { _, err := kv.Get(ctx, []byte("k")); return err },
			"Put":         func() error { return kv.Put(ctx, []byte("k"), []byte("new")) },
			"Put large":   func() error { return kv.Put(ctx, []byte("k"), pattern(2<<20, 1)) },
			"Delete":      func() error { return kv.Delete(ctx, []byte("k")) },
			"Apply":       func() error { return kv.Apply(ctx, []system.Mutation{{Key: []byte("k")}}) },
			"Count":       func() error { _, err := kv.Count(ctx, system.Range{}); return err },
			"DeleteRange": func() error { _, err := kv.DeleteRange(ctx, system.Range{}); return err },
			"Checkpoint":  func() error { return f.pool.Checkpoint(ctx) },
			"OpenPool":    func() error { _, err := f.sys.OpenPool(ctx, f.label); return err },
		} {
			err := call()
			wantCode(t, name, err, c.code)
			if !errors.Is(err, ctx.Err()) {
				t.Errorf("%s: %v does not match %v", name, err, ctx.Err())
			}
		}
	}
	wantValue(t, kv, "k", []byte("v"))
}

func testConcurrent(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	const workers, each = 32, 15
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%02d-%02d", w, i)
				must(t, kv.Put(ctx, []byte(key), pattern(10*w+i, byte(i))))
				must(t, kv.Put(ctx, []byte("shared"), []byte(key)))
				wantValue(t, kv, key, pattern(10*w+i, byte(i)))
			}
			for _, err := range kv.List(ctx, system.Range{}) {
				must(t, err)
			}
		})
	}
	wg.Wait()
	if n, err := kv.Count(ctx, system.Range{}); n != workers*each+1 || err != nil {
		t.Errorf("Count = %d, %v; want %d", n, err, workers*each+1)
	}
	mustCheck(t, f.pool)
}

// testClosed: a closed handle is an error that says so; closing again is not.
func testClosed(t *testing.T, f *fixture) {
	ctx := t.Context()
	pool, err := f.sys.OpenPool(ctx, f.label)
	must(t, err)
	f.cont(t, "neo")
	cont, err := pool.OpenContainer(ctx, "neo")
	must(t, err)
	kv, err := cont.OpenKV(ctx, "stadium", true)
	must(t, err)
	must(t, kv.Put(ctx, []byte("k"), nil))
	r, err := kv.Reader(ctx, []byte("k"))
	must(t, err)
	for _, c := range []io.Closer{r, kv, cont, pool} {
		must(t, c.Close())
		must(t, c.Close())
	}
	_, getErr := kv.Get(ctx, []byte("k"))
	_, readErr := r.Read(make([]byte, 10))
	_, infoErr := pool.Info(ctx)
	_, openErr := cont.OpenKV(ctx, "stadium", true)
	for what, err := range map[string]error{"Get": getErr, "Put": kv.Put(ctx, []byte("k"), nil), "Read": readErr, "Info": infoErr,
		"OpenKV": openErr, "Sync": pool.Sync(ctx)} {
		wantCode(t, what+" after Close", err, errno.NoHdl)
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s after Close: %v does not match fs.ErrClosed", what, err)
		}
	}
	for _, err := range kv.List(ctx, system.Range{}) {
		wantCode(t, "List after Close", err, errno.NoHdl)
	}
}

// testReopen: what was written is there when everything has been closed and opened again.
func testReopen(t *testing.T, f *fixture) {
	ctx := t.Context()
	for round := range 3 {
		pool, err := f.sys.OpenPool(ctx, f.label)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			_, err = pool.CreateContainer(ctx, "neo", system.CreateContainer{Type: system.TypePython})
			must(t, err)
			must(t, f.pool.Close()) // so that the others are the last handles
		}
		reopened(t, pool, round)
		must(t, pool.Close())
	}
}

func reopened(t *testing.T, pool system.Pool, round int) {
	cont, err := pool.OpenContainer(t.Context(), "neo")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := cont.OpenKV(t.Context(), "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	for old := range round {
		for i, n := range []int{10, 5000, 2 << 20} {
			wantValue(t, kv, fmt.Sprintf("%d-%d", old, i), pattern(n, byte(old)))
		}
	}
	for i, n := range []int{10, 5000, 2 << 20} {
		must(t, kv.Put(t.Context(), fmt.Appendf(nil, "%d-%d", round, i), pattern(n, byte(round))))
	}
	must(t, kv.Close())
	must(t, cont.Close())
}
