// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestManyGoroutines: each has a part of the device, and finds there what it wrote; some give up in between.
func TestManyGoroutines(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d, seed := open(Depth(16)), seeded(t).Uint64()
		var wg sync.WaitGroup
		for g := range 64 {
			wg.Go(func() { onePart(t, d, rand.New(rand.NewPCG(seed, uint64(g))), int64(g)*65536) })
		}
		wg.Wait()
	})
}

func onePart(t *testing.T, d *Device, rng *rand.Rand, part int64) {
	got, want := make([]byte, 65536), make([]byte, 65536)
	for range 20 {
		off, n := rng.Int64N(32768), 1+rng.IntN(32768)
		if rng.IntN(2) == 0 {
			off, n = off&^4095, (n+4095)&^4095
		}
		fill(rng, want[off:][:n])
		if _, err := d.WriteAt(want[off:][:n], part+off); err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(300))*time.Microsecond)
		if _, err := d.ReadAtContext(ctx, got, part); err != nil && !errors.Is(err, errno.TimedOut) {
			t.Error(err)
		}
		cancel()
		if _, err := d.ReadAt(got, part); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the part at %d is not what was written there", part)
			return
		}
	}
}

// TestThreads: a thousand goroutines that wait for I/O hold no thread each.
func TestThreads(t *testing.T) {
	for _, target := range targets {
		if target.name == "file threads" { // whose threads are C's
			continue
		}
		t.Run(target.name, func(t *testing.T) {
			d, before := target.open(t), threads(t)
			var wg sync.WaitGroup
			for g := range 1000 {
				wg.Go(func() {
					p := make([]byte, 4096)
					for i := range 10 {
						if _, err := d.ReadAt(p, int64((g*10+i)*4096%testBytes)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			// Go keeps the threads that it has made. To ask meanwhile would make some: reading /proc blocks one.
			if after := threads(t); after > before+10 {
				t.Errorf("%d threads before, then %d", before, after)
			}
		})
	}
}

func TestContext(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d, p := open(), make([]byte, 4096)
		_, err := d.ReadAtContext(ended(), p, 0)
		wantCode(t, "a read that was cancelled", err, errno.Canceled)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("not context.Canceled: %v", err)
		}
		_, err = d.WriteAtContext(ended(), p, 0)
		wantCode(t, "a write that was cancelled", err, errno.Canceled)
		wantCode(t, "a flush that was cancelled", d.Flush(ended()), errno.Canceled)
		wantCode(t, "a discard that was cancelled", d.Discard(ended(), 0, 4096), errno.Canceled)
	})
}

// TestNeverCompletes: a read that the device never answers ends with its context, and so does a close.
func TestNeverCompletes(t *testing.T) {
	d := open(t, "sim:4M?seed=1&never=read:2")
	p := make([]byte, 4096)
	if _, err := d.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "a read that never completes", func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := d.ReadAtContext(ctx, p, 0)
		wantCode(t, "the second read", err, errno.TimedOut)
	})
	if _, err := d.ReadAt(p, 0); err != nil {
		t.Errorf("the third read: %v", err)
	}
}

func TestCloseOfWhatNeverCompletes(t *testing.T) {
	d, err := Open("sim:4M?seed=1&never=read:1")
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := d.ReadAt(make([]byte, 4096), 0)
		read <- err
	}()
	for d.guard.calls.Load() == 0 {
		runtime.Gosched()
	}
	time.Sleep(20 * time.Millisecond)
	within(t, 20*time.Second, "a close", func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		must(t, d.CloseContext(ctx))
		wantCode(t, "the read", <-read, errno.Canceled)
	})
}

func TestFailedRead(t *testing.T) {
	d := open(t, "sim:4M?seed=1&error=read:2")
	p := make([]byte, 4096)
	for i, want := range []errno.Code{errno.OK, errno.IO, errno.OK} {
		n, err := d.ReadAt(p, 0)
		if errno.CodeOf(err) != want || err == nil && n != 4096 || err != nil && n != 0 {
			t.Errorf("read %d: %d, %v; want %s", i+1, n, err, want.Name())
		}
		var e *errno.Error
		if errors.As(err, &e) && (e.Message == "" || e.Ref == "" || e.Op != "device read") {
			t.Errorf("no sentence: %+v", e)
		}
	}
}

// TestCloseRaces closes devices while many goroutines use them: each call works or is NO_HDL. Nothing is left.
func TestCloseRaces(t *testing.T) {
	fds, goroutines := counts()
	for round := range 20 {
		d, err := Open("mem:4M", ReadWrite(), Depth(8))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() { useUntilClosed(t, d, int64(g)*100) })
		}
		time.Sleep(time.Duration(round) * 100 * time.Microsecond)
		for range 2 {
			wg.Go(func() { must(t, d.Close()) })
		}
		wg.Wait()
		must(t, d.Close())
	}
	wantNoLeak(t, fds, goroutines)
}

func useUntilClosed(t *testing.T, d *Device, off int64) {
	p := make([]byte, 50)
	for {
		_, err := d.WriteAt(p, off)
		if err == nil {
			_, err = d.ReadAt(p, off)
		}
		if err == nil {
			err = d.Flush(context.Background())
		}
		if err != nil {
			wantCode(t, "a call that raced with Close", err, errno.NoHdl)
			d.Info()
			return
		}
	}
}

// TestLeak opens and closes devices of every kind, with and without I/O and queues.
func TestLeak(t *testing.T) {
	fds, goroutines := counts()
	t.Run("use", func(t *testing.T) {
		onTargets(t, func(t *testing.T, open func(...Option) *Device) {
			d := open()
			q, err := d.OpenQueue(QueueOptions{})
			if err != nil {
				t.Fatal(err)
			}
			wantCode(t, "close with a queue", d.Close(), errno.Busy)
			must(t, q.Close())
			if _, err := d.ReadAt(make([]byte, 100), 1); err != nil {
				t.Error(err)
			}
		})
	})
	wantNoLeak(t, fds, goroutines)
}

// TestCollected: what is not closed is closed when it is collected, a device after its queues.
func TestCollected(t *testing.T) {
	fds, goroutines := counts()
	func() {
		d, err := Open("mem:4M")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadAt(make([]byte, 100), 1); err != nil {
			t.Error(err)
		}
		if _, err = d.OpenQueue(QueueOptions{}); err != nil {
			t.Error(err)
		}
	}()
	for range 10 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	wantNoLeak(t, fds, goroutines)
}

// TestNoAllocation: an aligned read and a bounced one allocate nothing.
func TestNoAllocation(t *testing.T) {
	d := open(t, "mem:4M")
	p := make([]byte, 8192)
	for _, c := range []struct {
		what string
		p    []byte
		off  int64
	}{{"aligned", p[:4096], 4096}, {"bounced", p[1:4000], 77}} {
		n := testing.AllocsPerRun(1000, func() { _, _ = d.ReadAt(c.p, c.off) })
		if n > 0 && !raceEnabled {
			t.Errorf("an %s read allocates %v times", c.what, n)
		}
	}
}
