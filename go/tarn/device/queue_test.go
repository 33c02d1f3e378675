// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

func openQueue(t testing.TB, d *Device, o QueueOptions) *Queue {
	t.Helper()
	q, err := d.OpenQueue(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, q.Close()) })
	return q
}

func alloc(t testing.TB, n int) *Buffer {
	t.Helper()
	b, err := Alloc(n, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

// TestQueue keeps a queue full of writes, then of reads, and finds what it wrote; fixed and not, single and not.
func TestQueue(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		runtime.LockOSThread() // for Single
		defer runtime.UnlockOSThread()
		d, rng := open(), seeded(t)
		for _, o := range []QueueOptions{{Depth: 8}, {Depth: 8, Single: true}} {
			b := alloc(t, 8*8192)
			q, err := d.OpenQueue(o)
			if err != nil {
				t.Fatal(err)
			}
			must(t, q.Register(b))
			if i, err := q.Info(); err != nil || i.Single != o.Single || i.Registered != 1 {
				t.Errorf("%+v, %v", i, err)
			}
			model := readAll(t, d)
			churnQueue(t, q, b, rng, model)
			must(t, q.Close())
			wantBytes(t, "after the churn", readAll(t, d), model)
		}
	})
}

// churnQueue does 1000 I/Os, up to 8 in flight, each in a part of the device that belongs to its tag.
func churnQueue(t *testing.T, q *Queue, b *Buffer, rng *rand.Rand, model []byte) {
	ios, out, ready := q.IOs(), make([]*IO, 8), []*IO{}
	part := len(model) / 8
	memory := func(tag uint64) []byte { return b.Bytes()[tag*8192:][:8192] }
	again := func(io *IO) {
		data, off := memory(io.Tag), uint64(part)*io.Tag+uint64(rng.IntN(part/4096-1))*4096
		op := OpRead
		if rng.IntN(2) == 0 {
			op = OpWrite
			fill(rng, data)
			copy(model[off:], data)
		}
		if rng.IntN(2) == 0 {
			io.PrepareFixed(op, off, data, 0)
		} else {
			io.Prepare(op, off, data)
		}
		if op == OpWrite && rng.IntN(20) == 0 {
			io.Durable()
		}
		ready = append(ready, io)
	}
	for tag := range ios {
		ios[tag].Tag = uint64(tag)
		again(&ios[tag])
	}
	for done := 0; done < 1000; {
		started, n, err := q.SubmitAndReap(ready, out, 1, 10*time.Second)
		if err != nil || n == 0 {
			t.Fatalf("%d reaped, %v", n, err)
		}
		ready = ready[started:]
		for _, io := range out[:n] {
			done++
			must(t, io.Err())
			if io.opcode == OpRead && !bytes.Equal(memory(io.Tag), model[io.Offset():][:8192]) {
				t.Fatalf("a read at %d: not what was written there", io.Offset())
			}
			if done < 993 {
				again(io)
			}
		}
	}
}

// TestQueueOfOneThread: what another thread does with a Single queue is refused while I/O is in flight.
func TestQueueOfOneThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := open(t, "sim:4M?seed=3&never=read:1")
	q, err := d.OpenQueue(QueueOptions{Depth: 4, Single: true})
	if err != nil {
		t.Fatal(err)
	}
	b, ios, out := alloc(t, 4096), q.IOs(), make([]*IO, 4)
	ios[0].Prepare(OpRead, 0, b.Bytes())
	if n, err := q.Submit([]*IO{&ios[0]}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 10*time.Second, "a close on another thread", func() { wantCode(t, "close", q.Close(), errno.Inval) })
	must(t, q.Cancel(&ios[0]))
	if n, err := q.Reap(out, 1, 10*time.Second); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	must(t, q.Close())
}

func TestQueueRefusals(t *testing.T) {
	d := open(t, "mem:4M")
	q := openQueue(t, d, QueueOptions{Depth: 4})
	b, ios, out := alloc(t, 4096), q.IOs(), make([]*IO, 4)
	for i, c := range []struct {
		what    string
		prepare func(io *IO)
		want    errno.Code
	}{
		{"past the end", func(io *IO) { io.Prepare(OpRead, testBytes, b.Bytes()) }, errno.Inval},
		{"misaligned", func(io *IO) { io.PrepareFixed(OpRead, 1, b.Bytes(), 3) }, errno.Inval},
		{"an opcode that is none", func(io *IO) { io.Prepare(77, 0, b.Bytes()) }, errno.Inval},
		{"no registered buffer", func(io *IO) { io.PrepareFixed(OpRead, 0, b.Bytes(), 3) }, errno.Inval},
		{"no memory", func(io *IO) { io.PrepareRange(OpRead, 0, 4096) }, errno.Inval},
		{"a nop", func(io *IO) { io.PrepareRange(OpNop, 0, 0) }, errno.OK},
		{"a flush", func(io *IO) { io.PrepareRange(OpFlush, 0, 0) }, errno.OK},
		{"a discard", func(io *IO) { io.PrepareRange(OpDiscard, 4096, 4096) }, errno.OK},
	} {
		io := &ios[i%4]
		c.prepare(io)
		if n, err := q.Submit([]*IO{io}); n != 1 || err != nil {
			t.Fatalf("%s: submitted %d, %v", c.what, n, err)
		}
		if n, err := q.Reap(out, 1, -1); n != 1 || err != nil || out[0] != io {
			t.Fatalf("%s: reaped %d, %v", c.what, n, err)
		}
		if errno.CodeOf(io.Err()) != c.want || io.Failed() != (c.want != errno.OK) {
			t.Errorf("%s: %v, want %s", c.what, io.Err(), c.want.Name())
		}
	}
	wantCode(t, "register nothing", q.Register(), errno.Inval)
	wantCode(t, "cancel of what is not in flight", q.Cancel(&ios[0]), errno.NonExist)
	for _, depth := range []int{-1, MaxDepth + 1} {
		_, err := d.OpenQueue(QueueOptions{Depth: depth})
		wantCode(t, "depth", err, errno.Inval)
	}
}

// TestQueueFull: what does not fit is not started.
func TestQueueFull(t *testing.T) {
	q := openQueue(t, open(t, "mem:4M"), QueueOptions{Depth: 2})
	ios, out := q.IOs(), make([]*IO, 4)
	other := openQueue(t, open(t, "mem:4M"), QueueOptions{Depth: 2}).IOs()
	for _, io := range []*IO{&ios[0], &ios[1], &other[0]} {
		io.PrepareRange(OpNop, 0, 0)
	}
	if n, err := q.Submit([]*IO{&ios[0], &ios[1], &other[0]}); n != 2 || err != nil {
		t.Errorf("started %d, %v", n, err)
	}
	if i, err := q.Info(); err != nil || i.Depth != 2 || i.InFlight != 2 {
		t.Errorf("%+v, %v", i, err)
	}
	if n, err := q.Reap(out, 2, -1); n != 2 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	if n, err := q.Reap(out, 1, -1); n != 0 || err != nil { // nothing is in flight
		t.Errorf("reaped %d, %v", n, err)
	}
}

func TestQueueFd(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		q := openQueue(t, d, QueueOptions{Depth: 4})
		fd, err := q.Fd()
		if err != nil {
			t.Fatal(err)
		}
		b, ios, out := alloc(t, 4096), q.IOs(), make([]*IO, 4)
		ios[0].Prepare(OpRead, 0, b.Bytes())
		if n, err := q.Submit([]*IO{&ios[0]}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; { // it may be readable too early
			waitReadable(t, fd)
			n, err := q.Reap(out, 0, 0)
			if n == 1 && out[0].Err() == nil {
				return
			}
			if n > 0 || err != nil || time.Now().After(deadline) {
				t.Fatalf("reaped %d, %v", n, err)
			}
		}
	})
}

func waitReadable(t *testing.T, fd int) {
	var set syscall.FdSet
	set.Bits[fd/64] |= 1 << (fd % 64)
	if n, err := syscall.Select(fd+1, &set, nil, nil, &syscall.Timeval{Sec: 10}); n != 1 || err != nil {
		t.Fatalf("the descriptor is not readable: %d, %v", n, err)
	}
}

// TestQueueCancel: what never completes ends when it is asked to, or stays lent when the queue is closed.
func TestQueueCancel(t *testing.T) {
	d := open(t, "sim:4M?seed=3&never=read:1")
	q := openQueue(t, d, QueueOptions{Depth: 4})
	b, io, out := alloc(t, 4096), &q.IOs()[0], make([]*IO, 4)
	io.Prepare(OpRead, 0, b.Bytes())
	if n, err := q.Submit([]*IO{io}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := q.Reap(out, 1, 10*time.Millisecond); n != 0 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	within(t, 20*time.Second, "a bounded close", func() {
		wantCode(t, "close", q.CloseWithin(10*time.Millisecond), errno.TimedOut)
	})
	must(t, q.Cancel(io))
	if n, err := q.Reap(out, 1, 10*time.Second); n != 1 || err != nil {
		t.Fatalf("reaped %d, %v", n, err)
	}
	if err := io.Err(); errno.CodeOf(err) != errno.Canceled || !strings.Contains(err.Error(), "read") {
		t.Errorf("%v", err)
	}
}

// TestQueueWake: a reap that waits for ever ends with a wake, and with a close.
func TestQueueWake(t *testing.T) {
	d := open(t, "sim:4M?seed=3&never=read:1")
	q, err := d.OpenQueue(QueueOptions{Depth: 4})
	if err != nil {
		t.Fatal(err)
	}
	b, io, out := alloc(t, 4096), &q.IOs()[0], make([]*IO, 4)
	io.Prepare(OpRead, 0, b.Bytes())
	if n, err := q.Submit([]*IO{io}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 20*time.Second, "wake", func() {
		time.AfterFunc(10*time.Millisecond, q.Wake)
		if n, err := q.Reap(out, 1, -1); n != 0 || err != nil {
			t.Errorf("reaped %d, %v", n, err)
		}
		must(t, q.Cancel(io))
		if n, err := q.Reap(out, 1, -1); n != 1 || err != nil {
			t.Errorf("reaped %d, %v", n, err)
		}
		must(t, q.Close())
		_, err := q.Reap(out, 1, -1)
		wantCode(t, "reap of a closed queue", err, errno.NoHdl)
		_, err = q.Submit(nil)
		wantCode(t, "submit to a closed queue", err, errno.NoHdl)
		q.Wake()
		must(t, q.Close())
	})
}
