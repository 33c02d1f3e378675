// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn"
)

// tarnStore is Tarn through its public package: a pool in a file, a container, a KV object. Gets fill the caller's buffer; scans lend.
type tarnStore struct {
	pool *tarn.Pool
	cont *tarn.Container
	kv   *tarn.KV
	open []io.Closer
}

var background = context.Background()

func tarnVersion() string { return tarn.Version() }

func openTarn(o setup) (store, error) {
	s := &tarnStore{}
	if err := s.openAll(o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *tarnStore) openAll(o setup) error {
	sys, err := tarn.OpenWith(tarn.Options{Root: o.Dir, CacheBytes: cacheBytes})
	if err != nil {
		return err
	}
	s.open = append(s.open, sys)
	size := 4<<30 + 3*o.Records*uint64(keyLen+o.ValueLen)&^(1<<20-1)
	if _, err = sys.CreatePool(background, "bench", tarn.CreatePool{Size: size, Zeroed: true}); err != nil && !errors.Is(err, errno.Exist) {
		return err
	}
	if s.pool, err = sys.OpenPool(background, "bench"); err != nil {
		return err
	}
	s.open = append(s.open, s.pool)
	return s.openKV(o)
}

func (s *tarnStore) openKV(o setup) error {
	_, err := s.pool.CreateContainer(background, "bench", tarn.CreateContainer{})
	if err != nil && !errors.Is(err, errno.Exist) {
		return err
	}
	if s.cont, err = s.pool.OpenContainer(background, "bench"); err != nil {
		return err
	}
	s.open = append(s.open, s.cont)
	durability := tarn.Durable
	if o.Relaxed {
		durability = tarn.Relaxed
	}
	if err = s.cont.SetProperties(background, tarn.Properties{Durability: &durability}); err != nil {
		return err
	}
	if s.kv, err = s.cont.OpenKV(background, "bench", true); err == nil {
		s.open = append(s.open, s.kv)
	}
	return err
}

func (s *tarnStore) get(k *key, buf []byte) (int, error) {
	n, err := s.kv.GetInto(background, k[:], buf)
	if errors.Is(err, fs.ErrNotExist) {
		err = errAbsent
	}
	return n, err
}

func (s *tarnStore) put(k *key, val []byte) error { return s.kv.Put(background, k[:], val) }

func (s *tarnStore) scan(k *key, n int, visit func(k, val []byte)) (int, error) {
	seen := 0
	for e, err := range s.kv.Scan(background, tarn.Range{Start: k[:], Limit: uint64(n)}) {
		if err != nil {
			return seen, err
		}
		visit(e.Key, e.Value)
		seen++
	}
	return seen, nil
}

func (s *tarnStore) load(recs []record) error {
	batch := make([]tarn.Mutation, len(recs))
	for i := range recs {
		batch[i] = tarn.Mutation{Key: recs[i].key[:], Value: recs[i].val}
	}
	return s.kv.Apply(background, batch)
}

func (s *tarnStore) settle() error { return s.pool.Checkpoint(background) }

// diskBytes is what the pool has given out, its log included: its file is as large as the pool.
func (s *tarnStore) diskBytes() (int64, error) {
	info, err := s.pool.Info(background)
	return int64(info.TotalBytes - info.FreeBytes), err
}

func (s *tarnStore) close() error {
	var errs []error
	for i := len(s.open) - 1; i >= 0; i-- {
		errs = append(errs, s.open[i].Close())
	}
	return errors.Join(errs...)
}
