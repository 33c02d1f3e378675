// SPDX-License-Identifier: Apache-2.0

// Package move moves bytes between devices, files and streams: in pieces of 1 MiB, eight of them in flight, through memory that suits
// direct I/O. Pieces go in any order where both ends can be addressed; where one is a stream, its bytes keep their order. An error ends
// a move, and so does the end of its context; what has been written by then stays written.
package move

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/go/errno"
)

// Piece is how much is moved at once, and Depth how many pieces are in flight.
const (
	Piece = 1 << 20
	Depth = 8
)

// Source can be read at any offset.
type Source interface {
	ReadAtContext(ctx context.Context, p []byte, offset int64) (int, error)
}

// Target can be written at any offset.
type Target interface {
	WriteAtContext(ctx context.Context, p []byte, offset int64) (int, error)
}

// Mover moves.
type Mover struct {
	Buffer   func(n int) (buf []byte, free func(), err error)
	Progress func(bytes uint64) // so much more was moved; called by any goroutine
}

// each calls f for every piece of a length, Depth at a time; f has that many buffers of its own.
func (m *Mover) each(ctx context.Context, length uint64, buffers int, f func(ctx context.Context, bufs [][]byte, at uint64, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Uint64
	for range min(Depth, (length+Piece-1)/Piece) {
		group.Go(func() error {
			bufs, free, err := m.buffers(buffers)
			if err != nil {
				return err
			}
			defer free()
			for at := next.Add(Piece) - Piece; at < length; at = next.Add(Piece) - Piece {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				n := int(min(Piece, length-at))
				if err := f(ctx, bufs, at, n); err != nil {
					return err
				}
				m.Progress(uint64(n))
			}
			return nil
		})
	}
	return group.Wait()
}

func (m *Mover) buffers(n int) (bufs [][]byte, free func(), err error) {
	var frees []func()
	free = func() {
		for _, f := range frees {
			f()
		}
	}
	for range n {
		buf, f, err := m.Buffer(Piece)
		if err != nil {
			free()
			return nil, nil, err
		}
		bufs, frees = append(bufs, buf), append(frees, f)
	}
	return bufs, free, nil
}

// read reads all of p: the source has so many bytes.
func read(ctx context.Context, src Source, p []byte, offset uint64) error {
	n, err := src.ReadAtContext(ctx, p, int64(offset))
	switch {
	case n == len(p):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return errno.New("", "", errno.IO, fmt.Sprintf("the source ended at %d: it has become smaller meanwhile", offset+uint64(n)))
	}
	return err
}

// Copy copies a range.
func (m *Mover) Copy(ctx context.Context, dst Target, dstOffset uint64, src Source, srcOffset, length uint64) error {
	return m.each(ctx, length, 1, func(ctx context.Context, bufs [][]byte, at uint64, n int) error {
		p := bufs[0][:n]
		if err := read(ctx, src, p, srcOffset+at); err != nil {
			return err
		}
		_, err := dst.WriteAtContext(ctx, p, int64(dstOffset+at))
		return err
	})
}

// Compare compares a range of two sources. MISMATCH says where a first difference is, of those that were found by then.
func (m *Mover) Compare(ctx context.Context, a Source, aOffset uint64, b Source, bOffset, length uint64) error {
	return m.each(ctx, length, 2, func(ctx context.Context, bufs [][]byte, at uint64, n int) error {
		p, q := bufs[0][:n], bufs[1][:n]
		if err := read(ctx, a, p, aOffset+at); err != nil {
			return err
		}
		if err := read(ctx, b, q, bOffset+at); err != nil {
			return err
		}
		if bytes.Equal(p, q) {
			return nil
		}
		where := 0
		for p[where] == q[where] {
			where++
		}
		return errno.New("", "", errno.Mismatch,
			fmt.Sprintf("byte %d of the copy is %#02x, and %#02x at the source", bOffset+at+uint64(where), q[where], p[where]))
	})
}

// piece is one that is on its way between a stream and an addressed end.
type piece struct {
	buf  []byte
	done chan error // its I/O has ended
}

// Out writes a range of a source to a stream. Pieces are read ahead.
func (m *Mover) Out(ctx context.Context, dst io.Writer, src Source, offset, length uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	bufs, free, err := m.buffers(int(min(Depth, (length+Piece-1)/Piece)))
	if err != nil {
		cancel()
		return err
	}
	var reads errgroup.Group
	defer func() {
		cancel()
		_ = reads.Wait() // their memory goes
		free()
	}()
	ring := make([]piece, len(bufs))
	start := func(i int, at uint64) {
		ring[i] = piece{bufs[i][:min(Piece, length-at)], make(chan error, 1)}
		p := ring[i]
		reads.Go(func() error { p.done <- read(ctx, src, p.buf, offset+at); return nil })
	}
	for i := range ring {
		start(i, uint64(i)*Piece)
	}
	for at, i := uint64(0), 0; at < length; at, i = at+Piece, (i+1)%len(ring) {
		if err := <-ring[i].done; err != nil {
			return err
		}
		if _, err := dst.Write(ring[i].buf); err != nil {
			return err
		}
		m.Progress(uint64(len(ring[i].buf)))
		if ahead := at + uint64(len(ring))*Piece; ahead < length {
			start(i, ahead)
		}
	}
	return ctx.Err()
}

// In writes a stream to a target, up to its end, and returns how much that was. INVAL when it has more than limit bytes: those that fit
// are written.
func (m *Mover) In(ctx context.Context, dst Target, offset, limit uint64, src io.Reader) (uint64, error) {
	bufs, free, err := m.buffers(Depth)
	if err != nil {
		return 0, err
	}
	defer free()
	group, ctx := errgroup.WithContext(ctx)
	idle := make(chan []byte, Depth)
	for _, b := range bufs {
		idle <- b
	}
	at, err := m.feed(ctx, group, idle, dst, offset, limit, src)
	if werr := group.Wait(); werr != nil {
		err = werr // it is why the rest failed
	}
	return at, err
}

// feed reads the stream and starts the writes.
func (m *Mover) feed(ctx context.Context, group *errgroup.Group, idle chan []byte, dst Target, offset, limit uint64, src io.Reader) (at uint64, err error) {
	for {
		var buf []byte
		select {
		case buf = <-idle:
		case <-ctx.Done():
			return at, ctx.Err()
		}
		n, err := io.ReadFull(src, buf)
		if uint64(n) > limit-at {
			return at, errno.New("", "", errno.Inval,
				fmt.Sprintf("there is more to write than the %d bytes that fit behind offset %d", limit, offset))
		}
		if n > 0 {
			where := at
			group.Go(func() error {
				_, err := dst.WriteAtContext(ctx, buf[:n], int64(offset+where))
				m.Progress(uint64(n))
				idle <- buf
				return err
			})
			at += uint64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return at, nil
		}
		if err != nil {
			return at, err
		}
	}
}
