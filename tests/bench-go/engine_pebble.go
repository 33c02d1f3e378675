// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// pebbleStore is Pebble as CockroachDB and its own benchmarks set it: a cache that holds all the data, large memtables, bloom filters of
// 10 bits also at the last level, no compression (values are random), many files at level 0 before writes wait, all processors for
// compactions. Durable: pebble.Sync; its commit pipeline groups what comes in at the same time. Relaxed: pebble.NoSync, and an empty
// synced record every 100 ms.
type pebbleStore struct {
	db     *pebble.DB
	write  *pebble.WriteOptions
	dir    string
	syncer *syncer
}

func openPebble(o setup) (store, error) {
	cache := pebble.NewCache(cacheBytes)
	defer cache.Unref() // the DB has its own reference
	opts := &pebble.Options{
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                128 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                16384,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(2, runtime.NumCPU()) },
		Logger:                      quiet{},
	}
	for i := range opts.Levels {
		l := &opts.Levels[i]
		l.BlockSize = 32 << 10
		l.IndexBlockSize = 256 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	db, err := pebble.Open(o.Dir, opts)
	if err != nil {
		return nil, err
	}
	s := &pebbleStore{db: db, write: pebble.Sync, dir: o.Dir}
	if o.Relaxed {
		s.write = pebble.NoSync
		s.syncer = startSyncer(func() error { return db.LogData(nil, pebble.Sync) })
	}
	return s, nil
}

// quiet says nothing but what is fatal.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { pebble.DefaultLogger.Fatalf(format, a...) }

func (s *pebbleStore) get(k *key, buf []byte) (int, error) {
	val, closer, err := s.db.Get(k[:])
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, errAbsent
	}
	if err != nil {
		return 0, err
	}
	n := copy(buf, val)
	return n, closer.Close()
}

func (s *pebbleStore) put(k *key, val []byte) error { return s.db.Set(k[:], val, s.write) }

func (s *pebbleStore) scan(k *key, n int, visit func(k, val []byte)) (seen int, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: k[:]})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok && seen < n; ok = it.Next() {
		visit(it.Key(), it.Value())
		seen++
	}
	return seen, it.Close()
}

func (s *pebbleStore) load(recs []record) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for i := range recs {
		if err := batch.Set(recs[i].key[:], recs[i].val, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.NoSync)
}

func (s *pebbleStore) settle() error {
	if err := s.db.Flush(); err != nil {
		return err
	}
	low, high := make([]byte, keyLen), make([]byte, keyLen+1)
	for i := range high {
		high[i] = 0xFF
	}
	return s.db.Compact(background, low, high, true)
}

func (s *pebbleStore) diskBytes() (int64, error) { return directoryBytes(s.dir) }

func (s *pebbleStore) close() error { return errors.Join(s.syncer.stop(), s.db.Close()) }
