// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestReaderAt holds ReadAt to the rules of io.ReaderAt.
func TestReaderAt(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		content := make([]byte, 1999)
		fill(seeded(t), content)
		if n, err := d.WriteAt(content, 777); n != len(content) || err != nil {
			t.Fatal(n, err)
		}
		must(t, d.Sync())
		must(t, iotest.TestReader(io.NewSectionReader(d, 777, int64(len(content))), content))
	})
}

func TestReadAtTheEnd(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		p := make([]byte, 1000)
		for _, c := range []struct {
			off  int64
			n    int
			want error
		}{{testBytes - 1000, 1000, nil}, {testBytes - 999, 999, io.EOF}, {testBytes, 0, io.EOF}, {math.MaxInt64, 0, io.EOF}} {
			if n, err := d.ReadAt(p, c.off); n != c.n || err != c.want {
				t.Errorf("at %d: %d, %v; want %d, %v", c.off, n, err, c.n, c.want)
			}
		}
		if n, err := d.ReadAt(nil, 5); n != 0 || err != nil {
			t.Errorf("nothing: %d, %v", n, err)
		}
		_, err := d.ReadAt(p, -1)
		wantCode(t, "a read at -1", err, errno.Inval)
		for _, off := range []int64{-1, testBytes - 999, testBytes + 1, math.MaxInt64} {
			n, err := d.WriteAt(p, off)
			wantCode(t, "a write past the end", err, errno.Inval)
			if n != 0 {
				t.Errorf("a write at %d wrote %d", off, n)
			}
		}
	})
}

// TestRandomMix compares with a model: any offset, length and memory, changes of every kind.
func TestRandomMix(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d, rng, model := open(), seeded(t), make([]byte, testBytes)
		memory, err := Alloc(300<<10, false)
		if err != nil {
			t.Fatal(err)
		}
		defer memory.Close()
		for step := range 300 {
			off, n := rng.Int64N(testBytes-300<<10), rng.IntN(200<<10)
			if rng.IntN(3) > 0 {
				off, n = off&^4095, n&^4095
			}
			p := memory.Bytes()[rng.IntN(2)*rng.IntN(100<<10):][:n]
			if rng.IntN(3) == 0 {
				p = make([]byte, n)
			}
			mixStep(t, d, rng.IntN(6), p, off, model, func() { fill(rng, p) })
			if t.Failed() {
				t.Fatalf("in step %d, %d bytes at %d", step, n, off)
			}
		}
		wantBytes(t, "at the end", readAll(t, d), model)
	})
}

func mixStep(t *testing.T, d *Device, what int, p []byte, off int64, model []byte, fill func()) {
	ctx, stored := context.Background(), model[off:][:len(p)]
	var err error
	switch what {
	case 0, 1:
		_, err = d.ReadAt(p, off)
		wantBytes(t, "read", p, stored)
	case 2:
		fill()
		_, err = d.WriteAt(p, off)
		copy(stored, p)
	case 3:
		fill()
		_, err = d.WriteDurable(ctx, p, off)
		copy(stored, p)
	case 4:
		copy(p, stored)
		err = d.Compare(ctx, p, off)
	case 5:
		off, n := off&^4095, int64(len(p))&^4095
		if err = d.WriteZeroes(ctx, off, n); !errors.Is(err, errno.NotSupported) {
			clear(model[off:][:n])
		} else {
			err = nil
		}
	}
	must(t, err)
}

func TestCompareTellsWhere(t *testing.T) {
	d := open(t, "mem:4M")
	p := make([]byte, 8192)
	p[5000] = 1
	e := wantCode(t, "compare", d.Compare(t.Context(), p, 4096), errno.Mismatch)
	if !strings.Contains(e.Message, "9096") {
		t.Errorf("the sentence does not say that byte 9096 differs: %s", e.Message)
	}
}

func TestDiscard(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		p := bytes.Repeat([]byte{9}, 16384)
		if _, err := d.WriteAt(p, 0); err != nil {
			t.Fatal(err)
		}
		must(t, d.Discard(t.Context(), 4096, 8192))
		clear(p[4096:12288])
		wantBytes(t, "after a discard", readAll(t, d)[:16384], p)
	})
}

func TestInfo(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		i := d.Info()
		if i.Size != testBytes || d.Size() != testBytes || i.OffsetAlignment == 0 || i.MaxTransfer == 0 || i.Backend == "" || i.ReadOnly {
			t.Errorf("%+v", i)
		}
		if _, err := d.ReadAt(make([]byte, 3), 1); err != nil || d.Info().Bounced <= i.Bounced {
			t.Errorf("a misaligned read was not counted: %v, %+v", err, d.Info())
		}
	})
}

func TestNoBounce(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open(NoBounce())
		b, err := Alloc(8192, false)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := d.ReadAt(b.Bytes(), 4096); err != nil {
			t.Errorf("an aligned read: %v", err)
		}
		_, err = d.ReadAt(b.Bytes()[:4096], 3)
		if e := wantCode(t, "offset 3", err, errno.Inval); !strings.Contains(e.Message, "3") {
			t.Errorf("the sentence does not name the offset: %s", e.Message)
		}
		_, err = d.WriteAt(b.Bytes()[:4095], 0)
		wantCode(t, "length 4095", err, errno.Inval)
		if i := d.Info(); i.MemoryAlignment > 1 {
			_, err = d.ReadAt(b.Bytes()[1:4097], 0)
			wantCode(t, "memory at 1", err, errno.Inval)
		}
	})
}

func TestReadOnly(t *testing.T) {
	d, err := Open("mem:1M")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.WriteAt(make([]byte, 4096), 0)
	wantCode(t, "a write", err, errno.EPRO)
	_, err = d.WriteAt(make([]byte, 1), 0)
	wantCode(t, "a write of a byte", err, errno.EPRO)
	wantCode(t, "a discard", d.Discard(t.Context(), 0, 4096), errno.EPRO)
}

func TestOpenErrors(t *testing.T) {
	fds, goroutines := counts()
	for _, c := range []struct {
		uri  string
		opts []Option
		want errno.Code
	}{
		{"file:/nowhere/at/all", nil, errno.NonExist},
		{"/no/such/device", nil, errno.NonExist},
		{"nosuch:thing", nil, errno.Inval},
		{"", nil, errno.Inval},
		{"mem:", nil, errno.Inval},
		{"mem:4M\x00", nil, errno.Inval},
		{"mem:4M", []Option{Depth(0)}, errno.Inval},
		{"mem:4M", []Option{Depth(MaxDepth + 1)}, errno.Inval},
		{"mem:4M", []Option{Backend("a\x00b")}, errno.Inval},
		{"file:/etc/passwd", []Option{Create(1 << 20)}, errno.Exist},
	} {
		d, err := Open(c.uri, c.opts...)
		wantCode(t, "open "+c.uri, err, c.want)
		if d != nil {
			t.Errorf("open %s: a device beside the error", c.uri)
		}
		if _, err := Query(t.Context(), c.uri); c.opts == nil {
			wantCode(t, "query "+c.uri, err, c.want)
		}
	}
	if _, err := Open("file:/nowhere/at/all"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not fs.ErrNotExist: %v", err)
	}
	wantNoLeak(t, fds, goroutines)
}

func TestListAndQuery(t *testing.T) {
	list, err := List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.URI == "" || i.Kind == "" {
			t.Errorf("%+v", i)
		}
	}
	i, err := Query(t.Context(), "mem:64M")
	if err != nil || i.Size != 64<<20 || i.Kind != "mem" {
		t.Errorf("%+v, %v", i, err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	for _, uri := range []string{path, "file:" + path} {
		i, err := Query(t.Context(), uri)
		if err != nil || i.Kind != "file" || i.Size != 1<<20 || i.LogicalBlock == 0 || i.Backend == "" {
			t.Errorf("%s: %+v, %v", uri, i, err)
		}
	}
	_, err = List(ended())
	wantCode(t, "a list that was cancelled", err, errno.Canceled)
	_, err = Query(ended(), "mem:64M")
	wantCode(t, "a query that was cancelled", err, errno.Canceled)
}

func TestBuffer(t *testing.T) {
	for _, huge := range []bool{false, true} {
		b, err := Alloc(3<<20, huge)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Bytes()) != 3<<20 || bytes.ContainsFunc(b.Bytes(), func(r rune) bool { return r != 0 }) {
			t.Error("not 3 MiB of zeros")
		}
		must(t, b.Close())
		must(t, b.Close())
		if b.Bytes() != nil {
			t.Error("a closed buffer has bytes")
		}
	}
	for _, n := range []int{0, -1} {
		_, err := Alloc(n, false)
		wantCode(t, "alloc of nothing", err, errno.Inval)
	}
	_, err := Alloc(math.MaxInt64, false)
	wantCode(t, "alloc of too much", err, errno.NoMem)
}

func TestZones(t *testing.T) {
	ctx := t.Context()
	d := open(t, "mem:4M?zone=1M")
	zones, err := d.Zones(ctx, 0, 100)
	if err != nil || len(zones) != 4 || zones[3].Offset != 3<<20 || zones[0].State != ZoneEmpty || zones[0].Type != ZoneSequential {
		t.Fatalf("%+v, %v", zones, err)
	}
	p := bytes.Repeat([]byte{5}, 8192)
	for i := range int64(2) {
		if at, err := d.Append(ctx, 1<<20, p[i*4096:]); err != nil || at != 1<<20+i*8192 {
			t.Fatalf("append %d: at %d, %v", i, at, err)
		}
	}
	if zones, err = d.Zones(ctx, 1<<20, 1); err != nil || len(zones) != 1 || zones[0].WritePointer != 1<<20+12288 || zones[0].State != ZoneImplicitlyOpen {
		t.Errorf("%+v, %v", zones, err)
	}
	_, err = d.WriteAt(p, 2<<20+8192)
	wantCode(t, "a write past the write pointer", err, errno.Inval)
	must(t, d.FinishZones(ctx, 1<<20, 1<<20))
	_, err = d.Append(ctx, 1<<20, p)
	wantCode(t, "an append to a full zone", err, errno.NoSpace)
	must(t, d.ResetZones(ctx, 1<<20, 1<<20))
	must(t, d.OpenZones(ctx, 0, 2<<20))
	must(t, d.CloseZones(ctx, 0, 2<<20))
	_, err = d.Zones(ctx, 0, 0)
	wantCode(t, "room for no zone", err, errno.Inval)
	_, err = d.Zones(ctx, 77, 1)
	wantCode(t, "zones from 77 on", err, errno.Inval)
	wantCode(t, "reset of half a zone", d.ResetZones(ctx, 0, 1<<19), errno.Inval)
	wantCode(t, "reset past the end", d.ResetZones(ctx, 3<<20, 2<<20), errno.Inval)
}

func TestNoZones(t *testing.T) {
	d := open(t, "mem:4M")
	_, err := d.Zones(t.Context(), 0, 1)
	wantCode(t, "zones", err, errno.NotSupported)
	wantCode(t, "reset", d.ResetZones(t.Context(), 0, 4096), errno.NotSupported)
	_, err = d.Append(t.Context(), 0, make([]byte, 4096))
	wantCode(t, "append", err, errno.NotSupported)
}
