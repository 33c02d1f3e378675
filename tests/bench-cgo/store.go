// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tarn-storage/tarn/go/tarn"
)

// The data are those of c/bench/calls: keys that do not compress, values of 100 bytes, all of it in the cache.
const (
	keys     = 100000
	valueLen = 100
	many     = 32
	batch    = 100
	listed   = 100
	load     = 1000
)

var background = context.Background()

// call is one of those that both sides make; count of them are a turn.
type call struct {
	name  string
	count int
	make  func(*store) error
}

var allCalls = []call{
	{"GetInto", 10000, (*store).getInto},
	{"Put", 2000, (*store).put},
	{"GetMany", 300, (*store).getMany},
	{"Apply", 30, (*store).apply},
	{"List/100", 1000, (*store).list},
	{"Scan/100", 1000, (*store).scan},
}

// twinName is the name of what C does: it lists into the caller's buffer, as a scan.
func (c call) twinName() string { return strings.Replace(c.name, "Scan", "List", 1) }

func callNames() string {
	var names []string
	for _, c := range allCalls {
		names = append(names, c.name)
	}
	return strings.Join(names, ",")
}

// store is a KV object, and what its calls lend.
type store struct {
	dir    string
	open   []io.Closer
	pool   *tarn.Pool
	kv     *tarn.KV
	key    [16]byte
	value  [valueLen]byte
	keys   [][]byte
	dice   uint64
	change []tarn.Mutation
}

func openStore() (*store, error) {
	dir, err := os.MkdirTemp("", "tarn-bench-cgo-")
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir}
	for range load {
		s.keys = append(s.keys, make([]byte, len(s.key)))
	}
	for _, key := range s.keys {
		s.change = append(s.change, tarn.Mutation{Key: key, Value: s.value[:]})
	}
	if err = s.openKV(); err == nil {
		err = s.fill()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openKV makes and opens a relaxed object: what is read does not differ, and no put waits for the device.
func (s *store) openKV() error {
	const name = "calls"
	sys, err := tarn.Open(s.dir)
	if err != nil {
		return err
	}
	s.open = append(s.open, sys)
	if _, err = sys.CreatePool(background, name, tarn.CreatePool{Size: 64 << 20}); err != nil {
		return err
	}
	if s.pool, err = sys.OpenPool(background, name); err != nil {
		return err
	}
	s.open = append(s.open, s.pool)
	if _, err = s.pool.CreateContainer(background, name, tarn.CreateContainer{}); err != nil {
		return err
	}
	cont, err := s.pool.OpenContainer(background, name)
	if err != nil {
		return err
	}
	s.open = append(s.open, cont)
	relaxed := tarn.Relaxed
	if err = cont.SetProperties(background, tarn.Properties{Durability: &relaxed}); err != nil {
		return err
	}
	if s.kv, err = cont.OpenKV(background, name, true); err == nil {
		s.open = append(s.open, s.kv)
	}
	return err
}

// fill puts all records, and reads them.
func (s *store) fill() error {
	for n := uint64(0); n < keys; n += load {
		for i, key := range s.keys {
			fillKey(key, n+uint64(i))
		}
		if err := s.kv.Apply(background, s.change); err != nil {
			return err
		}
	}
	if err := s.pool.Checkpoint(background); err != nil {
		return err
	}
	for n := range uint64(keys) {
		fillKey(s.key[:], n)
		if _, err := s.kv.GetInto(background, s.key[:], s.value[:]); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) close() error {
	var errs []error
	for i := len(s.open) - 1; i >= 0; i-- {
		errs = append(errs, s.open[i].Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// turn returns the ns of a call.
func (s *store) turn(c call) (float64, error) {
	began := cpuTime()
	for range c.count {
		if err := c.make(s); err != nil {
			return 0, err
		}
	}
	return float64(cpuTime()-began) / float64(c.count), nil
}

// allocations is how often a call allocates.
func (s *store) allocations(c call) (float64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := s.turn(c)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(c.count), err
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use) // it cannot fail with these arguments
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func fillKey(key []byte, n uint64) {
	binary.BigEndian.PutUint64(key, n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(key[8:], n)
}

// any is the number of a record, by the generator of the C side: math/rand takes longer.
func (s *store) any() uint64 {
	s.dice += 0x9E3779B97F4A7C15
	n := s.dice
	n = (n ^ n>>30) * 0xBF58476D1CE4E5B9
	n = (n ^ n>>27) * 0x94D049BB133111EB
	high, _ := bits.Mul64(n^n>>31, keys)
	return high
}

func (s *store) anyKey() []byte {
	fillKey(s.key[:], s.any())
	return s.key[:]
}

func (s *store) getInto() error {
	_, err := s.kv.GetInto(background, s.anyKey(), s.value[:])
	return err
}

func (s *store) put() error { return s.kv.Put(background, s.anyKey(), s.value[:]) }

func (s *store) getMany() error {
	for _, key := range s.keys[:many] {
		fillKey(key, s.any())
	}
	_, err := s.kv.GetMany(background, s.keys[:many])
	return err
}

func (s *store) apply() error {
	first := s.any()
	for i, key := range s.keys[:batch] {
		fillKey(key, (first+uint64(i)*997)%keys)
	}
	return s.kv.Apply(background, s.change[:batch])
}

func (s *store) list() error {
	for _, err := range s.kv.List(background, tarn.Range{Start: s.anyKey(), Limit: listed}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *store) scan() error {
	for _, err := range s.kv.Scan(background, tarn.Range{Start: s.anyKey(), Limit: listed}) {
		if err != nil {
			return err
		}
	}
	return nil
}
