// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestTables walks every number around C's table: Go's has the same rows, and no more.
func TestTables(t *testing.T) {
	found := 0
	for n := errno.Code(1); n < 4000; n++ {
		if got, want := cname(-n), (-n).Name(); got != want {
			t.Errorf("%d is %s in C and %s in Go", -n, got, want)
		}
		if (-n).Name() == "DER_UNKNOWN" {
			continue
		}
		found++
		if got, want := ctext(-n), (-n).Text(); got != want {
			t.Errorf("%d is %q in C and %q in Go", -n, got, want)
		}
	}
	if found != len(errno.All()) {
		t.Errorf("%d codes were met, Go's table has %d", found, len(errno.All()))
	}
	if cname(errno.OK) != errno.OK.Name() {
		t.Errorf("0 is %s in C and %s in Go", cname(errno.OK), errno.OK.Name())
	}
}

// TestSentences: an error says on what, and the library's sentence comes through, with an event and without.
func TestSentences(t *testing.T) {
	kv := openKV(t)
	_, err := kv.Get(t.Context(), []byte("none"))
	var e *errno.Error
	if !errors.As(err, &e) || e.Ref != "tank/neo/stadium" || e.Op != "kv get" || e.Index != -1 || len(e.Message) < 10 ||
		!errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), "(DER_NONEXIST)") {
		t.Errorf("Get of none: %#v", err)
	}
	_, err = Open("/proc/version")
	if !errors.As(err, &e) || len(e.Message) < 10 || e.Ref != "/proc/version" {
		t.Errorf("Open of a file: %#v", err)
	}
	_, err = Open("a\x00b")
	wantCode(t, "Open of a name with a zero byte", err, errno.Inval)
}
