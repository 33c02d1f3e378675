// SPDX-License-Identifier: Apache-2.0

package localdev

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// scratch makes a file of n random bytes, which the tests change.
func scratch(t *testing.T, n int) (uri string, data []byte) {
	t.Helper()
	seed := systemtest.Seed(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	data = make([]byte, n)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + name, data
}

// TestFile: a file is read and written whole, also when its size is not a multiple of anything.
func TestFile(t *testing.T) {
	for _, size := range []int{4096, 8192 + 512, 8192 + 1, 100_000, 3<<20 - 1} {
		uri, want := scratch(t, size)
		d, err := Devices{}.Open(uri, system.OpenDevice{Write: true, Exclusive: true})
		if err != nil {
			t.Fatal(err)
		}
		if d.Info().Size != uint64(size) || d.Info().Kind != "file" {
			t.Errorf("of %d bytes: %+v", size, d.Info())
		}
		if got, err := io.ReadAll(io.NewSectionReader(d, 0, int64(size))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("reading all: %d bytes of %d, %v", len(got), size, err)
		}
		if n, err := d.ReadAt(make([]byte, 10), int64(size)-4); n != 4 || !errors.Is(err, io.EOF) {
			t.Errorf("reading over the end: %d, %v", n, err)
		}
		for _, at := range []int{0, 511, size / 2, size - 1, size - 600} {
			n := min(1200, size-at)
			copy(want[at:], bytes.Repeat([]byte{byte(at)}, n))
			if m, err := d.WriteAt(want[at:at+n], int64(at)); m != n || err != nil {
				t.Errorf("writing %d bytes at %d: %d, %v", n, at, m, err)
			}
		}
		if _, err := d.WriteAt(make([]byte, 2), int64(size)-1); errno.CodeOf(err) != errno.Inval {
			t.Errorf("writing over the end: %v", err)
		}
		if err := errors.Join(d.Flush(t.Context()), d.Close()); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(uri[len("file:"):]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the file of %d bytes has other bytes than were written, %v", size, err)
		}
	}
}

// TestReadOnly: what was opened for reading is not written, at its tail neither.
func TestReadOnly(t *testing.T) {
	uri, _ := scratch(t, 8192+1)
	d, err := Devices{}.Open(uri, system.OpenDevice{})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 8192} {
		if _, err := d.WriteAt([]byte{1}, at); errno.CodeOf(err) != errno.EPRO {
			t.Errorf("writing at %d: %v", at, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestOptions: each option reaches the library.
func TestOptions(t *testing.T) {
	uri, _ := scratch(t, 1<<20)
	open := func(o system.OpenDevice) (system.DeviceInfo, error) {
		d, err := Devices{}.Open(uri, o)
		if err != nil {
			return system.DeviceInfo{}, err
		}
		return d.Info(), d.Close()
	}
	if info, err := open(system.OpenDevice{}); !info.ReadOnly || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := open(system.OpenDevice{Write: true}); info.ReadOnly || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := open(system.OpenDevice{Buffered: true}); info.Direct || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := open(system.OpenDevice{Backend: "threads"}); info.Backend != "threads" || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := open(system.OpenDevice{CreateBytes: 4096}); errno.CodeOf(err) != errno.Exist {
		t.Errorf("making what is there: %v", err)
	}
	uri += "2"
	if info, err := open(system.OpenDevice{CreateBytes: 1 << 16}); info.Size != 1<<16 || err != nil {
		t.Errorf("making a file: %+v, %v", info, err)
	}
	holder, err := Devices{}.Open(uri, system.OpenDevice{Write: true, Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(system.OpenDevice{Write: true, Exclusive: true}); errno.CodeOf(err) != errno.Busy {
		t.Errorf("what is held: %v", err)
	}
	if err := holder.Close(); err != nil {
		t.Error(err)
	}
}

// TestZones: zones of a zoned device are reported, and managed.
func TestZones(t *testing.T) {
	d, err := Devices{}.Open("mem:4M?zone=1M", system.OpenDevice{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := t.Context()
	states := func() (all []string) {
		zones, err := d.Zones(ctx, 0, 4<<20)
		if err != nil || len(zones) != 4 || zones[3].Offset != 3<<20 || zones[3].Bytes != 1<<20 || zones[3].Type != "sequential" {
			t.Fatalf("%+v, %v", zones, err)
		}
		for _, z := range zones {
			all = append(all, z.State)
		}
		return all
	}
	if _, err := d.WriteAt(make([]byte, 4096), 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		verb system.ZoneVerb
		want string
	}{{system.ZoneOpen, "explicitly open"}, {system.ZoneClose, "closed"}, {system.ZoneFinish, "full"}, {system.ZoneReset, "empty"}} {
		if err := d.ManageZones(ctx, c.verb, 1<<20, 1<<20); err != nil {
			t.Errorf("%s: %v", c.verb, err)
		}
		if got := states(); got[1] != c.want || got[0] != "empty" {
			t.Errorf("after %s: %q", c.verb, got)
		}
	}
	if err := d.ManageZones(ctx, "paint", 0, 1<<20); errno.CodeOf(err) != errno.Inval {
		t.Errorf("a verb that is none: %v", err)
	}
	if zones, err := d.Zones(ctx, 2<<20, 1<<20); len(zones) != 1 || err != nil || zones[0].Offset != 2<<20 {
		t.Errorf("one zone: %+v, %v", zones, err)
	}
}

// TestQuery and what is listed.
func TestQuery(t *testing.T) {
	if info, err := (Devices{}).Query(t.Context(), "mem:1M"); info.Size != 1<<20 || info.Kind != "mem" || info.ReadOnly || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	uri, _ := scratch(t, 8192)
	if info, err := (Devices{}).Query(t.Context(), uri); info.ReadOnly || info.Size != 8192 || err != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := (Devices{}).List(t.Context()); err != nil {
		t.Error(err)
	}
	buf, free, err := Devices{}.Buffer(1 << 20)
	if err != nil || len(buf) != 1<<20 {
		t.Errorf("%d, %v", len(buf), err)
	}
	free()
}
