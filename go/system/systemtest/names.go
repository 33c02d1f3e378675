// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func testRename(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.cont(t, "neo")
	kv := openKV(t, c, "stadium")
	must(t, kv.Put(ctx, []byte("Rio"), []byte("Maracanã")))
	before, err := c.Object(ctx, "stadium")
	must(t, err)
	epoch, err := c.CreateSnapshot(ctx, "then")
	must(t, err)

	must(t, c.RenameObject(ctx, "stadium", "arena ü"))
	after, err := c.Object(ctx, "arena ü")
	if err != nil || after.OID != before.OID || after.Name != "arena ü" {
		t.Errorf("Object() = %+v, %v; want %+v with another name", after, err, before)
	}
	wantObjects(t, c, []string{"arena ü"})
	wantValue(t, openKV(t, c, "arena ü"), "Rio", []byte("Maracanã"))
	_, err = c.OpenKV(ctx, "stadium", false)
	wantCode(t, "OpenKV of the old name", err, errno.NonExist)
	wantCode(t, "RenameObject again", c.RenameObject(ctx, "stadium", "arena ü"), errno.NonExist)

	other := openKV(t, c, "stadium") // the name is free
	wantAbsent(t, other, "Rio")
	wantCode(t, "RenameObject to what is there", c.RenameObject(ctx, "arena ü", "stadium"), errno.Exist)
	wantCode(t, "RenameObject to itself", c.RenameObject(ctx, "stadium", "stadium"), errno.Exist)
	for _, to := range []string{"", "a/b", "nul\x00byte", strings.Repeat("x", system.ObjectNameMax+1)} {
		wantCode(t, fmt.Sprintf("RenameObject to %.20q", to), c.RenameObject(ctx, "stadium", to), errno.Inval)
	}
	old, err := c.OpenSnapshot(ctx, system.SnapshotRef{Epoch: epoch})
	must(t, err)
	wantObjects(t, old, []string{"stadium"})
	wantCode(t, "RenameObject in a snapshot", old.RenameObject(ctx, "stadium", "x"), errno.EPRO)
	must(t, old.Close())
	mustCheck(t, f.pool)
}

// testRenameWatch: a watch goes on with the object, and what was changed before is still there to be watched.
func testRenameWatch(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.cont(t, "neo")
	kv := openKV(t, c, "stadium")
	must(t, kv.Put(ctx, []byte("a"), []byte("1")))
	stat, err := kv.Stat(ctx, []byte("a"))
	must(t, err)
	w, _ := openWatch(t, kv, system.WatchOptions{Start: stat.Revision})
	must(t, c.RenameObject(ctx, "stadium", "arena"))
	renamed := openKV(t, c, "arena")
	must(t, renamed.Put(ctx, []byte("b"), []byte("2")))
	again, _ := openWatch(t, renamed, system.WatchOptions{Start: stat.Revision})
	for what, w := range map[string]system.Watch{"from before": w, "from now": again} {
		var keys []string
		for len(keys) < 2 {
			batch, err := w.Next(ctx)
			if err != nil {
				t.Fatalf("the watch %s: %v", what, err)
			}
			for _, change := range batch.Changes {
				keys = append(keys, string(change.Key))
			}
		}
		if fmt.Sprint(keys) != "[a b]" {
			t.Errorf("the watch %s has %q", what, keys)
		}
	}
}

func wantAttributes(t *testing.T, of system.Attributes, want map[string]string) {
	t.Helper()
	got, err := of.Attributes(t.Context())
	same := maps.EqualFunc(got, want, func(g []byte, w string) bool { return string(g) == w })
	if err != nil || !same || got == nil {
		t.Errorf("Attributes() = %.200q, %v; want %.200q", got, err, want)
	}
}

func testAttributes(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.cont(t, "neo")
	for _, of := range []system.Attributes{c, f.pool} {
		wantAttributes(t, of, map[string]string{})
		must(t, of.SetAttributes(ctx, nil))
		must(t, of.SetAttributes(ctx, map[string][]byte{"team": []byte("storage"), "a.b/ü `c`": {0, 255}}))
		must(t, of.SetAttributes(ctx, map[string][]byte{"team": []byte("core"), "more": []byte("1"), "none": nil}))
		wantAttributes(t, of, map[string]string{"team": "core", "a.b/ü `c`": "\x00\xff", "more": "1"})
		must(t, of.SetAttributes(ctx, map[string][]byte{"more": nil, "none": {}}))
		wantCode(t, "SetAttributes that deletes nothing", of.SetAttributes(ctx, map[string][]byte{"more": nil, "none": nil}), errno.NonExist)
		for name, value := range map[string][]byte{"": []byte("1"), "nul\x00": []byte("1"), "\xff": []byte("1"), strings.Repeat("x", system.AttributeNameMax+1): []byte("1")} {
			wantCode(t, fmt.Sprintf("SetAttributes of %.20q", name), of.SetAttributes(ctx, map[string][]byte{name: value, "new": []byte("1")}), errno.Inval)
		}
		large := bytes.Repeat([]byte("v"), system.AttributeValueMax+1)
		wantCode(t, "SetAttributes of a large value", of.SetAttributes(ctx, map[string][]byte{"large": large}), errno.Rec2Big)
		wantAttributes(t, of, map[string]string{"team": "core", "a.b/ü `c`": "\x00\xff"})
		testManyAttributes(t, of)
	}
	epoch, err := c.CreateSnapshot(ctx, "then")
	must(t, err)
	must(t, c.SetAttributes(ctx, map[string][]byte{"team": []byte("now")}))
	old, err := c.OpenSnapshot(ctx, system.SnapshotRef{Epoch: epoch})
	must(t, err)
	wantAttributes(t, old, map[string]string{"team": "core", "a.b/ü `c`": "\x00\xff"})
	wantCode(t, "SetAttributes in a snapshot", old.SetAttributes(ctx, map[string][]byte{"a": []byte("1")}), errno.EPRO)
	must(t, old.Close())
	if info, err := c.Info(ctx); err != nil || info.Objects != 0 {
		t.Errorf("Info() = %+v, %v; attributes are no objects", info, err)
	}
	must(t, f.pool.Checkpoint(ctx))
	mustCheck(t, f.pool)
}

// testManyAttributes fills what there is room for, in values that take several listings, and takes it away again.
func testManyAttributes(t *testing.T, of system.Attributes) {
	t.Helper()
	ctx := t.Context()
	before, err := of.Attributes(ctx)
	must(t, err)
	many, none := map[string][]byte{}, map[string][]byte{}
	for i := range 20 {
		many[fmt.Sprintf("many%d", i)], none[fmt.Sprintf("many%d", i)] = pattern(50_000, byte(i)), nil
	}
	must(t, of.SetAttributes(ctx, many))
	wantCode(t, "SetAttributes of more than there is room for", of.SetAttributes(ctx, map[string][]byte{"x": pattern(60_000, 0)}), errno.Rec2Big)
	all, err := of.Attributes(ctx)
	if err != nil || len(all) != len(before)+len(many) {
		t.Errorf("Attributes() = %d, %v; want %d", len(all), err, len(before)+len(many))
	}
	for name, value := range many {
		if !bytes.Equal(all[name], value) {
			t.Errorf("the attribute %s has %d bytes of %d, or others", name, len(all[name]), len(value))
		}
	}
	must(t, of.SetAttributes(ctx, none))
}
