// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// ImportOptions says how a tree is imported.
type ImportOptions struct {
	NoFollow bool      // links are left out
	Progress *Progress // may be nil
}

// Import stores the files below dir. When it fails, each file is stored whole or not at all.
func Import(ctx context.Context, kv system.KV, dir string, opts ImportOptions) (Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	m := &importer{ctx: ctx, kv: kv, group: group, bar: opts.Progress}
	stop := m.bar.Expect(func(visit func(found) error) error {
		return (&walker{noFollow: opts.NoFollow, visit: visit}).walk(dir)
	})
	defer stop()
	w := walker{noFollow: opts.NoFollow, visit: m.add}
	err := w.walk(dir)
	if err == nil {
		m.flush()
	}
	// A transfer that failed ends the walk, too: its error comes first, the walk's is only that the context has ended.
	if failed := group.Wait(); failed != nil {
		err = failed
	}
	m.result.Bytes = m.stored.Load()
	m.result.Links, m.result.Skipped = w.result.Links, w.result.Skipped
	return m.result, err
}

// importer collects small files into batches. The walk alone calls add and flush; the transfers run beside it.
type importer struct {
	ctx    context.Context
	kv     system.KV
	group  *errgroup.Group
	bar    *Progress
	result Result // but for its Bytes
	stored atomic.Uint64
	batch  []found
	bytes  int64 // of batch
}

func (m *importer) add(f found) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if f.dir {
		m.result.EmptyDirs++
	} else {
		m.result.Files++
	}
	if f.size > smallMax {
		m.group.Go(func() error { return m.large(f) })
		return nil
	}
	if len(m.batch) == batchFiles || m.bytes+f.size > batchBytes {
		m.flush()
	}
	m.batch = append(m.batch, f)
	m.bytes += f.size
	return nil
}

func (m *importer) flush() {
	batch := m.batch
	m.batch, m.bytes = nil, 0
	if len(batch) > 0 {
		m.group.Go(func() error { return m.small(batch) })
	}
}

// small stores files that go together. A file that grew since it was looked at goes by itself.
func (m *importer) small(files []found) error {
	batch := make([]system.Mutation, 0, len(files))
	var bytes uint64
	for _, f := range files {
		value, whole, err := readSmall(f)
		if err != nil {
			return err
		}
		if !whole {
			if err := m.large(f); err != nil {
				return err
			}
			continue
		}
		bytes += uint64(len(value))
		batch = append(batch, system.Mutation{Key: []byte(f.key), Value: value})
	}
	if err := m.apply(batch); err != nil {
		return err
	}
	m.done(uint64(len(batch)), bytes)
	return nil
}

func (m *importer) done(files, bytes uint64) {
	m.stored.Add(bytes)
	m.bar.Add(files, bytes)
}

func readSmall(f found) (value []byte, whole bool, err error) {
	if f.dir {
		return nil, true, nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, false, osError(f.path, err)
	}
	defer file.Close()
	value = make([]byte, 0, f.size+1)
	limit := io.LimitReader(file, smallMax+1)
	for {
		n, err := limit.Read(value[len(value):cap(value)])
		value = value[:len(value)+n]
		if err == io.EOF {
			return value, len(value) <= smallMax, nil
		}
		if err != nil {
			return nil, false, osError(f.path, err)
		}
		if len(value) == cap(value) {
			value = append(value, 0)[:len(value)]
		}
	}
}

// apply stores a batch at once, or one by one when it is too large for the log of a small pool.
func (m *importer) apply(batch []system.Mutation) error {
	if len(batch) == 0 {
		return nil
	}
	err := Patient(m.ctx, func() error { return m.kv.Apply(m.ctx, batch) })
	if errno.CodeOf(err) != errno.Rec2Big {
		return err
	}
	for _, b := range batch {
		if err := Patient(m.ctx, func() error { return m.kv.Put(m.ctx, b.Key, b.Value) }); err != nil {
			return about(b.Key, err)
		}
	}
	return nil
}

func (m *importer) large(f found) error {
	return Patient(m.ctx, func() error {
		file, err := os.Open(f.path)
		if err != nil {
			return osError(f.path, err)
		}
		defer file.Close()
		size, err := Store(m.ctx, m.kv, []byte(f.key), file, system.CondNone)
		if err != nil {
			return about([]byte(f.key), err)
		}
		m.done(1, size)
		return nil
	})
}

// about says which file an error is about.
func about(key []byte, err error) error {
	about := errno.New("", string(key), errno.CodeOf(err), err.Error())
	about.Err = err
	var e *errno.Error
	if errors.As(err, &e) {
		about.Message = e.Sentence()
	}
	return about
}
