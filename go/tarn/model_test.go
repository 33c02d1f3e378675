// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestModel runs random changes from several goroutines on a pool with a tiny cache and log, while checkpoints come and go, closes it,
// opens it again, and compares with what each goroutine remembers. TARN_TEST_SEED repeats a run, TARN_TEST_STEPS makes it longer.
func TestModel(t *testing.T) {
	seed, steps := number("TARN_TEST_SEED", rand.Uint64()), int(number("TARN_TEST_STEPS", 100))
	t.Logf("TARN_TEST_SEED=%d TARN_TEST_STEPS=%d", seed, steps)
	sys := open(t, Options{CacheBytes: 2 << 20})
	_, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: 96 << 20, LogBytes: 1 << 20, NodeBytes: 4096})
	must(t, err)
	workers := make([]*worker, 8)
	for i := range workers {
		workers[i] = &worker{prefix: fmt.Sprintf("w%d/", i), rng: rand.New(rand.NewPCG(seed, uint64(i))), want: map[string][]byte{}}
	}
	for range 3 {
		modelRound(t, sys, workers, steps)
	}
}

func number(name string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// modelRound opens everything, verifies, works, verifies and closes.
func modelRound(t *testing.T, sys *System, workers []*worker, steps int) {
	ctx := t.Context()
	pool, err := sys.OpenPool(ctx, "tank")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = pool.CreateContainer(ctx, "neo", CreateContainer{}); err != nil && !errors.Is(err, errno.Exist) {
		t.Fatal(err)
	}
	cont, err := pool.OpenContainer(ctx, "neo")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := cont.OpenKV(ctx, "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	stop := keepChecking(t, pool)
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			w.verify(t, kv)
			for i := 0; i < steps && !t.Failed(); i++ {
				w.step(t, kv)
			}
			w.verify(t, kv)
		})
	}
	wg.Wait()
	stop()
	must(t, check(ctx, pool))
	for _, c := range []io.Closer{kv, cont, pool} {
		must(t, c.Close())
	}
	if t.Failed() {
		t.FailNow()
	}
}

// keepChecking writes checkpoints and checks the pool until what it returns is called.
func keepChecking(t *testing.T, pool *Pool) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			err := pool.Checkpoint(ctx)
			if i%4 == 3 && err == nil {
				err = check(ctx, pool)
			}
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("checkpoint or check %d: %v", i, err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

// worker owns the keys under its prefix and remembers their values.
type worker struct {
	prefix string
	rng    *rand.Rand
	want   map[string][]byte
}

func (w *worker) key() string { return fmt.Sprintf("%s%03d", w.prefix, w.rng.IntN(120)) }

// value is mostly short, sometimes of many pages.
func (w *worker) value() []byte {
	n := w.rng.IntN(300)
	switch w.rng.IntN(60) {
	case 0:
		n = w.rng.IntN(200000)
	case 1, 2, 3:
		n = w.rng.IntN(9000)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(n)
	}
	if n > 0 {
		b[0] = byte(w.rng.Uint32())
	}
	return b
}

func (w *worker) step(t *testing.T, kv *KV) {
	t.Helper()
	ctx, k := t.Context(), w.key()
	old, there := w.want[k]
	switch w.rng.IntN(12) {
	case 0, 1:
		must(t, kv.Delete(ctx, []byte(k)))
		delete(w.want, k)
	case 2:
		w.batch(t, kv)
	case 3:
		w.stream(t, kv, k)
	case 4:
		err := kv.Put(ctx, []byte(k), []byte("inserted"), CondInsert)
		if there != errors.Is(err, errno.Exist) || !there && err != nil {
			t.Errorf("insert of %s, there %v: %v", k, there, err)
		}
		if !there {
			w.want[k] = []byte("inserted")
		}
	case 5:
		got, err := kv.Get(ctx, []byte(k))
		if there != (err == nil) || !bytes.Equal(got, old) || !there && !errors.Is(err, errno.NonExist) {
			t.Errorf("Get(%s) = %d bytes, %v; want %d bytes, there %v", k, len(got), err, len(old), there)
		}
	case 6:
		w.deleteRange(t, kv)
	default:
		v := w.value()
		must(t, kv.Put(ctx, []byte(k), v))
		w.want[k] = v
	}
}

func (w *worker) batch(t *testing.T, kv *KV) {
	changes := map[string][]byte{}
	for range 1 + w.rng.IntN(30) {
		changes[w.key()] = w.value()
	}
	var batch []Mutation
	for i, k := range slices.Sorted(maps.Keys(changes)) {
		m := Mutation{Key: []byte(k), Value: changes[k], Delete: i%4 == 3}
		if m.Delete {
			delete(w.want, k)
		} else {
			w.want[k] = m.Value
		}
		batch = append(batch, m)
	}
	must(t, kv.Apply(t.Context(), batch))
}

// stream writes a value in pieces; every other one is abandoned.
func (w *worker) stream(t *testing.T, kv *KV, k string) {
	wr, err := kv.Writer(t.Context(), []byte(k))
	if err != nil {
		t.Error(err)
		return
	}
	defer wr.Close()
	v := w.value()
	for piece := range slices.Chunk(v, 5000) {
		_, err = wr.Write(piece)
		must(t, err)
	}
	if w.rng.IntN(2) == 0 {
		must(t, wr.Commit(t.Context()))
		w.want[k] = v
	}
}

func (w *worker) deleteRange(t *testing.T, kv *KV) {
	from := w.key()
	to := from[:len(from)-1] + "~"
	n, err := kv.DeleteRange(t.Context(), Range{Start: []byte(from), End: []byte(to)})
	must(t, err)
	before := len(w.want)
	maps.DeleteFunc(w.want, func(k string, _ []byte) bool { return k >= from && k < to })
	if int(n) != before-len(w.want) {
		t.Errorf("DeleteRange(%s, %s) = %d, want %d", from, to, n, before-len(w.want))
	}
}

// verify compares everything under the prefix.
func (w *worker) verify(t *testing.T, kv *KV) {
	t.Helper()
	want := slices.Sorted(maps.Keys(w.want))
	var got []string
	for e, err := range kv.List(t.Context(), Range{Prefix: []byte(w.prefix)}) {
		if err != nil {
			t.Error(err)
			return
		}
		k := string(e.Key)
		got = append(got, k)
		val := e.Value
		if e.Omitted {
			if val, err = kv.Get(t.Context(), e.Key); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(val, w.want[k]) || e.Size != uint64(len(val)) {
			t.Errorf("%s has %d bytes (size %d), want %d", k, len(val), e.Size, len(w.want[k]))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s lists %d keys, want %d: %s, want %s", w.prefix, len(got), len(want), strings.Join(got, " "), strings.Join(want, " "))
	}
	if n, err := kv.Count(t.Context(), Range{Prefix: []byte(w.prefix)}); err != nil || int(n) != len(want) {
		t.Errorf("%s counts %d keys, %v; want %d", w.prefix, n, err, len(want))
	}
}
