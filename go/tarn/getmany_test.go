// SPDX-License-Identifier: Apache-2.0

package tarn

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestGetShort: values of at most ShortMax bytes come, of a longer one the size, and none reaches into another.
func TestGetShort(t *testing.T) {
	kv, ctx := openKV(t), t.Context()
	sizes := map[string]int{"a": 0, "b": 1, "c": ShortMax, "d": ShortMax + 1, "e": 100, "f": 2 << 20}
	for key, n := range sizes {
		must(t, kv.Put(ctx, []byte(key), bytes.Repeat([]byte(key), n)))
	}
	keys := [][]byte{[]byte("e"), []byte("d"), []byte("none"), []byte("c"), nil, []byte("a"), []byte("f"), []byte("b")}
	values, err := kv.GetShort(ctx, keys)
	if err != nil || len(values) != len(keys) {
		t.Fatalf("%d values, %v", len(values), err)
	}
	for i := range values {
		values[i].Data = append(values[i].Data, '!') // it would be seen in the next
	}
	for i, v := range values {
		n, there := sizes[string(keys[i])]
		want := append(bytes.Repeat(keys[i], n), '!')
		var e *errno.Error
		switch {
		case !there && len(keys[i]) == 0:
			wantCode(t, "an empty key", v.Err, errno.Inval)
		case !there:
			wantCode(t, "an absent key", v.Err, errno.NonExist)
		case n > ShortMax:
			if wantCode(t, "a long value", v.Err, errno.Rec2Big); !errors.As(v.Err, &e) || e.Size != uint64(n) {
				t.Errorf("of a value of %d bytes: %v", n, v.Err)
			}
		case v.Err != nil || !bytes.Equal(v.Data, want):
			t.Errorf("%s: %d bytes, %v; want %d", keys[i], len(v.Data)-1, v.Err, n)
		}
	}
	all, err := kv.GetMany(ctx, keys)
	if err != nil || len(all[1].Data) != ShortMax+1 || len(all[6].Data) != 2<<20 || all[6].Err != nil {
		t.Errorf("GetMany: %d and %d bytes, %v", len(all[1].Data), len(all[6].Data), err)
	}
	_, err = kv.GetShort(ctx, make([][]byte, 65537))
	wantCode(t, "too many keys", err, errno.Inval)
	if values, err := kv.GetShort(ctx, nil); len(values) != 0 || err != nil {
		t.Errorf("no keys: %v, %v", values, err)
	}
}
