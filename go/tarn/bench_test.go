// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The benchmarks that have a twin in C (c/bench/calls) are named as there, and do the same: 100,000 keys of 16 bytes that do not
// compress, values of 100 bytes, all of them in the cache. `make bench-cgo` compares such calls finer, in turns.
const (
	benchKeys  = 100000
	benchValue = 100
)

func benchKey(key []byte, i uint64) []byte {
	binary.BigEndian.PutUint64(key, i*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(key[8:], i)
	return key
}

// openBench opens an object of benchKeys values that fits into the cache.
func openBench(b *testing.B, d Durability) *KV {
	b.Helper()
	kv := openKV(b)
	must(b, kv.cont.SetProperties(b.Context(), Properties{Durability: &d}))
	var batch []Mutation
	for i := range uint64(benchKeys) {
		batch = append(batch, Mutation{Key: benchKey(make([]byte, 16), i), Value: make([]byte, benchValue)})
	}
	for part := range slices.Chunk(batch, 1000) {
		must(b, kv.Apply(b.Context(), part))
	}
	must(b, kv.cont.pool.Checkpoint(b.Context()))
	for _, err := range kv.List(b.Context(), Range{}) {
		must(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return kv
}

func BenchmarkGetInto(b *testing.B) {
	kv := openBench(b, Durable)
	ctx, key, dst := context.Background(), make([]byte, 16), make([]byte, benchValue)
	for b.Loop() {
		if _, err := kv.GetInto(ctx, benchKey(key, rand.Uint64N(benchKeys)), dst); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	kv := openBench(b, Durable)
	ctx, key := context.Background(), make([]byte, 16)
	for b.Loop() {
		if _, err := kv.Get(ctx, benchKey(key, rand.Uint64N(benchKeys))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGetIntoParallel is BenchmarkGetInto on all processors.
func BenchmarkGetIntoParallel(b *testing.B) {
	kv := openBench(b, Durable)
	b.RunParallel(func(pb *testing.PB) {
		ctx, key, dst := context.Background(), make([]byte, 16), make([]byte, benchValue)
		for pb.Next() {
			if _, err := kv.GetInto(ctx, benchKey(key, rand.Uint64N(benchKeys)), dst); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkPut is of relaxed puts: none waits for the device, unless the log is full.
func BenchmarkPut(b *testing.B) {
	kv := openBench(b, Relaxed)
	ctx, key, val := context.Background(), make([]byte, 16), make([]byte, benchValue)
	for b.Loop() {
		if err := kv.Put(ctx, benchKey(key, rand.Uint64N(benchKeys)), val); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutDurable is of 64 goroutines, whose puts share flushes.
func BenchmarkPutDurable(b *testing.B) {
	kv := openBench(b, Durable)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		ctx, key, val := context.Background(), make([]byte, 16), make([]byte, benchValue)
		for pb.Next() {
			if err := kv.Put(ctx, benchKey(key, rand.Uint64N(benchKeys)), val); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkGetMany is of 32 keys a call.
func BenchmarkGetMany(b *testing.B) {
	kv := openBench(b, Durable)
	keys := make([][]byte, 32)
	for i := range keys {
		keys[i] = make([]byte, 16)
	}
	for b.Loop() {
		for _, key := range keys {
			benchKey(key, rand.Uint64N(benchKeys))
		}
		if _, err := kv.GetMany(context.Background(), keys); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply is of 100 puts a call, relaxed.
func BenchmarkApply(b *testing.B) {
	kv := openBench(b, Relaxed)
	batch := make([]Mutation, 100)
	for i := range batch {
		batch[i] = Mutation{Key: make([]byte, 16), Value: make([]byte, benchValue)}
	}
	for b.Loop() {
		first := rand.Uint64N(benchKeys)
		for i := range batch {
			benchKey(batch[i].Key, (first+uint64(i)*997)%benchKeys)
		}
		must(b, kv.Apply(context.Background(), batch))
	}
}

// BenchmarkList is of scans of so many entries, from any key on.
func BenchmarkList(b *testing.B) {
	for _, n := range []uint64{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			kv := openBench(b, Durable)
			key := make([]byte, 16)
			for b.Loop() {
				r := Range{Start: benchKey(key, rand.Uint64N(benchKeys)), Limit: n}
				for _, err := range kv.List(context.Background(), r) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkScan is BenchmarkList without copies.
func BenchmarkScan(b *testing.B) {
	kv := openBench(b, Durable)
	key := make([]byte, 16)
	for b.Loop() {
		r := Range{Start: benchKey(key, rand.Uint64N(benchKeys)), Limit: 100}
		for _, err := range kv.Scan(context.Background(), r) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
