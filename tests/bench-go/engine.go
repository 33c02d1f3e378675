// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

// setup is what an engine is told when it is opened.
type setup struct {
	Dir      string // of this engine and data set alone; it exists
	Records  uint64
	ValueLen int
	Workers  int  // goroutines that call
	Relaxed  bool // a put may return before it is on the device: relaxedMost
}

// relaxedMost is how soon a relaxed put is on the device after it was acknowledged. Tarn has a property for it; the others get a goroutine
// that syncs so often.
const relaxedMost = 100 * time.Millisecond

// cacheBytes is the memory that each engine may give to a cache: all the data fits.
const cacheBytes = 1 << 30

var errAbsent = errors.New("there is no such key")

// record is of a load. Records come in the order of their keys.
type record struct {
	key key
	val []byte
}

// store is an open engine. All but load, settle and close are called by many goroutines.
type store interface {
	get(k *key, buf []byte) (int, error) // fills buf, which is long enough; errAbsent
	put(k *key, val []byte) error
	scan(k *key, n int, visit func(k, val []byte)) (int, error) // the first n records from k on; what is visited is lent
	load(recs []record) error
	settle() error // after the load: brings the data into the shape and place where it stays
	diskBytes() (int64, error)
	close() error
}

type engine struct {
	name   string
	module string // whose version is told
	open   func(setup) (store, error)
}

var engines = []engine{
	{"tarn", "github.com/tarn-storage/tarn", openTarn},
	{"bbolt", "go.etcd.io/bbolt", openBbolt},
	{"badger", "github.com/dgraph-io/badger/v4", openBadger},
	{"pebble", "github.com/cockroachdb/pebble/v2", openPebble},
}

func (e engine) peer() bool { return e.name != "tarn" }

func engineNamed(name string) (engine, bool) {
	for _, e := range engines {
		if e.name == name {
			return e, true
		}
	}
	return engine{}, false
}

// version is that of the module which is linked.
func (e engine) version() string {
	if e.name == "tarn" {
		return tarnVersion()
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "?"
	}
	for _, m := range info.Deps {
		if m.Path == e.module {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return "?"
}

// directoryBytes is what the files of a directory take on disk.
func directoryBytes(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &st)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a compaction has removed it
		}
		total += st.Blocks * 512
		return err
	})
	return total, err
}

// syncer calls sync every relaxedMost until stop.
type syncer struct {
	quit chan struct{}
	done sync.WaitGroup
	err  error
}

func startSyncer(sync func() error) *syncer {
	s := &syncer{quit: make(chan struct{})}
	s.done.Go(func() {
		tick := time.NewTicker(relaxedMost)
		defer tick.Stop()
		for s.err == nil {
			select {
			case <-s.quit:
				return
			case <-tick.C:
				s.err = sync()
			}
		}
	})
	return s
}

// stop returns what went wrong. There may be no syncer.
func (s *syncer) stop() error {
	if s == nil {
		return nil
	}
	close(s.quit)
	s.done.Wait()
	return s.err
}
