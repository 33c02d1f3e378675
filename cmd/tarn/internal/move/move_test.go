// SPDX-License-Identifier: Apache-2.0

package move

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// bench is two devices and a mover, whose progress is counted.
type bench struct {
	dev   *fakedev.Devices
	a, b  system.Device
	moved atomic.Uint64
	Mover
}

func newBench(t *testing.T, size int) *bench {
	t.Helper()
	x := &bench{dev: fakedev.New()}
	data := x.dev.Add("block:a", "block", "", size).Data
	seed := systemtest.Seed(t)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(data) // it never fails
	x.dev.Add("block:b", "block", "", size)
	var err error
	if x.a, err = x.dev.Open("block:a", system.OpenDevice{}); err != nil {
		t.Fatal(err)
	}
	if x.b, err = x.dev.Open("block:b", system.OpenDevice{Write: true}); err != nil {
		t.Fatal(err)
	}
	x.Mover = Mover{Buffer: x.dev.Buffer, Progress: func(n uint64) { x.moved.Add(n) }}
	t.Cleanup(func() {
		if x.dev.Opens != 2 {
			t.Errorf("%d buffers were not given back", x.dev.Opens-2)
		}
	})
	return x
}

func (x *bench) data(name string) []byte { return x.dev.Disks["block:"+name].Data }

var sizes = []uint64{0, 1, 511, 512, Piece - 1, Piece, Piece + 1, Depth * Piece, Depth*Piece + 1, 11*Piece + 777}

// TestCopy: a copy is the source's range, and nothing beside it changes.
func TestCopy(t *testing.T) {
	x := newBench(t, 12<<20)
	for _, n := range sizes {
		clear(x.data("b"))
		x.moved.Store(0)
		if err := x.Copy(t.Context(), x.b, 512, x.a, 1024, n); err != nil || x.moved.Load() != n {
			t.Fatalf("%d bytes: %v, progress %d", n, err, x.moved.Load())
		}
		if b := x.data("b"); !bytes.Equal(b[512:512+n], x.data("a")[1024:1024+n]) || len(bytes.Trim(b[:512], "\x00"))+len(bytes.Trim(b[512+n:], "\x00")) > 0 {
			t.Fatalf("%d bytes: the copy differs", n)
		}
		if err := x.Compare(t.Context(), x.a, 1024, x.b, 512, n); err != nil {
			t.Errorf("comparing %d bytes: %v", n, err)
		}
		if n > 0 {
			x.data("b")[512+n-1] ^= 1
			if err := x.Compare(t.Context(), x.a, 1024, x.b, 512, n); errno.CodeOf(err) != errno.Mismatch {
				t.Errorf("comparing %d bytes that differ: %v", n, err)
			}
		}
	}
}

// TestStreams: what comes out of a device goes in again, through readers and writers of every sort.
func TestStreams(t *testing.T) {
	x := newBench(t, 12<<20)
	for _, n := range sizes {
		var out bytes.Buffer
		if err := x.Out(t.Context(), &out, x.a, 512, n); err != nil || !bytes.Equal(out.Bytes(), x.data("a")[512:512+n]) {
			t.Fatalf("%d bytes out: %v", n, err)
		}
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(out.Bytes()), "halves": iotest.HalfReader(bytes.NewReader(out.Bytes())),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(out.Bytes()))} {
			clear(x.data("b"))
			got, err := x.In(t.Context(), x.b, 1024, n, src)
			if err != nil || got != n || !bytes.Equal(x.data("b")[1024:1024+n], out.Bytes()) {
				t.Fatalf("%d bytes in, %s: %d, %v", n, name, got, err)
			}
		}
		if n > 0 {
			if _, err := x.In(t.Context(), x.b, 0, n-1, &out); errno.CodeOf(err) != errno.Inval {
				t.Errorf("%d bytes where one less fits: %v", n, err)
			}
		}
	}
}

type brokenWriter struct{ after int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.after--; b.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// TestErrors: whatever fails ends the move, with that error.
func TestErrors(t *testing.T) {
	x := newBench(t, 12<<20)
	bad := errno.New("device", "", errno.IO, "the device failed")
	ctx := t.Context()
	if err := x.Out(ctx, &brokenWriter{3}, x.a, 0, 12<<20); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken writer: %v", err)
	}
	if _, err := x.In(ctx, x.b, 0, 12<<20, io.MultiReader(bytes.NewReader(make([]byte, 5<<20)), iotest.ErrReader(io.ErrNoProgress))); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a broken reader: %v", err)
	}
	if err := x.Copy(ctx, x.b, 0, x.a, 2<<20, 12<<20); errno.CodeOf(err) != errno.IO {
		t.Errorf("a source that ends: %v", err)
	}
	for _, op := range []string{"read", "write"} {
		x.dev.Fail[op] = bad
		if err := x.Copy(ctx, x.b, 0, x.a, 0, 12<<20); !errors.Is(err, bad) {
			t.Errorf("Copy: %v", err)
		}
		if op == "write" {
			if _, err := x.In(ctx, x.b, 0, 12<<20, bytes.NewReader(make([]byte, 11<<20))); !errors.Is(err, bad) {
				t.Errorf("In: %v", err)
			}
		} else if err := x.Out(ctx, io.Discard, x.a, 0, 12<<20); !errors.Is(err, bad) {
			t.Errorf("Out: %v", err)
		}
		delete(x.dev.Fail, op)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, inErr := x.In(ended, x.b, 0, 12<<20, bytes.NewReader(make([]byte, 11<<20)))
	for _, err := range []error{x.Copy(ended, x.b, 0, x.a, 0, 12<<20), x.Out(ended, io.Discard, x.a, 0, 12<<20), inErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended: %v", err)
		}
	}
}
