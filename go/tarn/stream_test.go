// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestCopy moves values with io.Copy, which takes the short way through ReadFrom and WriteTo.
func TestCopy(t *testing.T) {
	kv := openKV(t)
	for _, n := range []int{0, 1, bufferBytes - 1, bufferBytes, bufferBytes + 1, 3*bufferBytes + 5} {
		want := bytes.Repeat([]byte("0123456"), n/7+1)[:n]
		w, err := kv.Writer(t.Context(), []byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		// A plain io.Reader that gives little at a time, so that ReadFrom has to gather.
		moved, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(want)))
		if err != nil || moved != int64(n) {
			t.Errorf("ReadFrom of %d bytes = %d, %v", n, moved, err)
		}
		must(t, w.Commit(t.Context()))
		r, err := kv.Reader(t.Context(), []byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		moved, err = io.Copy(&got, r)
		if err != nil || moved != int64(n) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("WriteTo of %d bytes = %d, %v", n, moved, err)
		}
		must(t, r.Close())
	}
}

// TestCopyErrors: the error of the other side comes through, and the writer can still be given up.
func TestCopyErrors(t *testing.T) {
	kv := openKV(t)
	must(t, kv.Put(t.Context(), []byte("k"), make([]byte, 2*bufferBytes)))
	broken := errors.New("broken")
	w, err := kv.Writer(t.Context(), []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(w, io.MultiReader(bytes.NewReader(make([]byte, 10)), iotest.ErrReader(broken)))
	if n != 10 || !errors.Is(err, broken) {
		t.Errorf("ReadFrom of a broken source = %d, %v", n, err)
	}
	must(t, w.Close())
	_, err = io.Copy(w, bytes.NewBufferString("x"))
	wantCode(t, "ReadFrom after Close", err, errno.NoHdl)
	r, err := kv.Reader(t.Context(), []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err = r.WriteTo(brokenWriter{broken}); n != 3 || !errors.Is(err, broken) {
		t.Errorf("WriteTo a broken place = %d, %v", n, err)
	}
	must(t, r.Close())
	_, err = r.WriteTo(io.Discard)
	wantCode(t, "WriteTo after Close", err, errno.NoHdl)
	st, err := kv.Stat(t.Context(), []byte("k"))
	if err != nil || st.Size != 2*bufferBytes {
		t.Errorf("after all that the value has %d bytes, %v", st.Size, err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 3, w.err }

// TestTwoConditions: a call takes one.
func TestTwoConditions(t *testing.T) {
	kv := openKV(t)
	key := []byte("k")
	wantCode(t, "Put", kv.Put(t.Context(), key, nil, CondInsert, CondUpdate), errno.Inval)
	wantCode(t, "Put of 2 MiB", kv.Put(t.Context(), key, make([]byte, 2<<20), CondInsert, CondUpdate), errno.Inval)
	wantCode(t, "Delete", kv.Delete(t.Context(), key, CondNone, CondUpdate), errno.Inval)
}
