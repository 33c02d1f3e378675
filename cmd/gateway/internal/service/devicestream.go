// SPDX-License-Identifier: Apache-2.0

package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// devicePiece is what is read and written at once: pieces begin at multiples of it, so that only the first and the last of a range can
// be misaligned. A stream holds one.
const devicePiece = 256 << 10

// noDevices stand for the devices of a server that has none.
type noDevices struct{ system.LocalDevices }

func (noDevices) List(context.Context) ([]system.DeviceInfo, error) { return nil, errNoDevices }
func (noDevices) Query(context.Context, string) (system.DeviceInfo, error) {
	return system.DeviceInfo{}, errNoDevices
}
func (noDevices) Open(string, system.OpenDevice) (system.Device, error) { return nil, errNoDevices }

var errNoDevices = errno.New("", "", errno.NotSupported, "this server offers no devices")

func sortedDevices(all []system.DeviceInfo) []system.DeviceInfo {
	slices.SortFunc(all, func(a, b system.DeviceInfo) int { return strings.Compare(a.URI, b.URI) })
	return all
}

func deviceOf(i system.DeviceInfo) *apiv1.Device {
	d := &apiv1.Device{
		Uri: i.URI, Kind: i.Kind, Driver: i.Driver, Model: i.Model, Serial: i.Serial, Backend: i.Backend, Note: i.Note, Twin: i.Twin,
		Size: i.Size, LogicalBlock: i.LogicalBlock, PhysicalBlock: i.PhysicalBlock, MemoryAlignment: i.MemoryAlignment,
		OffsetAlignment: i.OffsetAlignment, MaxTransfer: i.MaxTransfer, OptimalIo: i.OptimalIO, AtomicWrite: i.AtomicWrite, Direct: i.Direct,
		VolatileCache: i.VolatileCache, Rotational: i.Rotational, ReadOnly: i.ReadOnly, InUse: i.InUse, Nsid: i.NSID, Csi: i.CSI,
	}
	if i.Zoned {
		d.Zones = &apiv1.DeviceZones{Count: i.ZoneCount, Bytes: i.ZoneBytes, MaxOpen: i.MaxOpenZones, MaxActive: i.MaxActiveZones}
	}
	return d
}

// checkRange refuses a range that is not on the device.
func checkRange(d system.Device, uri string, offset, length uint64) (size uint64, err error) {
	size = d.Info().Size
	if offset > size || length > size-offset {
		return 0, fault.Invalid("offset", uri, "offset %d and length %d lie beyond its end: it has %d bytes", offset, length, size)
	}
	return size, nil
}

func (s *devices) ReadDevice(req *apiv1.ReadDeviceRequest, stream grpc.ServerStreamingServer[apiv1.ReadDeviceResponse]) error {
	kind := req.GetChecksumType()
	if kind == apiv1.ChecksumType_CHECKSUM_TYPE_UNSPECIFIED {
		kind = apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C
	}
	sum, err := checksum(kind)
	if err != nil {
		return err
	}
	return s.withReadable(stream.Context(), req.GetDevice(), func(d system.Device) error {
		size, err := checkRange(d, req.GetDevice(), req.GetOffset(), req.GetLength())
		if err != nil {
			return err
		}
		length := req.GetLength()
		if length == 0 {
			length = size - req.GetOffset()
		}
		header := &apiv1.ReadDeviceHeader{Size: length, ChecksumType: kind}
		if err := stream.Send(&apiv1.ReadDeviceResponse{Part: &apiv1.ReadDeviceResponse_Header{Header: header}}); err != nil {
			return err
		}
		if err := s.sendRange(stream, d, req.GetOffset(), length, sum); err != nil {
			return err
		}
		trailer := &apiv1.ReadDeviceTrailer{Checksum: sum.Sum(nil)}
		return stream.Send(&apiv1.ReadDeviceResponse{Part: &apiv1.ReadDeviceResponse_Trailer{Trailer: trailer}})
	})
}

// deviceChunk is how much of a device goes in one message, which is copied: with its header just below a tier of the pool.
const deviceChunk = 32<<10 - 64

// sendRange reads a range by pieces and sends each in chunks.
func (s *devices) sendRange(stream grpc.ServerStreamingServer[apiv1.ReadDeviceResponse], d system.Device, offset, length uint64, sum hash.Hash) error {
	buf, free, err := s.Devices.Buffer(devicePiece)
	if err != nil {
		return err
	}
	defer free()
	for end := offset + length; offset < end; {
		piece := buf[:min(devicePiece-offset%devicePiece, end-offset)]
		if n, err := d.ReadAtContext(stream.Context(), piece, int64(offset)); n < len(piece) {
			return short(err)
		}
		sum.Write(piece)
		if err := sendDevicePiece(stream, piece); err != nil {
			return err
		}
		offset += uint64(len(piece))
	}
	return nil
}

// short is the error of a read that ended within a range that was on the device before.
func short(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return errno.New("", "", errno.IO, "the device has become smaller while it was read")
	}
	return err
}

// sendDevicePiece sends a piece. Send has marshalled a message when it returns, so the piece is free again then.
func sendDevicePiece(stream grpc.ServerStreamingServer[apiv1.ReadDeviceResponse], piece []byte) error {
	for chunk := range slices.Chunk(piece, deviceChunk) {
		if err := stream.Send(&apiv1.ReadDeviceResponse{Part: &apiv1.ReadDeviceResponse_Data{Data: chunk}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *devices) WriteDevice(stream grpc.ClientStreamingServer[apiv1.WriteDeviceRequest, apiv1.WriteDeviceResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return noDeviceCommit(err)
	}
	header := first.GetHeader()
	if header == nil {
		return fault.Invalid("part", "", "the first message is not a header")
	}
	sum, err := checksum(header.GetChecksumType())
	if err != nil {
		return err
	}
	u := &deviceUpload{header: header, sum: sum, begin: header.GetOffset(), at: header.GetOffset()}
	err = s.withWritable(stream.Context(), header.GetDevice(), func(d system.Device) error {
		buf, free, err := s.Devices.Buffer(devicePiece)
		if err != nil {
			return err
		}
		defer free()
		u.d, u.buf = d, buf
		return u.run(stream.Context(), stream.Recv)
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(&apiv1.WriteDeviceResponse{Size: u.at - u.begin})
}

// deviceUpload is a range that is arriving. What came is written whenever it fills a piece: nothing takes it back.
type deviceUpload struct {
	header *apiv1.WriteDeviceHeader
	d      system.Device
	sum    hash.Hash
	buf    []byte // of devicePiece
	begin  uint64
	at     uint64 // where the next byte that comes belongs
	filled int    // bytes in buf, those before at
	size   uint64 // of the device
}

func (u *deviceUpload) run(ctx context.Context, recv func() (*apiv1.WriteDeviceRequest, error)) (err error) {
	if u.size, err = checkRange(u.d, u.header.GetDevice(), u.begin, u.header.GetSize()); err != nil {
		return err
	}
	for {
		msg, err := recv()
		if err != nil {
			return noDeviceCommit(err)
		}
		switch part := msg.GetPart().(type) {
		case *apiv1.WriteDeviceRequest_Data:
			if err := u.take(ctx, part.Data); err != nil {
				return err
			}
		case *apiv1.WriteDeviceRequest_Commit:
			return u.commit(ctx, part.Commit)
		default:
			return fault.Invalid("part", u.header.GetDevice(), "after the header come data and one commit, and this message is neither")
		}
	}
}

// take adds what came, and writes the pieces that are full.
func (u *deviceUpload) take(ctx context.Context, data []byte) error {
	came := u.at - u.begin + uint64(len(data))
	switch {
	case len(data) > ChunkMax:
		return fault.Invalid("data", u.header.GetDevice(), "the message has %d bytes of data; it can have %d", len(data), ChunkMax)
	case u.header.Size != nil && came > u.header.GetSize():
		return fault.Invalid("data", u.header.GetDevice(), "the header says %d bytes and at least %d came", u.header.GetSize(), came)
	case came > u.size-u.begin:
		return fault.Invalid("data", u.header.GetDevice(), "the device ends %d bytes behind the offset, and at least %d came; those before "+
			"this message may have been written", u.size-u.begin, came)
	}
	u.sum.Write(data)
	for len(data) > 0 {
		n := copy(u.buf[u.filled:u.filled+u.room()], data)
		u.filled, u.at, data = u.filled+n, u.at+uint64(n), data[n:]
		if u.room() == devicePiece { // at is at the beginning of a piece
			if err := u.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// room is how many bytes there are from at to the end of its piece.
func (u *deviceUpload) room() int { return int(devicePiece - u.at%devicePiece) }

// flush writes what is in the buffer.
func (u *deviceUpload) flush(ctx context.Context) error {
	if u.filled == 0 {
		return nil
	}
	_, err := u.d.WriteAtContext(ctx, u.buf[:u.filled], int64(u.at)-int64(u.filled))
	u.filled = 0
	return err
}

// commit writes what is left when the checksum is right, and makes all of it durable.
func (u *deviceUpload) commit(ctx context.Context, commit *apiv1.WriteDeviceCommit) error {
	came := u.at - u.begin
	if u.header.Size != nil && came != u.header.GetSize() {
		return fault.Invalid("commit", u.header.GetDevice(), "the header says %d bytes and %d came; they may have been written",
			u.header.GetSize(), came)
	}
	if sum := u.sum.Sum(nil); !bytes.Equal(sum, commit.GetChecksum()) {
		return errno.New("", u.header.GetDevice(), errno.Csum, fmt.Sprintf("the commit says checksum %x and the bytes that came have %x; "+
			"a part of them has been written: send them again", commit.GetChecksum(), sum))
	}
	if err := u.flush(ctx); err != nil {
		return err
	}
	return u.d.Flush(ctx)
}

// noDeviceCommit is the error of a stream that ended before its commit.
func noDeviceCommit(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.Invalid("commit", "", "the stream ended without a commit; what came before may have been written")
	}
	return err
}
