// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// write makes a log of n entries, by several writers, and returns its path and text.
func write(t *testing.T, n int) (path string, text []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := l.Append(Entry{Who: "cert:alice", What: "/x", Where: "täñk\"\n\x00", Result: "OK", ID: "1"}, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return path, closed(t, l, path)
}

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closed(t *testing.T, l *Log, path string) []byte {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerify(t *testing.T) {
	path, text := write(t, 20)
	s, err := Verify(bytes.NewReader(text))
	if err != nil || s.Entries != 20 {
		t.Fatalf("%+v, %v", s, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if s, err := Verify(strings.NewReader("")); err != nil || s.Entries != 0 || len(s.Last) != 64 {
		t.Errorf("of nothing: %+v, %v", s, err)
	}
}

// TestEveryBit: whichever bit of a log is changed, it is found.
func TestEveryBit(t *testing.T) {
	_, text := write(t, 3)
	for i := range len(text) * 8 {
		bad := bytes.Clone(text)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := Verify(bytes.NewReader(bad)); err == nil {
			t.Errorf("bit %d of byte %d (%q) may change", i%8, i/8, text[i/8])
		}
	}
}

// TestLines: a line that is missing, moved, doubled or put in is found; at the end it shows in the count and in the last hash.
func TestLines(t *testing.T) {
	_, text := write(t, 5)
	lines := bytes.SplitAfter(text, []byte("\n"))[:5]
	whole, _ := Verify(bytes.NewReader(text))
	for name, order := range map[string][]int{"first": {1, 2, 3, 4}, "middle": {0, 1, 3, 4}, "moved": {0, 2, 1, 3, 4}, "doubled": {0, 1, 1, 2, 3, 4}} {
		var bad []byte
		for _, i := range order {
			bad = append(bad, lines[i]...)
		}
		if _, err := Verify(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if s, err := Verify(bytes.NewReader(bytes.Join(lines[:4], nil))); err != nil || s.Entries != 4 || s.Last == whole.Last {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestResume: wherever the last line breaks off, a log goes on behind the line before.
func TestResume(t *testing.T) {
	_, text := write(t, 3)
	second := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for cut := second; cut <= len(text); cut++ {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, path)
		if err := l.Append(Entry{What: "/y"}, true); err != nil {
			t.Fatal(err)
		}
		again := closed(t, l, path)
		s, err := Verify(bytes.NewReader(again))
		torn := cut > second && cut < len(text)
		if want := map[bool]uint64{true: 4, false: 3}[torn || cut == len(text)]; err != nil || s.Entries != want {
			t.Errorf("cut at %d: %+v, %v, want %d entries", cut-second, s, err, want)
		}
		if torn != bytes.Contains(again, []byte("was not whole")) {
			t.Errorf("cut at %d: %s", cut-second, again)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"precious", "precious\n", "{\"other\": 1}\nx", "x\n{\"seq\":"} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Errorf("%q is taken for an audit log", text)
		}
		if got, err := os.ReadFile(path); string(got) != text || err != nil {
			t.Errorf("%q has become %q, %v", text, got, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none", "log")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	path := filepath.Join(dir, "log")
	l := open(t, path)
	if _, err := Open(path); err == nil {
		t.Error("two write one log")
	}
	if err := l.Append(Entry{Where: strings.Repeat("x", lineMax)}, false); err == nil {
		t.Error("a line that is too long")
	}
	if text := closed(t, l, path); len(text) != 0 {
		t.Errorf("%q", text)
	}
}
