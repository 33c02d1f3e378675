// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"fmt"
	"io"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

var (
	_ io.ReaderAt = (*Device)(nil)
	_ io.WriterAt = (*Device)(nil)
	_ io.Closer   = (*Device)(nil)
)

// ReadAt reads at a byte offset: io.EOF when the device ends before p does. Errors: as ReadAtContext.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	return d.ReadAtContext(context.Background(), p, off)
}

// ReadAtContext is ReadAt until ctx ends. After an error the rest of p may have been written to. What is longer than Info.MaxTransfer
// is read in several I/Os. Errors: INVAL (a negative offset; what is misaligned, with NoBounce), IO.
func (d *Device) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	const op = "device read"
	if err := d.begin(ctx, op); err != nil {
		return 0, err
	}
	defer d.end()
	if err := d.checkOffset(op, off); err != nil {
		return 0, err
	}
	rest := d.Size() - off
	if int64(len(p)) <= rest {
		return d.pieces(ctx, p, off, (*Device).readPiece)
	}
	n, err := d.pieces(ctx, p[:max(rest, 0)], off, (*Device).readPiece)
	if err == nil {
		err = io.EOF
	}
	return n, err
}

// WriteAt writes at a byte offset: INVAL, and nothing is written, when the device ends before p does. Durable after a Flush. Errors:
// as WriteAtContext.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	return d.WriteAtContext(context.Background(), p, off)
}

// WriteAtContext is WriteAt until ctx ends. After an error the bytes behind those that it counts are old or new, block by block. A part
// of a block is written by reading the block and writing it again: in one step with other such writes of this Device, but not of others.
// Errors: INVAL (as of reads, and beyond the end), EP_RO, IO.
func (d *Device) WriteAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	return d.write(ctx, p, off, (*Device).writePiece)
}

// WriteDurable is WriteAtContext, and what it has written survives a power cut when it returns. Errors: as there.
func (d *Device) WriteDurable(ctx context.Context, p []byte, off int64) (int, error) {
	return d.write(ctx, p, off, (*Device).writeDurablePiece)
}

// piece does the first part of p, and says how many bytes that was.
type piece func(d *Device, ctx context.Context, p []byte, off uint64) (int, error)

func (d *Device) pieces(ctx context.Context, p []byte, off int64, do piece) (int, error) {
	n := 0
	for n < len(p) {
		m, err := do(d, ctx, p[n:], uint64(off)+uint64(n))
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func (d *Device) write(ctx context.Context, p []byte, off int64, do piece) (int, error) {
	const op = "device write"
	if err := d.begin(ctx, op); err != nil {
		return 0, err
	}
	defer d.end()
	if err := d.checkRange(op, off, int64(len(p))); err != nil {
		return 0, err
	}
	return d.pieces(ctx, p, off, do)
}

func (d *Device) checkOffset(op string, off int64) error {
	if off >= 0 {
		return nil
	}
	return errno.New(op, d.guard.ref, errno.Inval, fmt.Sprintf("offset %d: use one from 0 to %d", off, d.info.Size))
}

func (d *Device) checkRange(op string, off, n int64) error {
	if err := d.checkOffset(op, off); err != nil {
		return err
	}
	if n >= 0 && off <= d.Size() && n <= d.Size()-off {
		return nil
	}
	return errno.New(op, d.guard.ref, errno.Inval,
		fmt.Sprintf("%d bytes at offset %d: the device ends at %d", n, off, d.info.Size))
}

// ---- pieces ----

// whole returns how many bytes of n at off can be done as they stand as far as the offset is concerned; 0: none.
func (d *Device) whole(off uint64, n int) int {
	align := uint64(d.info.OffsetAlignment)
	if off%align != 0 {
		return 0
	}
	return min(n-int(uint64(n)%align), int(d.info.MaxTransfer))
}

func (d *Device) inPlace(p []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(p)))%uintptr(d.info.MemoryAlignment) == 0
}

func (d *Device) readPiece(ctx context.Context, p []byte, off uint64) (int, error) {
	n := d.whole(off, len(p))
	if !d.bounce {
		n = min(len(p), int(d.info.MaxTransfer)) // C refuses what is misaligned, and says why
	} else if !d.inPlace(p) || n < len(p) && len(p) < bounceBytes/2 {
		n = 0
	}
	if n == 0 {
		return d.readBounced(ctx, p, off)
	}
	return n, d.transfer(ctx, "device read", &request{opcode: OpRead, p: p[:n], off: off})
}

// readBounced reads the blocks that p has a part in, as many as a slot has memory for.
func (d *Device) readBounced(ctx context.Context, p []byte, off uint64) (int, error) {
	align := uint64(d.info.OffsetAlignment)
	skip := off % align
	n := min(uint64(len(p)), uint64(min(bounceBytes, d.info.MaxTransfer))-skip)
	blocks := (skip + n + align - 1) / align * align
	return int(n), d.transfer(ctx, "device read", &request{opcode: OpRead, p: p[:n], off: off, skip: skip, blocks: int(blocks)})
}

func (d *Device) writePiece(ctx context.Context, p []byte, off uint64) (int, error) {
	return d.writeWith(ctx, 0, p, off)
}

func (d *Device) writeDurablePiece(ctx context.Context, p []byte, off uint64) (int, error) {
	return d.writeWith(ctx, flagDurable, p, off)
}

func (d *Device) writeWith(ctx context.Context, flags uint8, p []byte, off uint64) (int, error) {
	r := request{opcode: OpWrite, flags: flags, off: off}
	n := d.whole(off, len(p))
	if !d.bounce {
		n = min(len(p), int(d.info.MaxTransfer)) // C refuses what is misaligned, and says why
	} else if n == 0 {
		return d.writePart(ctx, flags, p, off)
	} else if !d.inPlace(p) {
		n = min(n, bounceBytes)
		r.blocks = n
	}
	r.p = p[:n]
	return n, d.transfer(ctx, "device write", &r)
}

// writePart writes up to the next block's begin. C does that under a lock of the device, on this thread.
//
// Implements: int tarn_dev_write(tarn_dev *, uint64_t, const void *, uint64_t, uint32_t)
func (d *Device) writePart(ctx context.Context, flags uint8, p []byte, off uint64) (int, error) {
	align := uint64(d.info.OffsetAlignment)
	n := int(min(uint64(len(p)), align-off%align))
	return n, d.waiting(ctx, "device write", func() C.int {
		return C.tarn_dev_write(d.dev, C.uint64_t(off), unsafe.Pointer(unsafe.SliceData(p)), C.uint64_t(n), C.uint32_t(flags))
	})
}

// request is one I/O on p; with blocks through memory of the slot, of so many bytes, in which p begins at skip.
type request struct {
	opcode Opcode
	flags  uint8
	p      []byte
	off    uint64
	skip   uint64
	blocks int
}

// transfer does one I/O, and leaves in r.off where it was done.
func (d *Device) transfer(ctx context.Context, op string, r *request) error {
	e, err := d.shared()
	if err != nil {
		return err
	}
	s, err := e.take(ctx, op)
	if err != nil {
		return err
	}
	defer e.give(s)
	if r.blocks > 0 {
		return d.transferBounced(ctx, op, e, s, r)
	}
	s.lend(r.opcode, r.off, r.p)
	s.io.flags = r.flags
	err = e.run(ctx, op, s)
	r.off = s.io.offset
	return err
}

func (d *Device) transferBounced(ctx context.Context, op string, e *engine, s *slot, r *request) error {
	data, err := s.borrow(r.blocks)
	if err != nil {
		return err
	}
	if r.opcode != OpRead {
		copy(data[r.skip:], r.p)
	}
	s.io.Prepare(r.opcode, r.off-r.skip, data)
	s.io.flags = r.flags
	d.bounced.Add(1)
	if err = e.run(ctx, op, s); err == nil && r.opcode == OpRead {
		copy(r.p, data[r.skip:])
	}
	r.off = s.io.offset
	return err
}
