// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// OnConflict says what becomes of a key that is there already.
type OnConflict string

// What can become of it.
const (
	Fail      OnConflict = "fail"
	Skip      OnConflict = "skip"
	Overwrite OnConflict = "overwrite"
)

const (
	batchEntries = 512
	batchBytes   = 1 << 20
	inFlight     = 8 // batches at once
)

// ImportOptions say where a stream goes, and how.
type ImportOptions struct {
	Object     string // the only object of the stream gets this name; "": all have their own
	OnConflict OnConflict
	Attributes bool               // of the container are stored, too; never with Object
	Progress   func(bytes uint64) // so far in the stream; called by one goroutine
}

// Imported counts what was done.
type Imported struct {
	Total
	Stored  uint64 `json:"stored"`  // entries
	Skipped uint64 `json:"skipped"` // entries whose key was there
}

// Import stores a stream in a container. Objects are made when they are missing; one that is there is no conflict, its keys are, and names of
// attributes, which are stored before everything else, all or none. When it
// fails, each entry is stored whole or not at all, and the result counts those that are. Errors: CSUM (damaged or cut off, with the
// offset: nothing from there on is stored), DF_INCOMPT (of a later version), EXIST (by OnConflict), those of the system and of r.
func Import(ctx context.Context, cont system.Container, r io.Reader, o ImportOptions) (Imported, error) {
	src, err := open(r)
	if err != nil {
		return Imported{}, err
	}
	m := &importer{cont: cont, src: src, opts: o, open: map[string]system.KV{}}
	m.begin(ctx)
	err = m.run()
	if failed := m.group.Wait(); failed != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = failed // it ended the rest
	}
	m.done.Stored, m.done.Skipped = m.stored.Load(), m.skipped.Load()
	return m.done, errors.Join(err, m.close())
}

type importer struct {
	whole context.Context // of the import
	ctx   context.Context // of the group
	cont  system.Container
	src   source
	opts  ImportOptions
	group *errgroup.Group
	open  map[string]system.KV // closed at the end: calls run on them
	kv    system.KV            // of the entries that come
	batch []system.Mutation
	bytes int // of the batch
	done  Imported
	attrs map[string][]byte // that have come, and are not stored yet

	stored, skipped atomic.Uint64
}

func (m *importer) begin(ctx context.Context) {
	m.whole = ctx
	m.group, m.ctx = errgroup.WithContext(ctx)
	m.group.SetLimit(inFlight)
}

func (m *importer) close() (err error) {
	for _, kv := range m.open {
		err = errors.Join(err, kv.Close())
	}
	return err
}

func (m *importer) run() error {
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		r, err := m.src.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = m.take(r)
		}
		if err != nil {
			m.flush() // what came before is whole
			return err
		}
		m.opts.Progress(m.src.offset())
	}
}

func (m *importer) take(r record) error {
	if err := m.attributes(r); err != nil {
		return err
	}
	switch r.kind {
	case kindObject:
		m.flush()
		return m.object(r.name)
	case kindEntry:
		m.add(r)
	case kindLarge:
		return m.large(r)
	case kindEnd:
		m.flush()
		if m.done.Total = r.total; !m.wantsAttributes() {
			m.done.Attributes = 0
		}
	}
	return nil
}

func (m *importer) wantsAttributes() bool { return m.opts.Attributes && m.opts.Object == "" }

// attributes gathers the attributes of the container, and stores them when something else comes.
func (m *importer) attributes(r record) error {
	if r.kind == kindAttr && m.wantsAttributes() {
		if m.attrs == nil {
			m.attrs = map[string][]byte{}
		}
		m.attrs[string(r.key)] = r.value
	}
	if r.kind == kindAttr || len(m.attrs) == 0 {
		return nil
	}
	all := m.attrs
	m.attrs = nil
	if m.opts.OnConflict != Overwrite {
		there, err := m.cont.Attributes(m.ctx)
		if err != nil {
			return err
		}
		for name := range there {
			if _, both := all[name]; both && m.opts.OnConflict == Fail {
				return errno.New("", "", errno.Exist, fmt.Sprintf("the attribute %.100q is there already", name))
			}
			delete(all, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return m.cont.SetAttributes(m.ctx, all)
}

// maxOpen bounds how many objects are open at once.
const maxOpen = 256

func (m *importer) object(name string) error {
	if m.opts.Object != "" {
		if len(m.open) > 0 {
			return errno.New("", m.opts.Object, errno.Inval, "the stream has several objects: import it into a container, not into an object")
		}
		name = m.opts.Object
	}
	if kv, ok := m.open[name]; ok {
		m.kv = kv
		return nil
	}
	if len(m.open) == maxOpen {
		if err := m.settle(); err != nil {
			return err
		}
	}
	kv, err := m.cont.OpenKV(m.ctx, name, true)
	if err != nil {
		return err
	}
	m.open[name], m.kv = kv, kv
	return nil
}

// settle waits for what runs, and closes what is open.
func (m *importer) settle() error {
	if err := m.group.Wait(); err != nil {
		return err
	}
	err := m.close()
	clear(m.open)
	m.begin(m.whole)
	return err
}

func (m *importer) add(r record) {
	size := len(r.key) + len(r.value)
	if len(m.batch) == batchEntries || m.bytes+size > batchBytes {
		m.flush()
	}
	cond := system.CondInsert
	if m.opts.OnConflict == Overwrite {
		cond = system.CondNone
	}
	m.batch = append(m.batch, system.Mutation{Key: r.key, Value: r.value, Cond: cond})
	m.bytes += size
}

func (m *importer) flush() {
	batch, kv := m.batch, m.kv
	m.batch, m.bytes = nil, 0
	if len(batch) > 0 {
		m.group.Go(func() error { return m.store(kv, batch) })
	}
}

// store stores a batch. One that is too large for the log of a small pool goes in halves. When a key of it is there, what stands before
// that is stored, as it would have been alone, or, when such keys are skipped, all the others are.
func (m *importer) store(kv system.KV, batch []system.Mutation) error {
	for len(batch) > 0 {
		err := tree.Patient(m.ctx, func() error { return kv.Apply(m.ctx, batch) })
		var e *errno.Error
		switch {
		case err == nil:
			m.stored.Add(uint64(len(batch)))
			return nil
		case errors.Is(err, errno.Rec2Big) && len(batch) > 1:
			if err := m.store(kv, batch[:len(batch)/2]); err != nil {
				return err
			}
			batch = batch[len(batch)/2:]
		case !errors.Is(err, errno.Exist) || !errors.As(err, &e) || e.Index < 0 || e.Index >= len(batch):
			return err
		case m.opts.OnConflict == Skip:
			if batch, err = m.absent(kv, batch); err != nil {
				return err
			}
		default:
			return errors.Join(m.store(kv, batch[:e.Index]), m.conflict(batch[e.Index].Key))
		}
	}
	return nil
}

// absent is the part of a batch whose keys are not there.
func (m *importer) absent(kv system.KV, batch []system.Mutation) (rest []system.Mutation, err error) {
	for _, mut := range batch {
		there, err := kv.Exists(m.ctx, mut.Key)
		if err != nil {
			return nil, err
		}
		if there {
			m.skipped.Add(1)
		} else {
			rest = append(rest, mut)
		}
	}
	return rest, nil
}

func (m *importer) conflict(key []byte) error {
	if m.opts.OnConflict == Skip {
		m.skipped.Add(1)
		return nil
	}
	return errno.New("", "", errno.Exist, fmt.Sprintf("the key %.100q is there already", key))
}

// large stores a value that comes in pieces. It is visible when all of them have come.
func (m *importer) large(r record) error {
	w, err := m.writer(r.key)
	if err != nil {
		return err
	}
	if w != nil {
		defer w.Close()
	}
	for left := r.size; left > 0; {
		piece, err := m.src.next()
		if err != nil {
			return err
		}
		left -= uint64(len(piece.value))
		if w != nil {
			if _, err := w.Write(piece.value); err != nil {
				return err
			}
		}
		m.opts.Progress(m.src.offset())
	}
	return m.commit(w, r.key)
}

// writer is where a large value goes; nil when its key is there and stays as it is: nothing is moved in vain then.
func (m *importer) writer(key []byte) (system.Writer, error) {
	if m.opts.OnConflict == Overwrite {
		return m.kv.Writer(m.ctx, key)
	}
	there, err := m.kv.Exists(m.ctx, key)
	if err != nil || there {
		return nil, err
	}
	return m.kv.Writer(m.ctx, key, system.CondInsert)
}

func (m *importer) commit(w system.Writer, key []byte) error {
	err := error(errno.Exist)
	if w != nil {
		err = w.Commit(m.ctx)
	}
	if errors.Is(err, errno.Exist) {
		return m.conflict(key)
	}
	if err == nil {
		m.stored.Add(1)
	}
	return err
}
