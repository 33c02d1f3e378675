// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// sampleMax is the size of the largest file of a sample, in bytes: a value of the gateway's unary calls.
const sampleMax = 1 << 20

// Sample reads about n files of the tree, spread over all of it, by their path in it; it has an empty one and one of hundreds of KiB.
func Sample(t testing.TB, n int) map[string][]byte {
	t.Helper()
	dir := Tree(t)
	var paths []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() <= sampleMax {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"empty": {}, "large/value": make([]byte, 700_000)}
	for i := range files["large/value"] {
		files["large/value"][i] = byte(i * i >> 8)
	}
	step := (len(paths) + n - 1) / n
	for i := 0; i < len(paths); i += step {
		data, err := os.ReadFile(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		files[paths[i][len(dir)+1:]] = data
	}
	return files
}

// Write writes files below a new directory.
func Write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
