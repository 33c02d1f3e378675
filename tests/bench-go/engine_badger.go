// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"

	"github.com/dgraph-io/badger/v4"
	badgeroptions "github.com/dgraph-io/badger/v4/options"
)

// badgerStore is Badger as its documentation advises for data in memory: no compression, so that blocks are read from the map and need no
// block cache; all indexes in memory; one version of a key; no detection of conflicts, which these rows do not need; values within the
// tree, since they are small. Durable: SyncWrites; its writer groups what comes in at the same time. Relaxed: a Sync every 100 ms.
type badgerStore struct {
	db     *badger.DB
	dir    string
	syncer *syncer
}

func openBadger(o setup) (store, error) {
	db, err := badger.Open(badger.DefaultOptions(o.Dir).
		WithSyncWrites(!o.Relaxed).
		WithCompression(badgeroptions.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMemTableSize(128 << 20).
		WithNumMemtables(4).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumCompactors(max(2, runtime.NumCPU())).
		WithLogger(nil))
	if err != nil {
		return nil, err
	}
	s := &badgerStore{db: db, dir: o.Dir}
	if o.Relaxed {
		s.syncer = startSyncer(db.Sync)
	}
	return s, nil
}

func (s *badgerStore) get(k *key, buf []byte) (n int, err error) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(k[:])
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, errAbsent
	}
	if err != nil {
		return 0, err
	}
	err = item.Value(func(val []byte) error {
		n = copy(buf, val)
		return nil
	})
	return n, err
}

// put lends key and value until Commit has returned.
func (s *badgerStore) put(k *key, val []byte) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := txn.Set(k[:], val); err != nil {
		return err
	}
	return txn.Commit()
}

func (s *badgerStore) scan(k *key, n int, visit func(k, val []byte)) (seen int, err error) {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false})
	defer it.Close()
	for it.Seek(k[:]); it.Valid() && seen < n; it.Next() {
		item := it.Item()
		err = item.Value(func(val []byte) error {
			visit(item.Key(), val)
			return nil
		})
		if err != nil {
			return seen, err
		}
		seen++
	}
	return seen, nil
}

func (s *badgerStore) load(recs []record) error {
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for i := range recs {
		if err := batch.Set(recs[i].key[:], recs[i].val); err != nil {
			return err
		}
	}
	return batch.Flush()
}

func (s *badgerStore) settle() error {
	if err := s.db.Sync(); err != nil {
		return err
	}
	return s.db.Flatten(2)
}

func (s *badgerStore) diskBytes() (int64, error) { return directoryBytes(s.dir) }

func (s *badgerStore) close() error { return errors.Join(s.syncer.stop(), s.db.Close()) }
