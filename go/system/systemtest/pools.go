// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func testPools(t *testing.T, f *fixture) {
	if f.info.Label != f.label || len(f.info.UUID) != 36 || f.info.Targets != 1 || f.info.FormatVersion == 0 {
		t.Errorf("CreatePool returned %+v", f.info)
	}
	pools, err := f.sys.Pools(t.Context())
	if err != nil || !slices.ContainsFunc(pools, func(p system.PoolInfo) bool { return p.UUID == f.info.UUID && p.Label == f.label }) {
		t.Errorf("Pools() = %+v, %v; want %s in it", pools, err, f.label)
	}
	if !slices.IsSortedFunc(pools, func(a, b system.PoolInfo) int { return strings.Compare(a.Label, b.Label) }) {
		t.Errorf("Pools() is not in the order of the labels: %+v", pools)
	}
	info, err := f.pool.Info(t.Context())
	if err != nil || info.UUID != f.info.UUID || info.TotalBytes == 0 || info.FreeBytes == 0 || info.FreeBytes > info.TotalBytes ||
		info.LogBytes == 0 || info.CacheBytes == 0 || info.ReadOnly || info.Containers != 0 {
		t.Errorf("Info() = %+v, %v", info, err)
	}
	again, err := f.sys.OpenPool(t.Context(), f.info.UUID)
	if err != nil {
		t.Fatalf("OpenPool by UUID: %v", err)
	}
	must(t, again.Close())
	if _, err = f.pool.Info(t.Context()); err != nil {
		t.Errorf("the first handle after the close of the second: %v", err)
	}
}

func testPoolErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.sys.CreatePool(ctx, f.label, system.CreatePool{Size: poolBytes})
	wantCode(t, "CreatePool of a label that is taken", err, errno.Exist)
	for _, label := range []string{"", "has space", "has/slash", "nul\x00byte", strings.Repeat("x", system.LabelMax+1), f.info.UUID} {
		_, err = f.sys.CreatePool(ctx, label, system.CreatePool{Size: poolBytes})
		wantCode(t, fmt.Sprintf("CreatePool(%.20q)", label), err, errno.Inval)
	}
	_, err = f.sys.CreatePool(ctx, "conf-tiny", system.CreatePool{Size: 1})
	wantCode(t, "CreatePool of one byte", err, errno.Inval)
	for _, name := range []string{"conf-none", "01234567-89ab-cdef-0123-456789abcdef"} {
		_, err = f.sys.OpenPool(ctx, name)
		wantCode(t, "OpenPool of a pool that is not there", err, errno.NonExist)
		wantCode(t, "DestroyPool of a pool that is not there", f.sys.DestroyPool(ctx, name, false), errno.NonExist)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not match fs.ErrNotExist", err)
	}
	testDestroyFull(t, f)
}

// testDestroyFull: a pool that holds containers is only destroyed by force.
func testDestroyFull(t *testing.T, f *fixture) {
	ctx := t.Context()
	const label = "conf-full"
	if _, err := f.sys.CreatePool(ctx, label, system.CreatePool{Size: poolBytes}); err != nil {
		t.Fatal(err)
	}
	p, err := f.sys.OpenPool(ctx, label)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.CreateContainer(ctx, "neo", system.CreateContainer{})
	must(t, err)
	must(t, p.Close())
	wantCode(t, "DestroyPool of a pool that is not empty", f.sys.DestroyPool(ctx, label, false), errno.Busy)
	must(t, f.sys.DestroyPool(ctx, label, true))
	_, err = f.sys.OpenPool(ctx, label)
	wantCode(t, "OpenPool of a pool that was destroyed", err, errno.NonExist)
}

func testPoolWork(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	for i := range 200 {
		must(t, kv.Put(ctx, fmt.Appendf(nil, "key %03d", i), pattern(i*20, byte(i))))
	}
	must(t, f.pool.Sync(ctx))
	must(t, f.pool.Checkpoint(ctx))
	mustCheck(t, f.pool)
	info, err := f.pool.Info(ctx)
	if err != nil || info.Containers != 1 || info.Generation <= f.info.Generation {
		t.Errorf("Info() after a checkpoint = %+v, %v; the generation was %d", info, err, f.info.Generation)
	}
}

func testContainers(t *testing.T, f *fixture) {
	ctx := t.Context()
	before := time.Now().Add(-time.Minute)
	kinds := []system.ContainerType{system.TypeUnknown, system.TypePOSIX, system.TypeHDF5, system.TypePython, system.TypeKV, ""}
	for i, kind := range kinds {
		info, err := f.pool.CreateContainer(ctx, fmt.Sprintf("c%d", len(kinds)-i), system.CreateContainer{Type: kind})
		if kind == "" {
			kind = system.TypeKV
		}
		if err != nil || info.Type != kind || len(info.UUID) != 36 || info.Created.Before(before) || info.Created.After(time.Now()) {
			t.Errorf("CreateContainer(%s) = %+v, %v", kind, info, err)
		}
	}
	list, err := f.pool.Containers(ctx)
	if err != nil || len(list) != len(kinds) {
		t.Fatalf("Containers() = %+v, %v", list, err)
	}
	for i, info := range list {
		c := openCont(t, f.pool, info.UUID)
		got, err := c.Info(ctx)
		if want := fmt.Sprintf("c%d", i+1); err != nil || info.Label != want || got.Label != want || got.UUID != info.UUID {
			t.Errorf("container %d is %+v, listed %+v, %v; want %s", i, got, info, err, want)
		}
	}
}

func testContainerErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	kv := f.kv(t)
	must(t, kv.Put(ctx, []byte("k"), nil))
	_, err := f.pool.CreateContainer(ctx, "neo", system.CreateContainer{})
	wantCode(t, "CreateContainer of a label that is taken", err, errno.Exist)
	_, err = f.pool.CreateContainer(ctx, "odd", system.CreateContainer{Type: "ODD"})
	wantCode(t, "CreateContainer of an unknown type", err, errno.Inval)
	for _, label := range []string{"", "has space", "a/b", "nul\x00", strings.Repeat("x", system.LabelMax+1)} {
		_, err = f.pool.CreateContainer(ctx, label, system.CreateContainer{})
		wantCode(t, fmt.Sprintf("CreateContainer(%.20q)", label), err, errno.Inval)
	}
	_, err = f.pool.OpenContainer(ctx, "none")
	wantCode(t, "OpenContainer of none", err, errno.ContNonExist)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not match fs.ErrNotExist", err)
	}
	wantCode(t, "DestroyContainer of none", f.pool.DestroyContainer(ctx, "none", true), errno.ContNonExist)
	testDestroyUsed(t, f)
}

// testDestroyUsed: a container that holds objects is only destroyed by force.
func testDestroyUsed(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.pool.CreateContainer(ctx, "used", system.CreateContainer{})
	must(t, err)
	c, err := f.pool.OpenContainer(ctx, "used")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateObject(ctx, "o")
	must(t, err)
	must(t, c.Close())
	wantCode(t, "DestroyContainer of one with objects", f.pool.DestroyContainer(ctx, "used", false), errno.Busy)
	must(t, f.pool.DestroyContainer(ctx, "used", true))
	_, err = f.pool.OpenContainer(ctx, "used")
	wantCode(t, "OpenContainer of one that was destroyed", err, errno.ContNonExist)
}

func testProperties(t *testing.T, f *fixture) {
	ctx := t.Context()
	owner, text, small := "trinity@", "the first stadium", uint64(100)
	_, err := f.pool.CreateContainer(ctx, "neo", system.CreateContainer{
		Properties: system.Properties{Owner: &owner, Description: &text, ValueMax: &small}})
	must(t, err)
	c := openCont(t, f.pool, "neo")
	info, err := c.Info(ctx)
	if err != nil || info.Owner != owner || info.Description != text || info.ValueMax != small {
		t.Errorf("Info() = %+v, %v", info, err)
	}
	kv := openKV(t, c, "stadium")
	must(t, kv.Put(ctx, []byte("k"), make([]byte, 100)))
	wantCode(t, "Put above value_max", kv.Put(ctx, []byte("k"), make([]byte, 101)), errno.Rec2Big)
	text, small = "", 200
	must(t, c.SetProperties(ctx, system.Properties{Description: &text, ValueMax: &small}))
	must(t, c.SetProperties(ctx, system.Properties{}))
	must(t, kv.Put(ctx, []byte("k"), make([]byte, 101)))
	info, err = c.Info(ctx)
	if err != nil || info.Owner != owner || info.Description != "" || info.ValueMax != 200 {
		t.Errorf("Info() after SetProperties = %+v, %v", info, err)
	}
	text = strings.Repeat("x", 5000)
	wantCode(t, "a description of 5000 bytes", c.SetProperties(ctx, system.Properties{Description: &text}), errno.Inval)
}

func testObjects(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.cont(t, "neo")
	var want []string
	oids := map[string]bool{}
	for i := range 30 {
		name := fmt.Sprintf("o%02d ü", i)
		info, err := c.CreateObject(ctx, name)
		if err != nil || info.Name != name || info.Type != "KV_LEXICAL" || oids[info.OID] {
			t.Errorf("CreateObject(%s) = %+v, %v", name, info, err)
		}
		oids[info.OID] = true
		want = append(want, name)
	}
	wantObjects(t, c, want)
	must(t, c.DestroyObject(ctx, want[3]))
	wantObjects(t, c, slices.Delete(slices.Clone(want), 3, 4))
	info, err := c.Object(ctx, want[4])
	if err != nil || info.Name != want[4] || !oids[info.OID] {
		t.Errorf("Object() = %+v, %v", info, err)
	}
	for range c.Objects(ctx, "") {
		break
	}
	all, err := c.Info(ctx)
	if err != nil || all.Objects != 29 {
		t.Errorf("Info() = %+v, %v; want 29 objects", all, err)
	}
}

func wantObjects(t *testing.T, c system.Container, want []string) {
	t.Helper()
	wantObjectsAfter(t, c, "", want)
	for i, name := range want {
		if i%97 == 0 || i == len(want)-1 {
			wantObjectsAfter(t, c, name, want[i+1:])
		}
	}
}

func wantObjectsAfter(t *testing.T, c system.Container, after string, want []string) {
	t.Helper()
	var got []string
	for o, err := range c.Objects(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Objects(%q) = %q, want %q", after, got, want)
	}
}

func testObjectErrors(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.cont(t, "neo")
	_, err := c.CreateObject(ctx, "stadium")
	must(t, err)
	_, err = c.CreateObject(ctx, "stadium")
	wantCode(t, "CreateObject of a name that is taken", err, errno.Exist)
	for _, name := range []string{"", "a/b", "nul\x00", strings.Repeat("x", system.ObjectNameMax+1)} {
		_, err = c.CreateObject(ctx, name)
		wantCode(t, fmt.Sprintf("CreateObject(%.20q)", name), err, errno.Inval)
		_, err = c.OpenKV(ctx, name, true)
		wantCode(t, fmt.Sprintf("OpenKV(%.20q)", name), err, errno.Inval)
	}
	_, err = c.OpenKV(ctx, "none", false)
	wantCode(t, "OpenKV of none", err, errno.NonExist)
	_, err = c.Object(ctx, "none")
	wantCode(t, "Object of none", err, errno.NonExist)
	wantCode(t, "DestroyObject of none", c.DestroyObject(ctx, "none"), errno.NonExist)
}
