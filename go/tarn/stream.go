// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"io"
	"runtime"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Writer writes one value of any size. Nothing of it is visible before Commit; Close without Commit leaves nothing. One goroutine at a
// time uses it.
type Writer struct {
	object
	c   *C.tarn_writer
	ctx context.Context // of every Write
	kv  *KV             // kept alive
}

// Writer starts a value. ctx bounds the writes; Commit has its own. Errors: INVAL (empty key, CondRevision), KEY2BIG, EP_RO.
//
// Implements: int tarn_writer_open(tarn_kv *, tarn_buf, tarn_cond, tarn_writer **)
func (kv *KV) Writer(ctx context.Context, key []byte, cond ...Cond) (*Writer, error) {
	s, err := kv.begin(ctx, "kv write")
	if err != nil {
		return nil, err
	}
	defer kv.end(s)
	c, err := condOf(s.op, s.ref, cond)
	if err != nil {
		return nil, err
	}
	if err = direct(s.op, s.ref, func() C.int { return C.go_writer_open(kv.c, lend(key), c, s.c) }); err != nil {
		return nil, err
	}
	return newWriter(ctx, kv, (*C.tarn_writer)(s.handle())), nil
}

func newWriter(ctx context.Context, kv *KV, c *C.tarn_writer) *Writer {
	w := &Writer{c: c, ctx: ctx, kv: kv}
	w.h = newHandle(kv.h.core, kv.h, "writer", kv.h.ref, func() error {
		return direct("kv write", kv.h.ref, func() C.int { return C.tarn_writer_abort(c) })
	})
	watch(w, w.h)
	return w
}

// Write appends p to the value. After an error the value cannot be committed. Errors: REC2BIG (over what a value, or the container, may
// have), NOSPACE.
//
// Implements: int tarn_writer_write(tarn_writer *, tarn_buf, tarn_event *)
func (w *Writer) Write(p []byte) (int, error) {
	s, err := w.begin(w.ctx, "kv write")
	if err != nil {
		return 0, err
	}
	defer w.end(s)
	if len(p) == 0 {
		return 0, nil
	}
	s.target(p)
	defer C.go_slot_init(s.c, 0)
	if err = s.settle(w.ctx, C.go_writer_write(w.c, lend(p), s.c)); err != nil {
		return 0, err
	}
	s.tally.bytesWritten(uint64(len(p)))
	return len(p), nil
}

// ReadFrom appends everything that src has, in pieces that suit the library. io.Copy calls it. Errors: those of Write, and of src.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	piece, give, err := w.piece("kv write")
	if err != nil {
		return 0, err
	}
	defer give()
	for total := int64(0); ; {
		n, err := io.ReadFull(src, piece)
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// piece borrows a buffer of C memory, which needs no pin.
func (o *object) piece(op string) (piece []byte, give func(), err error) {
	b := &o.h.core.buffers
	mem, err := b.take(op, o.h.ref)
	if err != nil {
		return nil, nil, err
	}
	return unsafe.Slice((*byte)(mem), bufferBytes), func() { b.give(mem) }, nil
}

// Commit makes the value visible and durable, and closes the writer, whatever it returns. Only when ctx had ended before it began, the
// writer is still open. Errors: EXIST and NONEXIST (the condition), NOSPACE, that of a write that failed.
//
// Implements: int tarn_writer_commit(tarn_writer *, tarn_event *)
func (w *Writer) Commit(ctx context.Context) error {
	defer runtime.KeepAlive(w)
	const op = "kv commit"
	if ctx.Err() != nil {
		return errno.FromContext(op, w.h.ref, ctx)
	}
	s, err := w.h.core.slots.take(ctx, op, w.h)
	if err != nil {
		return err
	}
	defer w.h.core.slots.give(s)
	return w.h.finish(op, func() error { return s.wait(ctx, C.tarn_writer_commit(w.c, &s.c.ev)) })
}

// Reader reads one value as it was when the reader was opened. One goroutine at a time uses it.
type Reader struct {
	object
	c    *C.tarn_reader
	ctx  context.Context // of every Read
	kv   *KV             // kept alive
	stat Stat
	off  uint64
}

// Reader opens the value of key. ctx bounds the reads. NONEXIST when there is none.
//
// Implements: int tarn_reader_open(tarn_kv *, tarn_buf, tarn_kv_stat *, tarn_reader **, tarn_event *)
func (kv *KV) Reader(ctx context.Context, key []byte) (*Reader, error) {
	s, err := kv.begin(ctx, "kv read")
	if err != nil {
		return nil, err
	}
	defer kv.end(s)
	if err = s.settle(ctx, C.go_reader_open(kv.c, lend(key), s.c)); err != nil {
		return nil, err
	}
	return newReader(ctx, kv, statOf(s.c.stat), (*C.tarn_reader)(s.handle())), nil
}

func newReader(ctx context.Context, kv *KV, stat Stat, c *C.tarn_reader) *Reader {
	r := &Reader{c: c, ctx: ctx, kv: kv, stat: stat}
	r.h = newHandle(kv.h.core, kv.h, "reader", kv.h.ref, func() error {
		return direct("kv read", kv.h.ref, func() C.int { return C.tarn_reader_close(c) })
	})
	watch(r, r.h)
	return r
}

// Stat is the size and the revision of the value.
func (r *Reader) Stat() Stat { return r.stat }

// Read reads the next bytes of the value; io.EOF behind the last. Errors: CSUM, IO.
//
// Implements: int tarn_reader_read(tarn_reader *, uint64_t, void *, size_t *, tarn_event *)
func (r *Reader) Read(p []byte) (int, error) {
	s, err := r.begin(r.ctx, "kv read")
	if err != nil {
		return 0, err
	}
	defer r.end(s)
	if len(p) == 0 {
		return 0, nil
	}
	if r.off >= r.stat.Size {
		return 0, io.EOF
	}
	s.c.len = C.size_t(len(p))
	if err = s.settle(r.ctx, C.go_reader_read(r.c, C.uint64_t(r.off), s.target(p), s.c)); err != nil {
		return 0, err
	}
	s.tally.bytesRead(uint64(s.c.len))
	return r.advance(int(s.c.len))
}

// WriteTo writes what is left of the value to dst, in pieces that suit the library. io.Copy calls it. Errors: those of Read, and of dst.
func (r *Reader) WriteTo(dst io.Writer) (int64, error) {
	piece, give, err := r.piece("kv read")
	if err != nil {
		return 0, err
	}
	defer give()
	for total := int64(0); ; {
		n, err := r.Read(piece)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err = dst.Write(piece[:n])
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// advance counts what was read. Nothing, before the end, is a value that is shorter than its size.
func (r *Reader) advance(n int) (int, error) {
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	r.off += uint64(n)
	return n, nil
}
