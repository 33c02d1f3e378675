// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// found is one file, or an empty directory, that a walk has come to.
type found struct {
	key  string // "include/stdio.h", or "include/empty/"
	path string // where it is
	size int64  // when it was looked at; it may have changed since
	dir  bool
}

// walker goes through a directory in the order of names and gives what it finds to visit. It follows links, but not into a
// directory that it is in.
type walker struct {
	noFollow bool
	visit    func(found) error
	result   Result // Links and Skipped only
}

// identity tells directories apart.
type identity struct{ dev, ino uint64 }

func identify(st fs.FileInfo) identity {
	sys := st.Sys().(*syscall.Stat_t)
	return identity{uint64(sys.Dev), sys.Ino}
}

func (w *walker) walk(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return osError(dir, err)
	}
	_, err = w.dir(dir, "", []identity{identify(st)})
	return err
}

// dir walks one directory, whose keys begin with prefix; above are the directories that lead to it, itself last. It returns the
// number of keys in it.
func (w *walker) dir(path, prefix string, above []identity) (keys int, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return 0, osError(path, err)
	}
	for _, e := range entries {
		n, err := w.entry(filepath.Join(path, e.Name()), prefix+e.Name(), e, above)
		if err != nil {
			return keys, err
		}
		keys += n
	}
	if keys == 0 && prefix != "" {
		return 1, w.visit(found{key: prefix, path: path, dir: true})
	}
	return keys, nil
}

// entry walks one entry of a directory and returns the number of keys that it is.
func (w *walker) entry(path, key string, e fs.DirEntry, above []identity) (int, error) {
	st, err := w.stat(path, e)
	if st == nil || err != nil {
		return 0, err
	}
	switch {
	case st.Mode().IsRegular():
		return 1, w.visit(found{key: key, path: path, size: st.Size()})
	case !st.IsDir():
		w.result.Skipped.Special++
		return 0, nil
	}
	id := identify(st)
	for _, a := range above {
		if a == id {
			w.result.Skipped.Loops++
			return 0, nil
		}
	}
	return w.dir(path, key+"/", append(above[:len(above):len(above)], id))
}

// stat looks at an entry, through a link: nil when it is left out.
func (w *walker) stat(path string, e fs.DirEntry) (fs.FileInfo, error) {
	link := e.Type()&fs.ModeSymlink != 0
	if link && w.noFollow {
		w.result.Skipped.Links++
		return nil, nil
	}
	st, err := os.Stat(path)
	if link && err != nil {
		w.result.Skipped.Dangling++
		return nil, nil
	}
	if err != nil {
		return nil, osError(path, err)
	}
	if link {
		w.result.Links++
	}
	return st, nil
}
