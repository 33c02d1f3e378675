// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestFull fills a small pool until it refuses, several times over: what was acknowledged is there, what was refused is not, deletes
// still work, and what they free can be written again.
func TestFull(t *testing.T) {
	for _, size := range []int{400, 60000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { testFull(t, size) })
	}
}

func testFull(t *testing.T, size int) {
	ctx := t.Context()
	kv := openSmall(t)
	written := 0
	for round := range 2 {
		n := fillUp(t, kv, size)
		if round > 0 && n < written*3/4 {
			t.Errorf("round %d wrote %d values, round %d wrote %d", round-1, written, round, n)
		}
		written = n
		for i := range n {
			got, err := kv.Get(ctx, fmt.Appendf(nil, "%06d", i))
			if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Fatalf("round %d: value %d of %d is %d bytes, %v", round, i, n, len(got), err)
			}
		}
		if there, err := kv.Exists(ctx, fmt.Appendf(nil, "%06d", n)); there || err != nil {
			t.Errorf("round %d: what was refused is there: %v, %v", round, there, err)
		}
		if deleted, err := kv.DeleteRange(ctx, Range{}); int(deleted) != n || err != nil {
			t.Fatalf("round %d: DeleteRange on a full pool = %d, %v; want %d", round, deleted, err, n)
		}
		must(t, check(ctx, kv.cont.pool))
	}
	t.Logf("%d values of %d bytes in a pool of 8 MiB", written, size)
}

func openSmall(t *testing.T) *KV {
	ctx := t.Context()
	sys := open(t, Options{})
	_, err := sys.CreatePool(ctx, "small", CreatePool{Size: 8 << 20})
	must(t, err)
	pool, err := sys.OpenPool(ctx, "small")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, pool.Close()) })
	_, err = pool.CreateContainer(ctx, "neo", CreateContainer{})
	must(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, cont.Close()) })
	kv, err := cont.OpenKV(ctx, "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, kv.Close()) })
	return kv
}

// fillUp puts until NOSPACE and returns the number of values. Short values go in batches, which are refused whole.
func fillUp(t *testing.T, kv *KV, size int) int {
	t.Helper()
	step := max(1, 10000/size)
	for n := 0; ; n += step {
		batch := make([]Mutation, step)
		for i := range batch {
			batch[i] = Mutation{Key: fmt.Appendf(nil, "%06d", n+i), Value: bytes.Repeat([]byte{byte(n + i)}, size)}
		}
		err := kv.Apply(t.Context(), batch)
		if errors.Is(err, errno.NoSpace) {
			return n
		}
		if err != nil || n > 200000 {
			t.Fatalf("after %d values: %v", n, err)
		}
	}
}
