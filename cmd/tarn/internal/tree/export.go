// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// ExportOptions says how a tree is exported.
type ExportOptions struct {
	Overwrite bool      // files that exist are replaced
	Progress  *Progress // may be nil
}

// Export writes the keys of an object as files below dir. It looks at all keys before it writes the first file, and writes through
// an os.Root, which no link leads out of.
func Export(ctx context.Context, kv system.KV, dir string, opts ExportOptions) (Result, error) {
	total, err := survey(ctx, kv)
	if err != nil {
		return Result{}, err
	}
	opts.Progress.SetTotal(total.Files+total.EmptyDirs, total.Bytes)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return Result{}, osError(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, osError(dir, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	x := &exporter{ctx: ctx, kv: kv, root: root, dir: dir, opts: opts, made: map[string]bool{}}
	err = x.list(group)
	if failed := group.Wait(); failed != nil {
		err = failed
	}
	return x.result, errors.Join(err, root.Close())
}

// survey counts what will be written, and refuses keys that are no paths.
func survey(ctx context.Context, kv system.KV) (total Result, err error) {
	for e, err := range kv.List(ctx, system.Range{KeysOnly: true}) {
		if err != nil {
			return total, err
		}
		if err := checkPath(string(e.Key), e.Size); err != nil {
			return total, err
		}
		total.add(e)
	}
	return total, nil
}

func (r *Result) add(e system.Entry) {
	if isDir(string(e.Key)) {
		r.EmptyDirs++
		return
	}
	r.Files++
	r.Bytes += e.Size
}

func isDir(key string) bool { return strings.HasSuffix(key, "/") }

// checkPath refuses a key that is not the path of a file below a directory, in its shortest form.
func checkPath(key string, size uint64) error {
	name := strings.TrimSuffix(key, "/")
	switch {
	case name == "" || !filepath.IsLocal(name) || path.Clean(name) != name || name == "." || strings.IndexByte(name, 0) >= 0:
		return errno.New("", "", errno.BadPath, fmt.Sprintf("the key %q is not a path below a directory; nothing was written", key))
	case isDir(key) && size > 0:
		return errno.New("", "", errno.BadPath,
			fmt.Sprintf("the key %q names a directory, but has a value; nothing was written", key))
	}
	return nil
}

// exporter writes files below root.
type exporter struct {
	ctx    context.Context
	kv     system.KV
	root   *os.Root
	dir    string
	opts   ExportOptions
	result Result

	mu   sync.Mutex
	made map[string]bool // directories that are there
}

func (x *exporter) list(group *errgroup.Group) error {
	for e, err := range x.kv.List(x.ctx, system.Range{}) {
		if err != nil {
			return err
		}
		if err := checkPath(string(e.Key), e.Size); err != nil { // keys may have come since the survey
			return err
		}
		x.result.add(e)
		group.Go(func() error { return x.write(e) })
	}
	return nil
}

func (x *exporter) write(e system.Entry) error {
	key := string(e.Key)
	parent := path.Dir(key) // of "a/b/" this is "a/b"
	if err := x.mkdir(parent); err != nil {
		return osError(filepath.Join(x.dir, parent), err)
	}
	if isDir(key) {
		x.opts.Progress.Add(1, 0)
		return nil
	}
	if err := x.file(key, e); err != nil {
		return err
	}
	x.opts.Progress.Add(1, e.Size)
	return nil
}

// mkdir makes one directory at a time: os.Root.MkdirAll of Go 1.25.0 fails when two make the same.
func (x *exporter) mkdir(name string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.made[name] {
		return nil
	}
	if err := x.root.MkdirAll(name, 0o777); err != nil {
		return err
	}
	x.made[name] = true
	return nil
}

func (x *exporter) file(name string, e system.Entry) error {
	target := filepath.Join(x.dir, name)
	if x.opts.Overwrite { // what is there may be a link: it is replaced, not followed
		if err := x.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return osError(target, err)
		}
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return existing(target, err)
	}
	if err := x.fill(f, e); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return osError(target, err)
	}
	return nil
}

func existing(target string, err error) error {
	if errors.Is(err, os.ErrExist) {
		return errno.New("", target, errno.Exist, "the file exists: give --overwrite to replace files, or name a new directory")
	}
	return osError(target, err)
}

func (x *exporter) fill(f *os.File, e system.Entry) error {
	if !e.Omitted {
		if _, err := f.Write(e.Value); err != nil {
			return osError(f.Name(), err)
		}
		return nil
	}
	var r system.Reader
	err := Patient(x.ctx, func() (err error) {
		r, err = x.kv.Reader(x.ctx, e.Key)
		return err
	})
	if err != nil {
		return about(e.Key, err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, chunk))
	return errors.Join(err, r.Close())
}
