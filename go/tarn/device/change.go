// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// rangeStep is how much of a long range is done between two looks at the context.
const rangeStep = 64 << 20

// waiting makes a call for which C waits on this thread. The caller has begun. ctx is obeyed until the call begins.
func (c *core) waiting(ctx context.Context, op string, call func() C.int) error {
	select {
	case waiting <- struct{}{}:
	case <-ctx.Done():
		return errno.FromContext(op, c.guard.ref, ctx)
	}
	defer func() { <-waiting }()
	return called(op, c.guard.ref, call)
}

// Sync is Flush without a context, as os.File has it. Errors: as Flush.
func (d *Device) Sync() error { return d.Flush(context.Background()) }

// Flush makes durable what had been written when it began. Errors: IO, CANCELED.
func (d *Device) Flush(ctx context.Context) error {
	const op = "device flush"
	if err := d.begin(ctx, op); err != nil {
		return err
	}
	defer d.end()
	return d.transfer(ctx, op, &request{opcode: OpFlush})
}

// Discard says that the bytes are not needed any more. In a file, mem: and sim: they read as zeros; in a block device as it likes. It
// is done 64 MiB at a time; ctx is looked at between. Errors: EP_RO, INVAL, IO, NOTSUPPORTED where there is no discard.
//
// Implements: int tarn_dev_discard(tarn_dev *, uint64_t, uint64_t)
func (d *Device) Discard(ctx context.Context, off, n int64) error {
	return d.change(ctx, "device discard", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_discard(d.dev, off, n) })
}

// WriteZeroes makes the bytes read as zeros, as Discard does its work. Errors: EP_RO, INVAL, IO, NOSPACE, and NOTSUPPORTED where the
// device or file system has no command for it: then write zeros.
//
// Implements: int tarn_dev_write_zeroes(tarn_dev *, uint64_t, uint64_t)
func (d *Device) WriteZeroes(ctx context.Context, off, n int64) error {
	return d.change(ctx, "device write zeroes", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_write_zeroes(d.dev, off, n) })
}

// Compare is nil when the device has the bytes p, MISMATCH when not: its sentence says where the first difference is.
//
// Implements: int tarn_dev_compare(tarn_dev *, uint64_t, const void *, uint64_t)
func (d *Device) Compare(ctx context.Context, p []byte, off int64) error {
	return d.change(ctx, "device compare", off, int64(len(p)), func(at, n C.uint64_t) C.int {
		return C.tarn_dev_compare(d.dev, at, unsafe.Pointer(unsafe.SliceData(p[int64(at)-off:])), n)
	})
}

// change makes a call of C on a range, in steps.
func (d *Device) change(ctx context.Context, op string, off, n int64, call func(off, n C.uint64_t) C.int) error {
	if err := d.begin(ctx, op); err != nil {
		return err
	}
	defer d.end()
	if err := d.checkRange(op, off, n); err != nil {
		return err
	}
	for n > 0 {
		step := min(n, rangeStep)
		if err := d.waiting(ctx, op, func() C.int { return call(C.uint64_t(off), C.uint64_t(step)) }); err != nil {
			return err
		}
		off, n = off+step, n-step
	}
	return nil
}
