// SPDX-License-Identifier: Apache-2.0

package errno

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	if len(All()) != len(table) || len(table) < 50 {
		t.Fatalf("All has %d codes, the table %d", len(All()), len(table))
	}
	for _, c := range All() {
		parsed, ok := Parse(c.Name())
		if !ok || parsed != c {
			t.Errorf("Parse(%s) = %d, %v; want %d", c.Name(), parsed, ok, c)
		}
		if c >= 0 || c.Text() == "" || c.GRPC() == 0 || c.GRPC() > 16 || c.Name() == unknown.name {
			t.Errorf("row %d is not complete: %q %d %q", c, c.Name(), c.GRPC(), c.Text())
		}
	}
}

func TestKnownRows(t *testing.T) {
	for _, c := range []struct {
		code Code
		name string
		grpc uint32
	}{
		{NonExist, "DER_NONEXIST", 5}, {Exist, "DER_EXIST", 6}, {NoHdl, "DER_NO_HDL", 9}, {Rec2Big, "DER_REC2BIG", 3},
		{TXRestart, "DER_TX_RESTART", 10}, {Csum, "DER_CSUM", 15}, {NoSpace, "DER_NOSPACE", 8}, {ContDestroying, "DER_CONT_DESTROYING", 9},
	} {
		if c.code.Name() != c.name || c.code.GRPC() != c.grpc {
			t.Errorf("%d: got %s, %d, want %s, %d", c.code, c.code.Name(), c.code.GRPC(), c.name, c.grpc)
		}
	}
	if NonExist != -1005 || ContDestroying != -2051 {
		t.Error("the numbers are not DAOS's")
	}
}

func TestNumbersOutsideTheTable(t *testing.T) {
	if OK.Name() != "DER_SUCCESS" || OK.GRPC() != 0 {
		t.Errorf("OK is %s, %d", OK.Name(), OK.GRPC())
	}
	for _, c := range []Code{1005, -1, -3000} {
		if c.Name() != "DER_UNKNOWN" || c.GRPC() != 2 {
			t.Errorf("%d is %s, %d", c, c.Name(), c.GRPC())
		}
	}
	if _, ok := Parse("DER_NO_SUCH_THING"); ok {
		t.Error("a name was found that is not in the table")
	}
}

// TestIs walks every code against every error of the standard library: each matches those of its row and no other.
func TestIs(t *testing.T) {
	std := []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid, context.DeadlineExceeded,
		os.ErrDeadlineExceeded, context.Canceled, errors.ErrUnsupported, io.EOF}
	match := map[Code][]error{
		NonExist: {fs.ErrNotExist}, NoEntry: {fs.ErrNotExist}, ContNonExist: {fs.ErrNotExist}, Exist: {fs.ErrExist},
		NoPerm: {fs.ErrPermission}, OpNotPermitted: {fs.ErrPermission}, NoHdl: {fs.ErrClosed}, Inval: {fs.ErrInvalid},
		IOInval: {fs.ErrInvalid}, BadPath: {fs.ErrInvalid}, TimedOut: {context.DeadlineExceeded, os.ErrDeadlineExceeded},
		Canceled: {context.Canceled}, OpCanceled: {context.Canceled}, NotSupported: {errors.ErrUnsupported}, NoSys: {errors.ErrUnsupported},
	}
	for _, c := range All() {
		err := fmt.Errorf("wrapped: %w", New("kv get", "tank/neo/stadium", c, ""))
		for _, target := range std {
			want := false
			for _, m := range match[c] {
				want = want || m == target
			}
			if got := errors.Is(err, target); got != want {
				t.Errorf("errors.Is(%s, %v) = %v", c.Name(), target, got)
			}
		}
		for _, other := range All() {
			if errors.Is(err, other) != (other == c) {
				t.Errorf("errors.Is(%s, %s) = %v", c.Name(), other.Name(), other != c)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{NonExist, "DER_NONEXIST(-1005): it does not exist"},
		{New("kv get", "tank/neo", NonExist, "no such key"), "kv get tank/neo: no such key (DER_NONEXIST)"},
		{New("kv get", "", NonExist, ""), "kv get: it does not exist (DER_NONEXIST)"},
		{New("", "tank", Busy, ""), "tank: it is in use (DER_BUSY)"},
		{New("", "", Busy, "held by 12"), "held by 12 (DER_BUSY)"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestFromContext(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		code Code
	}{{cancelled, Canceled}, {expired, TimedOut}} {
		err := FromContext("kv put", "tank/neo/stadium", c.ctx)
		if err.Index != -1 || !errors.Is(err, c.code) || !errors.Is(err, c.ctx.Err()) {
			t.Errorf("got %v with index %d, want %s", err, err.Index, c.code.Name())
		}
	}
}

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, OK}, {NonExist, NonExist}, {fmt.Errorf("x: %w", Busy), Busy}, {fmt.Errorf("x: %w", New("", "", Csum, "")), Csum},
		{context.Canceled, Canceled}, {context.DeadlineExceeded, TimedOut}, {io.EOF, Misc},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %s, want %s", c.err, got.Name(), c.want.Name())
		}
	}
}
