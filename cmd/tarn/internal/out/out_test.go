// SPDX-License-Identifier: Apache-2.0

package out

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestExitTable walks every code of the table: each has the exit status of its row, and no code stands in two.
func TestExitTable(t *testing.T) {
	other := map[errno.Code]bool{}
	for _, c := range []errno.Code{errno.NoHdl, errno.NoMem, errno.NoSys, errno.Proto, errno.Uninit, errno.Trunc, errno.Overflow, errno.Misc,
		errno.Mismatch, errno.IO, errno.EPOld, errno.NotApplicable, errno.DFIncompt, errno.RecSize, errno.IDMismatch, errno.NotSupported,
		errno.NVMeIO} {
		other[c] = true
	}
	seen := map[errno.Code]int{}
	for exit, codes := range exits {
		for _, c := range codes {
			if before, ok := seen[c]; ok {
				t.Errorf("%s exits with %d and with %d", c.Name(), before, exit)
			}
			seen[c] = exit
		}
	}
	for _, c := range errno.All() {
		want, known := seen[c]
		if known == other[c] {
			t.Errorf("%s must stand in the table of exit statuses, or in the list of this test", c.Name())
		}
		if !known {
			want = ExitOther
		}
		if got := Exit(fmt.Errorf("wrapped: %w", errno.New("op", "ref", c, "text"))); got != want {
			t.Errorf("%s exits with %d, want %d", c.Name(), got, want)
		}
	}
	for err, want := range map[error]int{nil: 0, errors.New("x"): 1, context.Canceled: 130, context.DeadlineExceeded: 9} {
		if got := Exit(err); got != want {
			t.Errorf("%v exits with %d, want %d", err, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table{Head: []string{"NAME", "SIZE", "NOTE"}, Right: []bool{false, true}}
	table.Row("Köln", "1", "")
	table.Row("a", "1000", "x")
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME  SIZE  NOTE\nKöln     1\na     1000  x\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestHint checks that the first hint stays, and that what has none gets that of its code.
func TestHint(t *testing.T) {
	err := WithHint(WithHint(errno.New("", "tank", errno.Busy, "held by process 7"), "first"), "second")
	for _, c := range []struct {
		err  error
		want string
	}{
		{err, "tarn: tank: held by process 7 (DER_BUSY)\nhint: first\n"},
		{errno.New("", "tank", errno.NoSpace, "tank is full"), "tarn: tank is full (DER_NOSPACE)\nhint: delete what is not needed, or create a larger pool\n"},
		{errno.New("", "", errno.Inval, "no"), "tarn: no\n"},
		{errno.New("", "", errno.ChkptBusy, ""), "tarn: a checkpoint is running (DER_CHKPT_BUSY)\nhint: try again in a moment\n"},
		{errors.New("disk on fire"), "tarn: disk on fire\n"},
	} {
		var stdout, stderr bytes.Buffer
		p := Printer{Out: &stdout, Err: &stderr}
		p.Done(c.err)
		if stderr.String() != c.want || stdout.Len() != 0 {
			t.Errorf("got %q and %q, want %q", &stdout, &stderr, c.want)
		}
	}
	if WithHint(nil, "x") != nil {
		t.Error("nil with a hint is an error")
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	l := Logger(&b).With("a", 1).WithGroup("g")
	l.Info("quiet")
	l.Warn("pond cannot be read", "b", 2)
	l.Error("a device failed")
	if want := "tarn: warning: pond cannot be read\ntarn: error: a device failed\n"; b.String() != want {
		t.Errorf("got %q, want %q", &b, want)
	}
}
