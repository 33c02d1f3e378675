// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestChurn makes, opens, fills and destroys the same few pools, containers and objects from many goroutines: each call works or
// fails for one of the reasons that a neighbour can give it, and what is left passes a check. The seed is printed.
func TestChurn(t *testing.T) {
	seed := number("TARN_TEST_SEED", rand.Uint64())
	t.Logf("TARN_TEST_SEED=%d", seed)
	sys := open(t, Options{CacheBytes: 4 << 20})
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			for range 30 {
				allowed(t, churnPool(t.Context(), sys, rng), errno.Exist, errno.NonExist, errno.Busy)
			}
		})
	}
	wg.Wait()
	for _, label := range []string{"p0", "p1"} {
		pool, err := sys.OpenPool(t.Context(), label)
		if errors.Is(err, errno.NonExist) {
			continue
		}
		must(t, err)
		must(t, check(t.Context(), pool))
		must(t, pool.Close())
		must(t, sys.DestroyPool(t.Context(), label, true))
	}
}

// allowed takes an error that is nil or has one of the codes.
func allowed(t *testing.T, err error, codes ...errno.Code) {
	t.Helper()
	if err != nil && !slices.Contains(codes, errno.CodeOf(err)) {
		t.Error(err)
	}
}

func churnPool(ctx context.Context, sys *System, rng *rand.Rand) error {
	label := fmt.Sprintf("p%d", rng.IntN(2))
	switch rng.IntN(8) {
	case 0:
		return sys.DestroyPool(ctx, label, true)
	case 1:
		_, err := sys.CreatePool(ctx, label, CreatePool{Size: 8 << 20})
		return err
	case 2:
		_, err := sys.Pools(ctx)
		return err
	}
	pool, err := sys.OpenPool(ctx, label)
	if err != nil {
		return err
	}
	for range 10 {
		err = churnContainer(ctx, pool, rng)
		if c := errno.CodeOf(err); c != errno.Exist && c != errno.ContNonExist && c != errno.NonExist && c != errno.Busy &&
			c != errno.ContDestroying && err != nil {
			break
		}
		err = nil
	}
	return errors.Join(err, pool.Close())
}

func churnContainer(ctx context.Context, pool *Pool, rng *rand.Rand) error {
	label := fmt.Sprintf("c%d", rng.IntN(3))
	switch rng.IntN(8) {
	case 0:
		return pool.DestroyContainer(ctx, label, rng.IntN(2) == 0)
	case 1, 2:
		_, err := pool.CreateContainer(ctx, label, CreateContainer{})
		return err
	case 3:
		_, err := pool.Containers(ctx)
		return err
	}
	cont, err := pool.OpenContainer(ctx, label)
	if err != nil {
		return err
	}
	defer cont.Close()
	return churnObject(ctx, cont, rng)
}

func churnObject(ctx context.Context, cont *Container, rng *rand.Rand) error {
	name := fmt.Sprintf("o%d", rng.IntN(3))
	switch rng.IntN(6) {
	case 0:
		return cont.DestroyObject(ctx, name)
	case 1:
		_, err := cont.CreateObject(ctx, name)
		return err
	case 2:
		for _, err := range cont.Objects(ctx, "") {
			if err != nil {
				return err
			}
		}
		return nil
	}
	kv, err := cont.OpenKV(ctx, name, true)
	if err != nil {
		return err
	}
	defer kv.Close()
	return churnKeys(ctx, kv, rng)
}

func churnKeys(ctx context.Context, kv *KV, rng *rand.Rand) error {
	key := fmt.Append(nil, rng.IntN(50))
	if err := kv.Put(ctx, key, make([]byte, rng.IntN(9000))); err != nil {
		return err
	}
	r, err := kv.Reader(ctx, key)
	if errors.Is(err, errno.NonExist) { // a neighbour has deleted it
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err = io.Copy(io.Discard, r); err != nil || rng.IntN(3) > 0 {
		return err
	}
	_, err = kv.DeleteRange(ctx, Range{})
	return err
}
