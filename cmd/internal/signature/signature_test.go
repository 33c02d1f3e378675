// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestWhat(t *testing.T) {
	disk := make([]byte, 1<<20)
	look := func() string {
		what, err := What(bytes.NewReader(disk), uint64(len(disk)))
		if err != nil {
			t.Fatal(err)
		}
		return what
	}
	if what := look(); what != Nothing {
		t.Errorf("an empty disk has %s", what)
	}
	for i := range marks { // later marks first: each of the earlier ones hides those behind it
		m := marks[len(marks)-1-i]
		copy(disk[m.offset:], m.text)
		if what := look(); what != m.what {
			t.Errorf("with %q at %d it has %s, want %s", m.text, m.offset, what, m.what)
		}
	}
	clear(disk)
	disk[100] = 1
	if what := look(); what != unknown {
		t.Errorf("a disk with one byte has %s", what)
	}
	for size := range uint64(600) { // no size is too small
		if _, err := What(bytes.NewReader(disk[:size]), size); err != nil {
			t.Fatal(size, err)
		}
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestUnreadable(t *testing.T) {
	if _, err := What(broken{}, 4096); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

func whatOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return What(f, 8<<20)
}

// TestReal: the marks are where the tools of this machine write them.
func TestReal(t *testing.T) {
	for tool, want := range map[string]string{"mkfs.ext4": "an ext2, ext3 or ext4 file system", "mkswap": "swap space"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			path = "/usr/sbin/" + tool
		}
		name := filepath.Join(t.TempDir(), "disk")
		if exec.Command("truncate", "-s", "8M", name).Run() != nil || exec.Command(path, name).Run() != nil {
			t.Logf("there is no %s here", tool)
			continue
		}
		if got, err := whatOf(name); got != want || err != nil {
			t.Errorf("%s makes %q, %v", tool, got, err)
		}
	}
}
