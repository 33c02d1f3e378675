// SPDX-License-Identifier: Apache-2.0

package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a hash whose sum is as kv.proto says.
func checksum(t apiv1.ChecksumType) (hash.Hash, error) {
	switch t {
	case apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C:
		return crc32.New(castagnoli), nil
	case apiv1.ChecksumType_CHECKSUM_TYPE_SHA256:
		return sha256.New(), nil
	}
	return nil, fault.Invalid("checksum_type", "", "checksum_type is %d; it must be CRC32C or SHA256", t)
}

func (s *keyValues) Scan(req *apiv1.ScanRequest, stream grpc.ServerStreamingServer[apiv1.ScanResponse]) error {
	r := rangeOf(req.GetRange())
	r.Reverse, r.KeysOnly, r.Limit = req.GetReverse(), req.GetKeysOnly(), req.GetLimit()
	return s.withKV(stream.Context(), req.GetObject(), func(kv system.KV) error {
		msg, size := &apiv1.ScanResponse{}, 0
		for e, err := range kv.List(stream.Context(), r) {
			if err != nil {
				return err
			}
			entry, n := scanEntry(e)
			if size+n > scanBytes && size > 0 {
				if err := stream.Send(msg); err != nil {
					return err
				}
				msg, size = &apiv1.ScanResponse{}, 0
			}
			msg.Entries, size = append(msg.Entries, entry), size+n
		}
		if size == 0 {
			return nil
		}
		return stream.Send(msg)
	})
}

// scanEntry is an entry, and how much of a message it takes at most.
func scanEntry(e system.Entry) (*apiv1.ScanEntry, int) {
	const framing = 5 * binary.MaxVarintLen32 // tags, lengths, size, revision
	entry := &apiv1.ScanEntry{Key: e.Key, Size: e.Size, Revision: e.Revision}
	if !e.Omitted {
		entry.Value = e.Value
		if entry.Value == nil {
			entry.Value = []byte{} // present, and empty
		}
	}
	return entry, len(e.Key) + len(e.Value) + framing
}

func (s *keyValues) GetStream(req *apiv1.GetStreamRequest, stream grpc.ServerStreamingServer[apiv1.GetStreamResponse]) error {
	kind := req.GetChecksumType()
	if kind == apiv1.ChecksumType_CHECKSUM_TYPE_UNSPECIFIED {
		kind = apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C
	}
	sum, err := checksum(kind)
	if err != nil {
		return err
	}
	return s.withKV(stream.Context(), req.GetObject(), func(kv system.KV) error {
		r, err := kv.Reader(stream.Context(), req.GetKey())
		if err != nil {
			return err
		}
		defer r.Close()
		header := &apiv1.GetStreamHeader{Size: r.Stat().Size, Revision: r.Stat().Revision, ChecksumType: kind}
		if err := limit.Deliver(stream, &apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Header{Header: header}}); err != nil {
			return err
		}
		if err := s.sendData(stream, r, sum); err != nil {
			return err
		}
		trailer := &apiv1.GetStreamTrailer{Checksum: sum.Sum(nil)}
		return stream.Send(&apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Trailer{Trailer: trailer}})
	})
}

func (s *keyValues) PutStream(stream grpc.ClientStreamingServer[apiv1.PutStreamRequest, apiv1.PutStreamResponse]) error {
	messages := receive(stream.Context(), func() (*wire.Received, error) {
		r := &wire.Received{Message: &apiv1.PutStreamRequest{}}
		return r, stream.RecvMsg(r)
	})
	next := func() (*wire.Received, error) { return messages.within(silence, nil) }
	first, err := next()
	if err != nil {
		return noCommit(err)
	}
	header := first.Message.(*apiv1.PutStreamRequest).GetHeader()
	if header == nil {
		return fault.Invalid("part", "", "the first message is not a header")
	}
	u, err := uploadOf(header)
	if err != nil {
		return err
	}
	if err := s.Gate.Take(stream.Context(), moreBytes); err != nil {
		return err
	}
	defer s.Gate.Give(stream.Context(), moreBytes)
	err = s.withKV(stream.Context(), header.GetObject(), func(kv system.KV) error {
		return u.run(stream.Context(), kv, next)
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(&apiv1.PutStreamResponse{Size: u.size})
}

// upload is a value that is arriving. Nothing of it is visible before the commit, which run makes last.
type upload struct {
	header *apiv1.PutStreamHeader
	cond   system.Cond
	sum    hash.Hash
	size   uint64 // so far
	piece  []byte // of it, what is not yet written
}

func uploadOf(header *apiv1.PutStreamHeader) (u *upload, err error) {
	u = &upload{header: header}
	if u.cond, err = condOfEach(header.GetCondition()); err != nil {
		return nil, err
	}
	if u.sum, err = checksum(header.GetChecksumType()); err != nil {
		return nil, err
	}
	if header.GetSize() > system.ValueMax {
		return nil, u.tooLarge(header.GetSize())
	}
	return u, nil
}

func (u *upload) tooLarge(size uint64) error {
	e := errno.New("", u.header.GetObject(), errno.Rec2Big,
		fmt.Sprintf("the value has %d bytes; a value has at most %d", size, uint64(system.ValueMax)))
	e.Size = size
	return e
}

// run writes the messages that recv returns, up to the commit. Whatever ends it before that leaves nothing.
func (u *upload) run(ctx context.Context, kv system.KV, recv func() (*wire.Received, error)) (err error) {
	w, err := kv.Writer(ctx, u.header.GetKey(), u.cond)
	if err != nil {
		return err
	}
	defer w.Close() // after Commit it does nothing
	buf := wire.Pool.Get(pieceBytes)
	defer wire.Pool.Put(buf)
	u.piece = (*buf)[:0]
	for {
		msg, err := recv()
		if err != nil {
			return noCommit(err)
		}
		commit, err := u.take(w, msg)
		switch {
		case err != nil:
			return err
		case commit != nil:
			return u.commit(ctx, w, commit)
		}
	}
}

// take takes the data of a message, or returns its commit.
func (u *upload) take(w io.Writer, msg *wire.Received) (*apiv1.PutStreamCommit, error) {
	defer msg.Free()
	data := msg.Data
	if !msg.IsData {
		switch part := msg.Message.(*apiv1.PutStreamRequest).GetPart().(type) {
		case *apiv1.PutStreamRequest_Commit:
			return part.Commit, nil
		case *apiv1.PutStreamRequest_Data: // in an unusual encoding
			data = mem.BufferSlice{mem.SliceBuffer(part.Data)}
		default:
			return nil, fault.Invalid("part", u.header.GetObject(), "after the header come data and one commit, and this message is neither")
		}
	}
	if err := u.fits(data.Len()); err != nil {
		return nil, err
	}
	for _, b := range data {
		if err := u.add(w, b.ReadOnlyData()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (u *upload) commit(ctx context.Context, w system.Writer, commit *apiv1.PutStreamCommit) error {
	if err := u.verify(commit); err != nil {
		return err
	}
	if err := u.write(w); err != nil {
		return err
	}
	return w.Commit(ctx)
}

// fits checks that n more bytes may come.
func (u *upload) fits(n int) error {
	size := u.size + uint64(n)
	switch {
	case n > ChunkMax:
		return fault.Invalid("data", u.header.GetObject(), "the message has %d bytes of data; it can have %d", n, ChunkMax)
	case u.header.Size != nil && size > u.header.GetSize():
		return fault.Invalid("data", u.header.GetObject(), "the header says %d bytes and at least %d came", u.header.GetSize(), size)
	case size > system.ValueMax:
		return u.tooLarge(size)
	}
	return nil
}

// add sums bytes and collects them: they come in small frames, and a call of the engine costs as much for few as for many.
func (u *upload) add(w io.Writer, data []byte) error {
	u.size += uint64(len(data))
	u.sum.Write(data)
	for len(data) > 0 {
		if len(u.piece) == pieceBytes {
			if err := u.write(w); err != nil {
				return err
			}
		}
		n := min(len(data), pieceBytes-len(u.piece))
		u.piece, data = append(u.piece, data[:n]...), data[n:]
	}
	return nil
}

// write writes what was collected.
func (u *upload) write(w io.Writer) error {
	_, err := w.Write(u.piece)
	u.piece = u.piece[:0]
	return err
}

func (u *upload) verify(commit *apiv1.PutStreamCommit) error {
	if u.header.Size != nil && u.size != u.header.GetSize() {
		return fault.Invalid("commit", u.header.GetObject(), "the header says %d bytes and %d came", u.header.GetSize(), u.size)
	}
	if sum := u.sum.Sum(nil); !bytes.Equal(sum, commit.GetChecksum()) {
		return errno.New("", u.header.GetObject(), errno.Csum,
			fmt.Sprintf("the commit says checksum %x and the bytes that came have %x; send them again", commit.GetChecksum(), sum))
	}
	return nil
}

// noCommit is the error of a stream that ended before its commit.
func noCommit(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.Invalid("commit", "", "the stream ended without a commit; nothing was stored")
	}
	return err
}
