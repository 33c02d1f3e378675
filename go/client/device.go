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
)

var _ system.Devices = (*System)(nil)

// ListDevices lists the block devices and NVMe namespaces of the gateway's machine in the order of their URIs.
func (s *System) ListDevices(ctx context.Context) ([]system.DeviceInfo, error) {
	const op = "device list"
	if err := s.check(ctx, op); err != nil {
		return nil, err
	}
	var all []system.DeviceInfo
	for token := ""; ; {
		resp, err := s.devices.ListDevices(ctx, &apiv1.ListDevicesRequest{PageToken: token})
		if err != nil {
			return nil, fromStatus(ctx, op, s.ref, err)
		}
		for _, d := range resp.GetDevices() {
			all = append(all, deviceInfo(d))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// GetDevice describes a device of the gateway's machine. Errors: NONEXIST, INVAL, NO_PERM.
func (s *System) GetDevice(ctx context.Context, uri string) (system.DeviceInfo, error) {
	const op = "device query"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return system.DeviceInfo{}, err
	}
	resp, err := s.devices.GetDevice(ctx, &apiv1.GetDeviceRequest{Device: uri})
	if err != nil {
		return system.DeviceInfo{}, fromStatus(ctx, op, uri, err)
	}
	return deviceInfo(resp.GetDevice()), nil
}

// DeviceHealth is what an NVMe device of the gateway's machine reports of itself. Errors: NONEXIST, INVAL, NO_PERM, NOTSUPPORTED (it is no
// NVMe device), IO.
func (s *System) DeviceHealth(ctx context.Context, uri string) (system.NVMeHealth, error) {
	const op = "device health"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return system.NVMeHealth{}, err
	}
	resp, err := s.devices.GetDeviceHealth(ctx, &apiv1.GetDeviceHealthRequest{Device: uri})
	if err != nil {
		return system.NVMeHealth{}, fromStatus(ctx, op, uri, err)
	}
	return deviceHealth(resp.GetHealth()), nil
}

func deviceHealth(h *apiv1.DeviceHealth) system.NVMeHealth {
	return system.NVMeHealth{
		Warnings: append([]string{}, h.GetWarnings()...), Temperature: h.GetTemperature(), AvailableSpare: h.GetAvailableSpare(),
		SpareThreshold: h.GetSpareThreshold(), PercentageUsed: h.GetPercentageUsed(), Sensors: append([]uint32{}, h.GetSensors()...),
		DataUnitsRead: h.GetDataUnitsRead(), DataUnitsWritten: h.GetDataUnitsWritten(), ReadCommands: h.GetReadCommands(),
		WriteCommands: h.GetWriteCommands(), BusyMinutes: h.GetBusyMinutes(), PowerCycles: h.GetPowerCycles(), PowerOnHours: h.GetPowerOnHours(),
		UnsafeShutdowns: h.GetUnsafeShutdowns(), MediaErrors: h.GetMediaErrors(), ErrorLogEntries: h.GetErrorLogEntries(),
		WarningTemperatureMinutes: h.GetWarningTemperatureMinutes(), CriticalTemperatureMinutes: h.GetCriticalTemperatureMinutes(),
	}
}

// FlushDevice makes what was written before durable. Errors: NONEXIST, INVAL, NO_PERM, BUSY, IO.
func (s *System) FlushDevice(ctx context.Context, uri string) error {
	const op = "device flush"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return err
	}
	_, err := s.devices.FlushDevice(ctx, &apiv1.FlushDeviceRequest{Device: uri})
	return fromStatus(ctx, op, uri, err)
}

// DiscardDevice says that the bytes of a range are not needed any more. Errors: NONEXIST, INVAL, NO_PERM, BUSY, NOTSUPPORTED, IO.
func (s *System) DiscardDevice(ctx context.Context, uri string, offset, length uint64) error {
	const op = "device discard"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return err
	}
	_, err := s.devices.DiscardDevice(ctx, &apiv1.DiscardDeviceRequest{Device: uri, Offset: offset, Length: length})
	return fromStatus(ctx, op, uri, err)
}

// deviceReader reads one range. One goroutine at a time uses it.
type deviceReader struct {
	handle
	ctx    context.Context
	op     string
	cancel context.CancelFunc
	stream grpc.ServerStreamingClient[apiv1.ReadDeviceResponse]
	size   uint64
	sum    hash.Hash32
	rest   []byte // of the last message
	read   uint64
	err    error // of every further Read
}

// ReadDevice reads a range; length 0: up to the end. io.EOF comes when all of it is there, with the right checksum. One goroutine at a
// time uses the reader. Errors: NONEXIST, INVAL, NO_PERM, IO, CSUM.
func (s *System) ReadDevice(ctx context.Context, uri string, offset, length uint64) (io.ReadCloser, error) {
	const op = "device read"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return nil, err
	}
	r := &deviceReader{ctx: ctx, op: op, sum: crc32.New(castagnoli)}
	sctx, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	var first *apiv1.ReadDeviceResponse
	stream, err := s.devices.ReadDevice(sctx, &apiv1.ReadDeviceRequest{
		Device: uri, Offset: offset, Length: length, ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C,
	})
	if err == nil {
		first, err = stream.Recv()
	}
	if err != nil {
		cancel()
		return nil, fromRecv(ctx, op, uri, err)
	}
	r.stream, r.size = stream, first.GetHeader().GetSize()
	if err := r.init(&s.handle, "device reader", uri); err != nil {
		cancel()
		return nil, err
	}
	watch(r, &r.handle, cancel)
	return r, nil
}

// Close ends the stream.
func (r *deviceReader) Close() error {
	return r.close(r.op, func() error { r.cancel(); return nil })
}

func (r *deviceReader) Read(p []byte) (int, error) {
	defer runtime.KeepAlive(r) // or its cleanup ends the stream
	if err := r.check(r.ctx, r.op); err != nil {
		return 0, err
	}
	for len(r.rest) == 0 && r.err == nil && len(p) > 0 {
		r.err = r.next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// next receives a message: data, or the trailer, and then it is io.EOF.
func (r *deviceReader) next() error {
	msg, err := r.stream.Recv()
	if err != nil {
		return fromRecv(r.ctx, r.op, r.ref, err)
	}
	if trailer := msg.GetTrailer(); trailer != nil {
		return r.verify(trailer)
	}
	r.rest = msg.GetData()
	r.read += uint64(len(r.rest))
	r.sum.Write(r.rest)
	return nil
}

func (r *deviceReader) verify(trailer *apiv1.ReadDeviceTrailer) error {
	if sum := r.sum.Sum(nil); !bytes.Equal(sum, trailer.GetChecksum()) || r.read != r.size {
		return errno.New(r.op, r.ref, errno.Csum, fmt.Sprintf("%d bytes with checksum %x were sent and %d bytes with checksum %x came; "+
			"read the range again", r.size, trailer.GetChecksum(), r.read, sum))
	}
	return io.EOF
}

// WriteDevice writes what src has, durably when it returns without an error, and returns how much that was. It is not atomic: after an
// error a part may be written. Errors: NONEXIST, INVAL, NO_PERM, BUSY, EP_RO, IO, and those of src.
func (s *System) WriteDevice(ctx context.Context, uri string, offset uint64, src io.Reader) (uint64, error) {
	const op = "device write"
	if err := s.checkName(ctx, op, uri, uri); err != nil {
		return 0, err
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.devices.WriteDevice(wctx)
	if err != nil {
		return 0, fromStatus(ctx, op, uri, err)
	}
	header := &apiv1.WriteDeviceHeader{Device: uri, Offset: offset, ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}
	err = stream.Send(&apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Header{Header: header}})
	for sum := crc32.New(castagnoli); err == nil; {
		var last bool
		if last, err = sendNext(stream, src, sum); last {
			break
		}
	}
	var broken sourceError
	switch {
	case errors.As(err, &broken):
		return 0, broken.error
	case err != nil && !errors.Is(err, io.EOF): // EOF: the gateway has ended the stream, and its answer says why
		return 0, fromStatus(ctx, op, uri, err)
	}
	resp, err := stream.CloseAndRecv()
	return resp.GetSize(), fromStatus(ctx, op, uri, err)
}

// sourceError is the caller's own: of the reader that it gave.
type sourceError struct{ error }

// deviceChunk is how much goes in one message: with its header just below a tier of the pool.
const deviceChunk = 32<<10 - 64

// sendNext sends the next chunk of src; behind the last of them the commit.
func sendNext(stream grpc.ClientStreamingClient[apiv1.WriteDeviceRequest, apiv1.WriteDeviceResponse], src io.Reader, sum hash.Hash) (last bool, err error) {
	chunk := make([]byte, deviceChunk)
	n, err := io.ReadFull(src, chunk)
	last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !last {
		return true, sourceError{err}
	}
	sum.Write(chunk[:n])
	if n > 0 {
		err = stream.Send(&apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Data{Data: chunk[:n]}})
	} else {
		err = nil
	}
	if last && err == nil {
		commit := &apiv1.WriteDeviceCommit{Checksum: sum.Sum(nil)}
		err = stream.Send(&apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Commit{Commit: commit}})
	}
	return last, err
}

func deviceInfo(d *apiv1.Device) system.DeviceInfo {
	zones := d.GetZones()
	return system.DeviceInfo{
		URI: d.GetUri(), Kind: d.GetKind(), Driver: d.GetDriver(), Model: d.GetModel(), Serial: d.GetSerial(), Backend: d.GetBackend(),
		Note: d.GetNote(), Twin: d.GetTwin(), Size: d.GetSize(), LogicalBlock: d.GetLogicalBlock(), PhysicalBlock: d.GetPhysicalBlock(),
		MemoryAlignment: d.GetMemoryAlignment(), OffsetAlignment: d.GetOffsetAlignment(), MaxTransfer: d.GetMaxTransfer(),
		OptimalIO: d.GetOptimalIo(), AtomicWrite: d.GetAtomicWrite(), Direct: d.GetDirect(), VolatileCache: d.GetVolatileCache(),
		Rotational: d.GetRotational(), ReadOnly: d.GetReadOnly(), InUse: d.GetInUse(), NSID: d.GetNsid(), CSI: d.GetCsi(),
		Zoned: zones != nil, ZoneCount: zones.GetCount(), ZoneBytes: zones.GetBytes(), MaxOpenZones: zones.GetMaxOpen(),
		MaxActiveZones: zones.GetMaxActive(),
	}
}
