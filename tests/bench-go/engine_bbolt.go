// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// boltStore is bbolt as its documentation advises: one bucket; the freelist is a hash map and is not written (it is rebuilt at open); the
// map is as large as the data will be, so that it is never moved. Many writers share transactions through DB.Batch: a batch starts as
// soon as every goroutine is in it, or after a short while, since readers may be among them. Relaxed: NoSync, and a sync every 100 ms,
// which is less than Tarn promises: a crash between two of them may damage the file.
type boltStore struct {
	db     *bolt.DB
	dir    string
	many   bool
	syncer *syncer
}

var bucket = []byte("bench")

func openBbolt(o setup) (store, error) {
	db, err := bolt.Open(filepath.Join(o.Dir, "bolt.db"), 0o600, &bolt.Options{
		FreelistType:    bolt.FreelistMapType,
		NoFreelistSync:  true,
		NoSync:          o.Relaxed,
		InitialMmapSize: int(4<<30 + 4*o.Records*uint64(keyLen+o.ValueLen)),
	})
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize, db.MaxBatchDelay = o.Workers, 500*time.Microsecond
	s := &boltStore{db: db, dir: o.Dir, many: o.Workers > 1}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if o.Relaxed && err == nil {
		s.syncer = startSyncer(db.Sync)
	}
	return s, err
}

func (s *boltStore) get(k *key, buf []byte) (n int, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		val := tx.Bucket(bucket).Get(k[:])
		if val == nil {
			return errAbsent
		}
		n = copy(buf, val)
		return nil
	})
	return n, err
}

func (s *boltStore) put(k *key, val []byte) error {
	change := func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(k[:], val) }
	if s.many {
		return s.db.Batch(change)
	}
	return s.db.Update(change)
}

func (s *boltStore) scan(k *key, n int, visit func(k, val []byte)) (seen int, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek(k[:]); k != nil && seen < n; k, v = c.Next() {
			visit(k, v)
			seen++
		}
		return nil
	})
	return seen, err
}

// load fills pages to nine tenths: records come in order.
func (s *boltStore) load(recs []record) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		b.FillPercent = 0.9
		for i := range recs {
			if err := b.Put(recs[i].key[:], recs[i].val); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) settle() error { return s.db.Sync() }

func (s *boltStore) diskBytes() (int64, error) { return directoryBytes(s.dir) }

func (s *boltStore) close() error { return errors.Join(s.syncer.stop(), s.db.Close()) }
