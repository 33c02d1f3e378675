// SPDX-License-Identifier: Apache-2.0

package localdev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// tailed is a file whose size is not a multiple of its device's blocks. A device is whole blocks, so the rest of the file, less than one,
// is read and written through the page cache: who copies a file wants all of it. Its size never changes.
type tailed struct {
	open
	file  *os.File
	whole int64 // size in whole blocks
	size  int64
}

// withTail is d, or d and what is behind its last whole block.
func withTail(d open, write bool) (system.Device, error) {
	info := d.Info()
	if info.Kind != "file" {
		return d, nil
	}
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	file, err := os.OpenFile(strings.TrimPrefix(info.URI, "file:"), mode, 0)
	if err != nil {
		return d, nil // its name is too long for info, or it is gone: there is no more than the device
	}
	st, err := file.Stat()
	if err != nil || st.Size() == int64(info.Size) || st.Size()-int64(info.Size) >= int64(info.OffsetAlignment) {
		return d, errors.Join(err, file.Close())
	}
	return &tailed{open: d, file: file, whole: int64(info.Size), size: st.Size()}, nil
}

func (t *tailed) Info() system.DeviceInfo {
	info := t.open.Info()
	info.Size = uint64(t.size)
	return info
}

func (t *tailed) ReadAt(p []byte, offset int64) (int, error) {
	return t.ReadAtContext(context.Background(), p, offset)
}

func (t *tailed) ReadAtContext(ctx context.Context, p []byte, offset int64) (n int, err error) {
	first := p[:max(0, min(int64(len(p)), t.whole-offset))]
	if len(first) > 0 || offset < 0 {
		if n, err = t.open.ReadAtContext(ctx, first, offset); err != nil {
			return n, err
		}
	}
	if n == len(p) {
		return n, nil
	}
	rest := p[n:max(int64(n), min(int64(len(p)), t.size-offset))]
	m, err := t.file.ReadAt(rest, offset+int64(n))
	if n += m; err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (t *tailed) WriteAt(p []byte, offset int64) (int, error) {
	return t.WriteAtContext(context.Background(), p, offset)
}

func (t *tailed) WriteAtContext(ctx context.Context, p []byte, offset int64) (n int, err error) {
	if offset < 0 || offset > t.size || int64(len(p)) > t.size-offset {
		return 0, errno.New("device write", t.open.Info().URI, errno.Inval,
			fmt.Sprintf("%d bytes at offset %d: the file ends at %d", len(p), offset, t.size))
	}
	if first := p[:max(0, min(int64(len(p)), t.whole-offset))]; len(first) > 0 {
		if n, err = t.open.WriteAtContext(ctx, first, offset); err != nil || n == len(p) {
			return n, err
		}
	}
	m, err := t.file.WriteAt(p[n:], offset+int64(n))
	return n + m, ioError(err)
}

func (t *tailed) Flush(ctx context.Context) error {
	return errors.Join(t.open.Flush(ctx), ioError(t.file.Sync()))
}

func (t *tailed) Close() error { return errors.Join(t.file.Close(), t.open.Close()) }

func ioError(err error) error {
	if err == nil {
		return nil
	}
	e := errno.New("", "", errno.IO, err.Error())
	if errors.Is(err, syscall.EBADF) {
		e = errno.New("", "", errno.EPRO, "it is open for reading only")
	}
	e.Err = err
	return e
}
