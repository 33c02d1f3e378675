// SPDX-License-Identifier: Apache-2.0

// Command import stores the regular files below a directory, path -> bytes, then reads all of them back and compares.
//
//	usage: import ROOT POOL CONTAINER OBJECT DIR      (the container and the object are made when they are missing)
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn"
)

const (
	inFlight = 16
	largeMin = 256 << 10 // a file of this size or more is streamed
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Print("usage: import ROOT POOL CONTAINER OBJECT DIR")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		log.Fatal(err)
	}
}

// run opens what leads to the object, one handle below the other, and closes them in the reverse order.
func run(ctx context.Context, root, pool, container, object, dir string) (err error) {
	sys, err := tarn.Open(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	p, err := sys.OpenPool(ctx, pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	_, err = p.CreateContainer(ctx, container, tarn.CreateContainer{Type: tarn.TypeKV})
	if err != nil && !errors.Is(err, errno.Exist) {
		return err
	}
	c, err := p.OpenContainer(ctx, container)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	kv, err := c.OpenKV(ctx, object, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	return copyAndCompare(ctx, kv, dir)
}

func copyAndCompare(ctx context.Context, kv *tarn.KV, dir string) error {
	var files, size atomic.Int64
	err := eachFile(ctx, dir, func(ctx context.Context, key []byte, file *os.File) error {
		n, err := store(ctx, kv, key, file)
		files.Add(1)
		size.Add(n)
		return err
	})
	if err != nil {
		return err
	}
	err = eachFile(ctx, dir, func(ctx context.Context, key []byte, file *os.File) error {
		return compare(ctx, kv, key, file)
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d files, %d bytes: all equal\n", files.Load(), size.Load())
	return nil
}

// eachFile calls do for the regular files below dir, for some at the same time.
func eachFile(ctx context.Context, dir string, do func(ctx context.Context, key []byte, file *os.File) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		group.Go(func() error {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			return do(ctx, []byte(key), file)
		})
		return ctx.Err()
	})
	if failed := group.Wait(); failed != nil { // the reason why the walk was ended
		return failed
	}
	return err
}

// store puts a small file at once, and a large one a piece at a time: it is there, whole, after the commit.
func store(ctx context.Context, kv *tarn.KV, key []byte, file *os.File) (int64, error) {
	st, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() < largeMin {
		data, err := io.ReadAll(file)
		if err != nil {
			return 0, err
		}
		return int64(len(data)), kv.Put(ctx, key, data)
	}
	w, err := kv.Writer(ctx, key)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	n, err := io.Copy(w, file)
	if err != nil {
		return n, err
	}
	return n, w.Commit(ctx)
}

// compare reads a value back and holds it against the file.
func compare(ctx context.Context, kv *tarn.KV, key []byte, file *os.File) error {
	r, err := kv.Reader(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	ours, theirs := make([]byte, largeMin), make([]byte, largeMin)
	for {
		n, err := io.ReadFull(r, ours)
		m, fileErr := io.ReadFull(file, theirs)
		switch {
		case !ended(err) || !ended(fileErr):
			return errors.Join(err, fileErr)
		case !bytes.Equal(ours[:n], theirs[:m]):
			return fmt.Errorf("%s: what was read back is not what the file holds", key)
		case err != nil && fileErr != nil: // at the same byte
			return nil
		}
	}
}

// ended reports whether err is none, or only the end of what is read.
func ended(err error) bool { return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF }
