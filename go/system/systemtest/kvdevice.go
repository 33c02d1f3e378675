// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// openNamespace opens a container as a key-value device, until the test ends.
func openNamespace(t *testing.T, cont system.Container) system.KeyValueDevice {
	t.Helper()
	devices, ok := cont.(system.KeyValueDevices)
	if !ok {
		t.Fatalf("%T has no key-value devices", cont)
	}
	d, err := devices.OpenKeyValueDevice(t.Context())
	if err != nil {
		t.Fatalf("OpenKeyValueDevice: %v", err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// testKeyValueDevice: every verb, every refusal.
func testKeyValueDevice(t *testing.T, f *fixture) {
	ctx := t.Context()
	d := openNamespace(t, f.cont(t, "neo"))
	key, long := []byte("k\x00"), bytes.Repeat([]byte("x"), 17)
	wantCode(t, "update of what is not there", d.Store(ctx, key, nil, system.StoreUpdate), errno.NonExist)
	must(t, d.Store(ctx, key, []byte("0123456789"), system.StoreAdd))
	wantCode(t, "add again", d.Store(ctx, key, nil, system.StoreAdd), errno.Exist)
	wantCode(t, "both options", d.Store(ctx, key, nil, system.StoreAdd+system.StoreUpdate), errno.Inval)
	for _, c := range []struct {
		key  []byte
		code errno.Code
	}{{nil, errno.Inval}, {long, errno.Key2Big}, {[]byte("none"), errno.NonExist}} {
		_, err := d.Retrieve(ctx, c.key, nil)
		wantCode(t, fmt.Sprintf("retrieve %q", c.key), err, c.code)
		wantCode(t, fmt.Sprintf("delete %q", c.key), d.Delete(ctx, c.key), c.code)
		there, err := d.Exist(ctx, c.key)
		if there {
			t.Errorf("%q is there", c.key)
		}
		if c.code == errno.NonExist {
			must(t, err)
			continue
		}
		wantCode(t, fmt.Sprintf("exist %q", c.key), err, c.code)
		wantCode(t, fmt.Sprintf("store %q", c.key), d.Store(ctx, c.key, nil, system.StoreAny), c.code)
	}
	wantRetrieved(t, d, key, []byte("0123456789"), 0, 1, 9, 10, 11)
	large := pattern(3<<20+1, 5)
	must(t, d.Store(ctx, key, large, system.StoreUpdate))
	wantRetrieved(t, d, key, large, 0, 100, 1<<20+1, len(large)-1, len(large), len(large)+1)
	must(t, d.Store(ctx, key, nil, system.StoreAny))
	wantRetrieved(t, d, key, nil, 0, 10)
	info, err := d.Info(ctx)
	if err != nil || info.KeyMax != 16 || info.ValueMax == 0 || info.KeyCount != 1 || info.Capacity == 0 || info.Used > info.Capacity {
		t.Errorf("Info: %+v, %v", info, err)
	}
	must(t, d.Delete(ctx, key))
	if there, err := d.Exist(ctx, key); there || err != nil {
		t.Errorf("after the delete: %v, %v", there, err)
	}
}

// wantRetrieved: the true size, whatever the room, the first bytes, and nothing behind the room.
func wantRetrieved(t *testing.T, d system.KeyValueDevice, key, want []byte, rooms ...int) {
	t.Helper()
	for _, room := range rooms {
		buf := bytes.Repeat([]byte{'-'}, room+1)
		size, err := d.Retrieve(t.Context(), key, buf[:room])
		n := min(room, len(want))
		if err != nil || size != uint64(len(want)) || !bytes.Equal(buf[:n], want[:n]) || buf[room] != '-' {
			t.Errorf("with room for %d of %d bytes: size %d, %v", room, len(want), size, err)
		}
	}
}

// testKeyValueDeviceKeys: all keys of the namespace, in order, from anywhere; what is too long for it is not in it.
func testKeyValueDeviceKeys(t *testing.T, f *fixture) {
	cont := f.cont(t, "neo")
	d := openNamespace(t, cont)
	seed := Seed(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	var want []string
	for len(want) < 20000 { // mostly of 16 bytes: more than one list command holds
		key := make([]byte, 16-rnd.IntN(20)/19*rnd.IntN(15))
		for i := range key {
			key[i] = byte(rnd.Uint32())
		}
		want = append(want, string(key))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	kv := openKV(t, cont, "nvme-kv")
	for part := range slices.Chunk(want, 5000) {
		batch := []system.Mutation{{Key: bytes.Repeat([]byte(part[0][:1]), 17)}}
		for _, key := range part {
			batch = append(batch, system.Mutation{Key: []byte(key)})
		}
		must(t, kv.Apply(t.Context(), batch))
	}
	for _, from := range []int{0, 1, len(want) / 2, len(want) - 1} {
		var got []string
		for key, err := range d.Keys(t.Context(), []byte(want[from])) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(key))
		}
		if !slices.Equal(got, want[from:]) {
			t.Errorf("from key %d: %d keys, want %d", from, len(got), len(want)-from)
		}
	}
	for key, err := range d.Keys(t.Context(), nil) {
		if string(key) != want[0] || err != nil {
			t.Errorf("the first key is %q, %v", key, err)
		}
		break
	}
	for _, err := range d.Keys(t.Context(), make([]byte, 17)) {
		wantCode(t, "keys from a long key", err, errno.Key2Big)
	}
}

// testKeyValueDeviceOther: a container of another type is none, and a closed device says so.
func testKeyValueDeviceOther(t *testing.T, f *fixture) {
	ctx := t.Context()
	if _, err := f.pool.CreateContainer(ctx, "python", system.CreateContainer{Type: system.TypePython}); err != nil {
		t.Fatal(err)
	}
	_, err := openCont(t, f.pool, "python").(system.KeyValueDevices).OpenKeyValueDevice(ctx)
	wantCode(t, "a container of type PYTHON", err, errno.NoType)
	cont := f.cont(t, "neo")
	d := openNamespace(t, cont)
	wantCode(t, "closing the container first", cont.Close(), errno.Busy)
	must(t, d.Close())
	wantCode(t, "store after Close", d.Store(ctx, []byte("k"), nil, system.StoreAny), errno.NoHdl)
}
