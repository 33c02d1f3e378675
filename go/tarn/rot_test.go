// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestRot flips bits of a closed pool's file: each value is then right or refused with CSUM, and never wrong. The seed is printed.
func TestRot(t *testing.T) {
	seed := number("TARN_TEST_SEED", rand.Uint64())
	t.Logf("TARN_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	ctx := t.Context()
	sys := open(t, Options{})
	info, err := sys.CreatePool(ctx, "tank", CreatePool{Size: 8 << 20, NodeBytes: 4096})
	must(t, err)
	must(t, withKV(ctx, sys, func(kv *KV) error { return putRotten(ctx, kv) }))
	good, err := os.ReadFile(info.Path)
	must(t, err)
	refused := 0
	for range 6 {
		must(t, os.WriteFile(info.Path, flip(good, rng), 0o600))
		err = withKV(ctx, sys, func(kv *KV) error { refused += getRotten(t, kv); return nil })
		if err != nil {
			refused++
			wantRefusal(t, err, errno.Csum, errno.DFInval)
		}
	}
	t.Logf("%d reads and opens were refused", refused)
	if refused == 0 {
		t.Error("no damage was noticed")
	}
	must(t, os.WriteFile(info.Path, good, 0o600))
	must(t, withKV(ctx, sys, func(kv *KV) error {
		if n := getRotten(t, kv); n > 0 {
			return fmt.Errorf("%d reads of the undamaged pool failed", n)
		}
		return check(ctx, kv.cont.pool)
	}))
}

// withKV opens everything down to an object, and closes it. A pool that is damaged may also refuse to close.
func withKV(ctx context.Context, sys *System, do func(*KV) error) error {
	pool, err := sys.OpenPool(ctx, "tank")
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err = pool.CreateContainer(ctx, "neo", CreateContainer{}); err != nil && !errors.Is(err, errno.Exist) {
		return err
	}
	cont, err := pool.OpenContainer(ctx, "neo")
	if err != nil {
		return err
	}
	defer cont.Close()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	if err != nil {
		return err
	}
	defer kv.Close()
	return do(kv)
}

const rottenKeys = 120

func rottenValue(i int) []byte {
	n := 50 + i*20
	if i%20 == 0 {
		n = 100000
	}
	return bytes.Repeat(fmt.Appendf(nil, "%d ", i), n/4)
}

func putRotten(ctx context.Context, kv *KV) error {
	for i := range rottenKeys {
		if err := kv.Put(ctx, fmt.Appendf(nil, "%04d", i), rottenValue(i)); err != nil {
			return err
		}
	}
	return nil
}

// getRotten returns the number of reads that were refused.
func getRotten(t *testing.T, kv *KV) (refused int) {
	for i := range rottenKeys {
		got, err := kv.Get(t.Context(), fmt.Appendf(nil, "%04d", i))
		if err != nil {
			refused++
			wantRefusal(t, err, errno.Csum)
		} else if !bytes.Equal(got, rottenValue(i)) {
			t.Errorf("value %d is wrong: %d bytes", i, len(got))
		}
	}
	return refused
}

func wantRefusal(t *testing.T, err error, codes ...errno.Code) {
	t.Helper()
	if !slices.Contains(codes, errno.CodeOf(err)) {
		t.Errorf("damage is reported as %v", err)
	}
	wantCode(t, "damage", err, errno.CodeOf(err))
}

// flip returns a copy in which a few bytes that are in use are changed.
func flip(good []byte, rng *rand.Rand) []byte {
	bad := bytes.Clone(good)
	for n := 1 + rng.IntN(8); n > 0; {
		at := rng.IntN(len(bad))
		if bad[at] != 0 {
			bad[at] ^= byte(1 << rng.IntN(8))
			n--
		}
	}
	return bad
}
