// SPDX-License-Identifier: Apache-2.0

package service

import (
	"hash"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

// pieceBytes is how much of a value is read or written with one call of the engine, which may wait for the device each time. The engine
// divides a value into such pieces, and keeps nothing of one that is whole. Memory of this size is of one tier of the pool, and begins with a page.
const pieceBytes = 1 << 20

// moreBytes is what an upload holds beyond what every stream has in the gate, and aheadBytes what a value that is sent does for a piece that
// is read while another is on its way.
const (
	moreBytes  = pieceBytes
	aheadBytes = pieceBytes + pieceBytes/2
)

// sending is a value on its way to a client that has taken its header: nothing is read before. Who takes nothing costs no memory.
//
// Always true: it has one piece in memory, and what of the last the connection has not taken. When a piece was given to the connection, and
// the gate has room, the next is read while one is on its way.
type sending struct {
	gate   *limit.Gate
	stream grpc.ServerStream
	r      system.Reader
	left   uint64        // of the value
	given  chan struct{} // a piece was
	ahead  bool          // there is room to read ahead; of the goroutine that reads
}

// piece is a part of a value that was read: its first n bytes, and the error that came with them.
type piece struct {
	buf mem.Buffer
	n   int
	err error
}

// sendData sends what r has, and sums it. The chunks of a piece share its memory, which goes back to the pool when the last of them
// has been sent. When it returns nobody reads r any more.
func (s *keyValues) sendData(stream grpc.ServerStream, r system.Reader, sum hash.Hash) error {
	v := &sending{gate: s.Gate, stream: stream, r: r, left: r.Stat().Size, given: make(chan struct{}, 1)}
	// This is given back with the place of the call, which is kept until the last of the value has left.
	if err := s.Gate.Take(stream.Context(), int64(min(v.left, pieceBytes+wire.ChunkBytes))); err != nil {
		return err
	}
	pieces, stop := make(chan piece), make(chan struct{})
	go v.read(pieces, stop)
	defer v.end(pieces, stop)
	for p := range pieces {
		sum.Write(p.buf.ReadOnlyData()[:p.n])
		if err := sendPiece(stream, p.buf, p.n); err != nil {
			return err
		}
		if p.err != nil {
			return p.err
		}
		select {
		case v.given <- struct{}{}:
		default: // nobody waits
		}
	}
	return nil
}

// end waits until the reader has ended.
func (v *sending) end(pieces <-chan piece, stop chan<- struct{}) {
	close(stop)
	for range pieces {
	}
	if v.ahead {
		v.gate.Give(v.stream.Context(), aheadBytes)
	}
}

// read reads the value up to its end or an error, and one piece ahead of who takes them when the first was given.
func (v *sending) read(pieces chan<- piece, stop <-chan struct{}) {
	defer close(pieces)
	for v.left > 0 {
		p := v.piece()
		select {
		case pieces <- p:
		case <-stop:
			p.buf.Free()
			return
		}
		if p.err != nil || v.left == 0 {
			return
		}
		if !v.ahead && !v.wait(stop) {
			return
		}
	}
}

// wait waits until the last piece was given, and looks whether there is room to read ahead. False: the value is not to be read any more.
func (v *sending) wait(stop <-chan struct{}) bool {
	select {
	case <-v.given:
		v.ahead = v.gate.Try(v.stream.Context(), aheadBytes)
		return true
	case <-stop:
		return false
	}
}

func (v *sending) piece() piece {
	buf := wire.Pool.Get(int(min(v.left, pieceBytes)))
	n, err := io.ReadFull(v.r, *buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errno.New("", "", errno.IO, "the value has become shorter while it was read")
	}
	v.left -= uint64(n)
	return piece{mem.NewBuffer(buf, wire.Pool), n, err}
}

// sendPiece sends the first n bytes of a piece, and lets go of it.
func sendPiece(stream grpc.ServerStream, buf mem.Buffer, n int) error {
	defer buf.Free()
	for at := 0; at < n; at += wire.ChunkBytes {
		if err := stream.SendMsg(&wire.Chunk{Data: buf.Slice(at, min(at+wire.ChunkBytes, n))}); err != nil {
			return err
		}
	}
	return nil
}
