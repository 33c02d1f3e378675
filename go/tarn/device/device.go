// SPDX-License-Identifier: Apache-2.0

//go:build cgo

// Package device does I/O on block devices, NVMe namespaces, files, memory and simulated disks: direct, asynchronous, without copies.
//
//	d, err := device.Open("file:/var/tmp/disk", device.ReadWrite())
//	n, err := d.ReadAt(p, 4096)                 // any offset, length and memory
//	err = d.WriteDurable(ctx, buf.Bytes(), 0)   // survives a power cut when it returns
//
// A Device is an io.ReaderAt and an io.WriterAt. What is misaligned goes through an aligned buffer, unless it was opened with NoBounce:
// then it is refused, with a sentence that says which value and which alignment. Memory of a Buffer is aligned, and needs neither a copy
// nor pinning. A write is in order with nothing else that is in flight; a Flush covers what had returned before it began.
//
// A Device is safe for concurrent use; its goroutines share a queue of Depth I/Os, and wait in Go: no thread waits for an I/O, however
// many goroutines do. Calls that Linux has only as calls that wait (opening, zones, discarding, comparing, and writing parts of blocks)
// hold a thread each, at most 4 in the process. A call whose context ends asks the device to give the I/O up, and waits until it has:
// memory is lent to the device until the return.
//
// A Queue is for a program that keeps a depth of I/Os in flight by itself, with the least CPU time for each.
//
// Every error but io.EOF is an *errno.Error: errors.Is(err, errno.Inval), and also errors.Is(err, fs.ErrNotExist). What a call says of its
// errors are those of its own. Any call can also answer NO_HDL (closed) and NOMEM, one with a context CANCELED or TIMEDOUT (it has ended), and one
// that asks the device IO (it failed) or NVME_IO (a command did, with its status).
package device

// #include "cgo.h"
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tarn-storage/tarn/go/errno"
)

// Depths of the queue that the goroutines of a Device share, and of a Queue.
const (
	DefaultDepth = 128
	MaxDepth     = 4096
)

// Device is an open device. Close it. Use from any goroutine.
type Device struct {
	*core
	watch runtime.Cleanup
}

// core never points to its Device, so that the Device's cleanup can own it.
type core struct {
	guard   *guard
	dev     *C.tarn_dev
	info    Info // as it was when it was opened
	bounce  bool
	depth   int
	bounced atomic.Uint64 // through memory of slots; C counts its own

	mu     sync.Mutex
	engine atomic.Pointer[engine] // made by the first I/O, under mu
}

type options struct {
	flags   C.uint32_t
	create  uint64
	backend string
	depth   int
	logger  *slog.Logger
}

// Option is an option of Open.
type Option func(*options)

// ReadWrite opens for writing too; without it writes are refused with EP_RO.
func ReadWrite() Option { return func(o *options) { o.flags |= C.TARN_DEV_RDWR } }

// Create makes a regular file of so many bytes, and opens it for reading and writing: EXIST when there is one.
func Create(bytes uint64) Option {
	return func(o *options) { o.flags |= C.TARN_DEV_CREATE | C.TARN_DEV_RDWR; o.create = bytes }
}

// Exclusive holds the device: BUSY when it is mounted or somebody else holds it.
func Exclusive() Option { return func(o *options) { o.flags |= C.TARN_DEV_EXCLUSIVE } }

// Strict refuses any fallback with NOTSUPPORTED, saying what and why. Without it Info.Note tells.
func Strict() Option { return func(o *options) { o.flags |= C.TARN_DEV_STRICT } }

// Buffered does I/O through the page cache. Without it O_DIRECT is tried first.
func Buffered() Option { return func(o *options) { o.flags |= C.TARN_DEV_BUFFERED } }

// NoBounce refuses misaligned I/O with INVAL. Without it, it is done through an aligned buffer, and counted.
func NoBounce() Option { return func(o *options) { o.flags &^= C.TARN_DEV_BOUNCE } }

// Backend names what does the I/O: "io_uring", "threads"; for nvme: "io_uring_cmd", "ioctl".
func Backend(name string) Option { return func(o *options) { o.backend = name } }

// Depth is how many I/Os of this Device are in flight at most: 1 to MaxDepth. More callers wait in Go.
func Depth(n int) Option { return func(o *options) { o.depth = n } }

// Logger is told of handles that were collected before they were closed.
func Logger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// Open opens a device: a URI, or the path of what exists. Without options it is read-only. Errors: NONEXIST, EXIST, NO_PERM, INVAL, BUSY,
// NOSPACE, NOTSUPPORTED, IO, NOMEM.
//
// Implements: int tarn_dev_open(const char *, const tarn_dev_options *, tarn_dev **)
func Open(uri string, opts ...Option) (*Device, error) {
	o := options{flags: C.TARN_DEV_BOUNCE, depth: DefaultDepth, logger: slog.New(slog.DiscardHandler)}
	for _, option := range opts {
		option(&o)
	}
	if o.depth < 1 || o.depth > MaxDepth {
		return nil, errno.New("device open", uri, errno.Inval, fmt.Sprintf("a depth of %d: use 1 to %d", o.depth, MaxDepth))
	}
	c := &core{bounce: o.flags&C.TARN_DEV_BOUNCE != 0, depth: o.depth}
	if err := c.open(uri, &o); err != nil {
		return nil, err
	}
	c.guard = newGuard("device", uri, nil, o.logger)
	c.guard.release, c.guard.hurry = c.release, c.cancelAll
	d := &Device{core: c}
	d.watch = runtime.AddCleanup(d, (*guard).leaked, c.guard)
	return d, nil
}

func (c *core) open(uri string, o *options) error {
	const op = "device open"
	name, err := cstring(op, uri)
	if err != nil {
		return err
	}
	defer free(name)
	in := C.tarn_dev_options{struct_size: C.sizeof_tarn_dev_options, flags: o.flags, create_bytes: C.uint64_t(o.create)}
	if o.backend != "" {
		if in.backend, err = cstring(op, o.backend); err != nil {
			return err
		}
		defer free(in.backend)
	}
	// in is passed by itself: cgo then copies it to where C may read it.
	if err = direct(op, uri, func() C.int { return C.tarn_dev_open(name, &in, &c.dev) }); err != nil {
		return err
	}
	c.info, err = c.currentInfo(uri)
	return err
}

func (c *core) currentInfo(ref string) (Info, error) {
	info := C.tarn_dev_info{struct_size: C.sizeof_tarn_dev_info}
	err := called("device info", ref, func() C.int { return C.tarn_dev_get_info(c.dev, &info) })
	return fromInfo(&info), err
}

// release ends it in C. No call is inside.
func (c *core) release() error {
	if e := c.engine.Load(); e != nil {
		if err := e.close(); err != nil {
			return err
		}
		c.engine.Store(nil)
	}
	return direct("device close", c.guard.ref, func() C.int { return C.tarn_dev_close(c.dev) })
}

func (c *core) cancelAll() {
	if e := c.engine.Load(); e != nil {
		e.cancelAll()
	}
}

// Close waits for the calls that are running and closes the device. It may be called again. BUSY while a Queue of it is open.
//
// Implements: int tarn_dev_close(tarn_dev *)
func (d *Device) Close() error { return d.CloseContext(context.Background()) }

// CloseContext is Close for a device that may not answer: when ctx ends it cancels the calls that are running, and gives them a second
// more. TIMEDOUT: the device stays open, for it may still use their memory.
func (d *Device) CloseContext(ctx context.Context) error {
	defer runtime.KeepAlive(d)
	err := d.guard.close(ctx)
	if err == nil {
		d.watch.Stop()
	}
	return err
}

// Info says what was really chosen, and how many I/Os went through a bounce buffer by now. Of a closed device it is as it was opened.
//
// Implements: int tarn_dev_get_info(tarn_dev *, tarn_dev_info *)
func (d *Device) Info() Info {
	defer runtime.KeepAlive(d)
	if d.guard.enter("device info") != nil {
		return d.info
	}
	defer d.guard.leave()
	info, err := d.currentInfo(d.guard.ref)
	if err != nil {
		return d.info
	}
	info.Bounced += d.bounced.Load()
	return info
}

// Size is Info.Size.
func (d *Device) Size() int64 { return int64(d.info.Size) }

// begin admits a call, which ends with end.
func (d *Device) begin(ctx context.Context, op string) error {
	if ctx.Err() != nil {
		return errno.FromContext(op, d.guard.ref, ctx)
	}
	return d.guard.enter(op)
}

// end keeps the Device alive so far: its cleanup may not run while C is inside it.
func (d *Device) end() {
	d.guard.leave()
	runtime.KeepAlive(d)
}

// shared is the device's engine. The caller has begun.
func (c *core) shared() (*engine, error) {
	if e := c.engine.Load(); e != nil {
		return e, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.engine.Load(); e != nil {
		return e, nil
	}
	e, err := openEngine(c.dev, c.guard.ref, c.depth)
	if err == nil {
		c.engine.Store(e)
	}
	return e, err
}
