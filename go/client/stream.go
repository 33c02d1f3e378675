// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"runtime"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Reader reads one value as it was when the reader was opened.
type Reader struct {
	handle
	ctx    context.Context
	op     string
	cancel context.CancelFunc
	stream grpc.ServerStreamingClient[apiv1.GetStreamResponse]
	stat   system.Stat
	sum    hash.Hash32
	msg    wire.Received // the last message
	piece  int           // of its data, which is next
	rest   []byte        // of the piece before
	read   uint64
	err    error // of every further Read
}

// Reader opens the value of key; ctx bounds all reads. NONEXIST when there is none.
func (kv *KV) Reader(ctx context.Context, key []byte) (system.Reader, error) {
	const op = "kv read"
	if err := kv.check(ctx, op); err != nil {
		return nil, err
	}
	r, err := kv.open(ctx, op, key)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (kv *KV) open(ctx context.Context, op string, key []byte) (*Reader, error) {
	r := &Reader{ctx: ctx, op: op, sum: crc32.New(castagnoli)}
	sctx, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	var header *apiv1.GetStreamHeader
	stream, err := kv.sys.keyValues.GetStream(sctx, &apiv1.GetStreamRequest{
		Object: kv.name, Key: key, ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C,
	})
	if err == nil {
		var first *apiv1.GetStreamResponse
		first, err = stream.Recv()
		header = first.GetHeader()
	}
	if err != nil {
		cancel()
		return nil, fromRecv(ctx, op, kv.ref, err)
	}
	r.stream, r.stat = stream, system.Stat{Size: header.GetSize(), Revision: header.GetRevision()}
	if err := r.init(&kv.handle, "reader", kv.ref); err != nil {
		cancel()
		return nil, err
	}
	watch(r, &r.handle, cancel)
	return r, nil
}

// Stat is the size and the revision of the value.
func (r *Reader) Stat() system.Stat { return r.stat }

// Close ends the stream.
func (r *Reader) Close() error {
	return r.close(r.op, func() error { r.cancel(); return nil })
}

// Read reads the next bytes; io.EOF behind the last, when their checksum was right.
func (r *Reader) Read(p []byte) (int, error) {
	defer runtime.KeepAlive(r) // or its cleanup ends the stream
	if err := r.check(r.ctx, r.op); err != nil {
		return 0, err
	}
	for len(r.rest) == 0 && r.err == nil && len(p) > 0 {
		r.err = r.next()
	}
	n := 0
	for n < len(p) && len(r.rest) > 0 {
		m := copy(p[n:], r.rest)
		n, r.rest = n+m, r.rest[m:]
		r.turn()
	}
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// turn goes on to the next piece of the message, when one is read.
func (r *Reader) turn() {
	for len(r.rest) == 0 && r.piece < len(r.msg.Data) {
		r.rest = r.msg.Data[r.piece].ReadOnlyData()
		r.piece++
	}
}

// next receives a message: data, or the trailer, and then it is io.EOF.
func (r *Reader) next() error {
	r.rest = nil
	r.msg.Message = &apiv1.GetStreamResponse{}
	if err := r.stream.RecvMsg(&r.msg); err != nil {
		return fromRecv(r.ctx, r.op, r.ref, err)
	}
	if !r.msg.IsData {
		msg := r.msg.Message.(*apiv1.GetStreamResponse)
		if trailer := msg.GetTrailer(); trailer != nil {
			return r.verify(trailer)
		}
		r.rest = msg.GetData()
	}
	r.read += uint64(r.msg.Data.Len() + len(r.rest))
	r.sum.Write(r.rest)
	for _, piece := range r.msg.Data {
		r.sum.Write(piece.ReadOnlyData())
	}
	r.piece = 0
	r.turn()
	return nil
}

func (r *Reader) verify(trailer *apiv1.GetStreamTrailer) error {
	if sum := r.sum.Sum(nil); !bytes.Equal(sum, trailer.GetChecksum()) || r.read != r.stat.Size {
		return errno.New(r.op, r.ref, errno.Csum, fmt.Sprintf("%d bytes with checksum %x were sent and %d bytes with checksum %x came; "+
			"read the value again", r.stat.Size, trailer.GetChecksum(), r.read, sum))
	}
	return io.EOF
}

// whole is the result of having read all of the value, with err: its checksum counts too.
func (r *Reader) whole(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	for r.err == nil {
		r.err = r.next()
	}
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// Writer writes one value; it is visible, whole, after Commit only.
type Writer struct {
	handle
	ctx    context.Context
	op     string
	cancel context.CancelFunc
	stream grpc.ClientStreamingClient[apiv1.PutStreamRequest, apiv1.PutStreamResponse]
	sum    hash.Hash32
	err    error // of every further call
}

// Writer writes a value of any size under key; ctx bounds all of it. A condition is tested when the value is committed.
func (kv *KV) Writer(ctx context.Context, key []byte, cond ...system.Cond) (system.Writer, error) {
	const op = "kv write"
	if err := kv.check(ctx, op); err != nil {
		return nil, err
	}
	c, err := kv.condition(op, cond)
	if err != nil {
		return nil, err
	}
	w, err := kv.create(ctx, op, &apiv1.PutStreamHeader{Object: kv.name, Key: key, Condition: c})
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (kv *KV) create(ctx context.Context, op string, header *apiv1.PutStreamHeader) (*Writer, error) {
	w := &Writer{ctx: ctx, op: op, sum: crc32.New(castagnoli)}
	header.ChecksumType = apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C
	sctx, cancel := context.WithCancel(ctx)
	stream, err := kv.sys.keyValues.PutStream(sctx)
	if err != nil {
		cancel()
		return nil, fromStatus(ctx, op, kv.ref, err)
	}
	w.cancel, w.stream = cancel, stream
	if err := w.init(&kv.handle, "writer", kv.ref); err != nil {
		cancel()
		return nil, err
	}
	watch(w, &w.handle, cancel)
	if err := w.send(&apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Header{Header: header}}); err != nil {
		_ = w.Close() // never fails
		return nil, err
	}
	return w, nil
}

// send sends a message, a PutStreamRequest or a chunk. When the gateway has ended the stream, its answer says why.
func (w *Writer) send(msg any) error {
	err := w.stream.SendMsg(msg)
	if errors.Is(err, io.EOF) {
		_, err = w.stream.CloseAndRecv()
		if err == nil {
			err = io.EOF // an answer without a commit
		}
	}
	if err != nil {
		w.err = fromRecv(w.ctx, w.op, w.ref, err)
	}
	return w.err
}

// Write writes the next bytes of the value.
func (w *Writer) Write(p []byte) (int, error) {
	defer runtime.KeepAlive(w)
	if err := w.check(w.ctx, w.op); err != nil {
		return 0, err
	}
	done := 0
	for done < len(p) && w.err == nil {
		chunk := p[done:min(done+wire.ChunkBytes, len(p))]
		w.sum.Write(chunk)
		if w.send(wire.NewChunk(chunk)) == nil {
			done += len(chunk)
		}
	}
	return done, w.err
}

// Commit makes the value visible and durable, and closes the writer, whatever it returns.
func (w *Writer) Commit(ctx context.Context) error {
	const op = "kv commit"
	if err := w.check(ctx, op); err != nil {
		return err
	}
	defer w.Close()
	if w.err != nil {
		return w.err
	}
	defer context.AfterFunc(ctx, w.cancel)()
	commit := &apiv1.PutStreamCommit{Checksum: w.sum.Sum(nil)}
	if err := w.send(&apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Commit{Commit: commit}}); err != nil {
		return err
	}
	_, err := w.stream.CloseAndRecv()
	return fromStatus(ctx, op, w.ref, err)
}

// Close without Commit leaves nothing.
func (w *Writer) Close() error {
	return w.close(w.op, func() error { w.cancel(); return nil })
}
