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

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
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
		if err := stream.Send(&apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Header{Header: header}}); err != nil {
			return err
		}
		if err := sendData(stream, r, sum); err != nil {
			return err
		}
		trailer := &apiv1.GetStreamTrailer{Checksum: sum.Sum(nil)}
		return stream.Send(&apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Trailer{Trailer: trailer}})
	})
}

// sendData sends what r has, in chunks, and sums it. Send has marshalled the message when it returns and nothing else looks at it
// (the server has no stats handler), so one buffer serves all chunks.
func sendData(stream grpc.ServerStreamingServer[apiv1.GetStreamResponse], r io.Reader, sum hash.Hash) error {
	buf := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			sum.Write(buf[:n])
			if err := stream.Send(&apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Data{Data: buf[:n]}}); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (s *keyValues) PutStream(stream grpc.ClientStreamingServer[apiv1.PutStreamRequest, apiv1.PutStreamResponse]) error {
	messages := receive(stream.Context(), stream.Recv)
	next := func() (*apiv1.PutStreamRequest, error) { return messages.within(silence, nil) }
	first, err := next()
	if err != nil {
		return noCommit(err)
	}
	header := first.GetHeader()
	if header == nil {
		return fault.Invalid("part", "", "the first message is not a header")
	}
	u, err := uploadOf(header)
	if err != nil {
		return err
	}
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
func (u *upload) run(ctx context.Context, kv system.KV, recv func() (*apiv1.PutStreamRequest, error)) (err error) {
	w, err := kv.Writer(ctx, u.header.GetKey(), u.cond)
	if err != nil {
		return err
	}
	defer w.Close() // after Commit it does nothing
	for {
		msg, err := recv()
		if err != nil {
			return noCommit(err)
		}
		switch part := msg.GetPart().(type) {
		case *apiv1.PutStreamRequest_Data:
			if err := u.write(w, part.Data); err != nil {
				return err
			}
		case *apiv1.PutStreamRequest_Commit:
			if err := u.verify(part.Commit); err != nil {
				return err
			}
			return w.Commit(ctx)
		default:
			return fault.Invalid("part", u.header.GetObject(), "after the header come data and one commit, and this message is neither")
		}
	}
}

func (u *upload) write(w io.Writer, data []byte) error {
	size := u.size + uint64(len(data))
	switch {
	case len(data) > ChunkMax:
		return fault.Invalid("data", u.header.GetObject(), "the message has %d bytes of data; it can have %d", len(data), ChunkMax)
	case u.header.Size != nil && size > u.header.GetSize():
		return fault.Invalid("data", u.header.GetObject(), "the header says %d bytes and at least %d came", u.header.GetSize(), size)
	case size > system.ValueMax:
		return u.tooLarge(size)
	}
	u.size = size
	u.sum.Write(data)
	_, err := w.Write(data)
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
