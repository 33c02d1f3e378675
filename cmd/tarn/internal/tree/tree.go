// SPDX-License-Identifier: Apache-2.0

// Package tree moves trees of files into key-value objects and back.
//
// A regular file is one key: its path below the directory, with "/" between the parts, and its bytes as the value. A directory
// without anything in it that is stored is a key that ends in "/", with an empty value; no regular file can have such a path.
// Memory is bounded by the number of transfers in flight, whatever the number and the size of the files.
package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// The sizes of what is in flight.
const (
	inFlight   = 16
	smallMax   = 64 << 10  // a larger file is streamed by itself
	batchBytes = 512 << 10 // of the small files that go together
	batchFiles = 128
	chunk      = 256 << 10 // of a stream
)

// Result is what was moved.
type Result struct {
	Files     uint64  `json:"files"`
	Bytes     uint64  `json:"bytes"`
	EmptyDirs uint64  `json:"empty_dirs"`
	Links     uint64  `json:"links_followed"`
	Skipped   Skipped `json:"left_out"`
}

// String is the result for people: "7948 files, 112 MiB".
func (r Result) String() string {
	text := Count(r.Files, "file", "files") + ", " + arg.FormatSize(r.Bytes)
	if r.EmptyDirs > 0 {
		text += ", " + Count(r.EmptyDirs, "empty directory", "empty directories")
	}
	return text
}

// Skipped counts what import left out.
type Skipped struct {
	Special  uint64 `json:"special_files"`
	Dangling uint64 `json:"dangling_links"`
	Loops    uint64 `json:"looping_links"`
	Links    uint64 `json:"links"` // all of them, when links are not followed
}

// String names what was left out; "" when there was nothing.
func (s Skipped) String() string {
	var parts []string
	for _, p := range []struct {
		n         uint64
		one, many string
	}{
		{s.Special, "special file", "special files"},
		{s.Dangling, "dangling link", "dangling links"},
		{s.Loops, "link to a directory above it", "links to a directory above them"},
		{s.Links, "link", "links"},
	} {
		if p.n > 0 {
			parts = append(parts, Count(p.n, p.one, p.many))
		}
	}
	return strings.Join(parts, ", ")
}

// Count is a number with its noun: "1 file", "2 files".
func Count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// CheckDir returns an error when dir is not a directory that exists.
func CheckDir(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return osError(dir, err)
	}
	if !st.IsDir() {
		return errno.New("", dir, errno.NotDir, "it is not a directory: name the directory whose files are meant")
	}
	return nil
}

// osError turns an error of the file system into one of Tarn, about a file.
func osError(path string, err error) error {
	code := errno.IO
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = errno.NoEntry
	case errors.Is(err, fs.ErrExist):
		code = errno.Exist
	case errors.Is(err, fs.ErrPermission):
		code = errno.NoPerm
	}
	var cause *fs.PathError
	text := err.Error()
	if errors.As(err, &cause) {
		text = cause.Op + ": " + cause.Err.Error()
	}
	e := errno.New("", path, code, text)
	e.Err = err
	return e
}

// Store writes what src holds under key: a small value by one call, a larger one as a stream. It returns the size.
func Store(ctx context.Context, kv system.KV, key []byte, src io.Reader, cond system.Cond) (uint64, error) {
	head, err := io.ReadAll(io.LimitReader(src, chunk))
	if err != nil {
		return 0, osError(string(key), err)
	}
	if len(head) < chunk {
		return uint64(len(head)), kv.Put(ctx, key, head, cond)
	}
	w, err := kv.Writer(ctx, key, cond)
	if err != nil {
		return 0, err
	}
	size, err := copyInto(w, head, src)
	if err == nil {
		err = w.Commit(ctx)
	}
	return size, errors.Join(err, w.Close())
}

// copyInto writes head and the rest of src, in chunks: head is the buffer.
func copyInto(w io.Writer, head []byte, src io.Reader) (size uint64, err error) {
	buf := head
	for n := len(head); n > 0; {
		if _, err := w.Write(buf[:n]); err != nil {
			return size, err
		}
		size += uint64(n)
		n, err = io.ReadFull(src, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return size, err
		}
	}
	return size, nil
}
