// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	"github.com/tarn-storage/tarn/cmd/internal/localdev"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

const disk = "block:/dev/fake0n1"

// machine is a gateway on a machine with devices in memory: the disk, one that is mounted, and a file.
type machine struct {
	*Server
	dev    *fakedev.Devices
	socket string
	root   string
}

func newMachine(t *testing.T, raw bool) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{dev: fakedev.New(), socket: "unix:" + filepath.Join(dir, "sock"), root: filepath.Join(dir, "root")}
	m.dev.Add(disk, "block", "Fast 1", 3<<20+1536)
	m.dev.Add("block:/dev/fake1", "block", "Old 1", 1<<20).Holder = "a mount on /home"
	m.dev.Add("file:/data/image", "file", "", 1<<20)
	t.Cleanup(func() { // when the server has stopped
		if m.dev.Opens != 0 {
			t.Errorf("%d devices or buffers are still open", m.dev.Opens)
		}
	})
	m.Server = start(t, Config{System: engine(t, m.root), Listen: "127.0.0.1:0", Socket: filepath.Join(dir, "sock"), Devices: m.dev, AllowRaw: raw})
	return m
}

func wantCode(t *testing.T, what string, err error, code errno.Code) {
	t.Helper()
	if got := errno.CodeOf(err); got != code {
		t.Errorf("%s: %v (%v), want %v", what, err, got.Name(), code.Name())
	}
}

func readAll(t *testing.T, c *client.System, uri string, offset, length uint64) ([]byte, error) {
	t.Helper()
	r, err := c.ReadDevice(t.Context(), uri, offset, length)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if cerr := r.Close(); cerr != nil {
		t.Error(cerr)
	}
	return data, err
}

// TestDevicePermissions: who may do what, over which way in.
func TestDevicePermissions(t *testing.T) {
	const tcp, unix = false, true
	for _, c := range []struct {
		raw, way    bool
		file        errno.Code // GetDevice of what is not listed
		read, write errno.Code
	}{
		{false, tcp, errno.NoPerm, errno.NoPerm, errno.NoPerm},
		{false, unix, 0, 0, errno.NoPerm},
		{true, tcp, 0, 0, 0},
		{true, unix, 0, 0, 0},
	} {
		t.Run(fmt.Sprintf("raw %v unix %v", c.raw, c.way), func(t *testing.T) {
			m := newMachine(t, c.raw)
			cl := dial(t, map[bool]string{tcp: m.Addr(), unix: m.socket}[c.way])
			ctx := t.Context()
			all, err := cl.ListDevices(ctx)
			if err != nil || len(all) != 2 || all[0].URI != disk || all[0].Model != "Fast 1" || !all[1].InUse {
				t.Errorf("ListDevices: %v, %v", all, err)
			}
			info, err := cl.GetDevice(ctx, disk)
			if err != nil || info.Size != 3<<20+1536 || info.LogicalBlock != 512 || !info.Direct {
				t.Errorf("GetDevice: %+v, %v", info, err)
			}
			_, err = cl.GetDevice(ctx, "file:/data/image")
			wantCode(t, "GetDevice of a file", err, c.file)
			_, err = readAll(t, cl, disk, 0, 512)
			wantCode(t, "ReadDevice", err, c.read)
			_, err = cl.WriteDevice(ctx, disk, 0, bytes.NewReader(make([]byte, 512)))
			wantCode(t, "WriteDevice", err, c.write)
			wantCode(t, "FlushDevice", cl.FlushDevice(ctx, disk), c.write)
			wantCode(t, "DiscardDevice", cl.DiscardDevice(ctx, disk, 0, 512), c.write)
		})
	}
}

// TestDeviceRanges: whatever range is written is read back, whole and alone: on a fake device, and on a real file.
func TestDeviceRanges(t *testing.T) {
	m := newMachine(t, true)
	t.Run("fake", func(t *testing.T) {
		checkRanges(t, dial(t, m.socket), disk, bytes.Clone(m.dev.Disks[disk].Data))
		if m.dev.Disks[disk].Flushes < 30 {
			t.Errorf("30 writes made %d flushes", m.dev.Disks[disk].Flushes)
		}
	})
	t.Run("real", func(t *testing.T) {
		dir := t.TempDir()
		s := start(t, Config{System: engine(t, filepath.Join(dir, "root")), Devices: localdev.Devices{}, AllowRaw: true})
		data := make([]byte, 1<<20+1000)
		if err := os.WriteFile(filepath.Join(dir, "disk"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		checkRanges(t, dial(t, s.Addr()), "file:"+filepath.Join(dir, "disk"), data)
	})
}

// checkRanges writes and reads random ranges of a device that has the bytes want.
func checkRanges(t *testing.T, cl *client.System, uri string, want []byte) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(systemtest.Seed(t), 1))
	for range 30 {
		offset := rnd.IntN(len(want))
		length := min(rnd.IntN(1<<rnd.IntN(22)+1), len(want)-offset)
		data := make([]byte, length)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		copy(want[offset:], data)
		n, err := cl.WriteDevice(t.Context(), uri, uint64(offset), bytes.NewReader(data))
		if err != nil || n != uint64(length) {
			t.Fatalf("writing %d bytes at %d: %d, %v", length, offset, n, err)
		}
		if offset = rnd.IntN(len(want)); offset+length > len(want) || length == 0 {
			length = len(want) - offset
		}
		got, err := readAll(t, cl, uri, uint64(offset), uint64(length))
		if err != nil || !bytes.Equal(got, want[offset:offset+length]) {
			t.Fatalf("reading %d bytes at %d: %d bytes, %v", length, offset, len(got), err)
		}
	}
	if got, err := readAll(t, cl, uri, 0, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the device has other bytes than were written, %v", err)
	}
}

// TestDeviceRefusals: what is not there, not a range, in use, or a pool's.
func TestDeviceRefusals(t *testing.T) {
	m := newMachine(t, true)
	cl := dial(t, m.socket)
	ctx := t.Context()
	size := uint64(len(m.dev.Disks[disk].Data))
	for uri, code := range map[string]errno.Code{"": errno.Inval, "mem:1G": errno.Inval, "sim:1G": errno.Inval, "file:image": errno.Inval,
		"image": errno.Inval, "block:/dev/none": errno.NonExist, "/dev/none": errno.NonExist} {
		_, err := cl.GetDevice(ctx, uri)
		wantCode(t, "GetDevice "+uri, err, code)
		_, err = readAll(t, cl, uri, 0, 1)
		wantCode(t, "ReadDevice "+uri, err, code)
		_, err = cl.WriteDevice(ctx, uri, 0, bytes.NewReader([]byte{1}))
		wantCode(t, "WriteDevice "+uri, err, code)
		wantCode(t, "FlushDevice "+uri, cl.FlushDevice(ctx, uri), code)
		wantCode(t, "DiscardDevice "+uri, cl.DiscardDevice(ctx, uri, 0, 512), code)
	}
	for _, r := range [][2]uint64{{size + 1, 0}, {size, 1}, {0, size + 1}, {1 << 63, 1 << 63}, {1, 1<<64 - 1}} {
		_, err := readAll(t, cl, disk, r[0], r[1])
		wantCode(t, fmt.Sprintf("ReadDevice %v", r), err, errno.Inval)
		wantCode(t, fmt.Sprintf("DiscardDevice %v", r), cl.DiscardDevice(ctx, disk, r[0], r[1]), errno.Inval)
	}
	if got, err := readAll(t, cl, disk, size, 0); err != nil || len(got) != 0 {
		t.Errorf("reading the end: %d bytes, %v", len(got), err)
	}
	_, err := cl.WriteDevice(ctx, disk, size-1, bytes.NewReader([]byte{1, 2}))
	wantCode(t, "WriteDevice over the end", err, errno.Inval)
	_, err = cl.WriteDevice(ctx, "block:/dev/fake1", 0, bytes.NewReader([]byte{1}))
	wantCode(t, "WriteDevice of what is mounted", err, errno.Busy)
	copy(m.dev.Disks["file:/data/image"].Data, "TARNPOOL")
	_, err = cl.WriteDevice(ctx, "file:/data/image", 4096, bytes.NewReader([]byte{1}))
	wantCode(t, "WriteDevice of a pool's file", err, errno.Busy)
	m.dev.Disks[disk].NoDiscard = true
	wantCode(t, "DiscardDevice where there is none", cl.DiscardDevice(ctx, disk, 0, 512), errno.NotSupported)
	m.dev.Fail["read"] = errno.New("device read", disk, errno.IO, "the device failed")
	_, err = readAll(t, cl, disk, 0, 0)
	wantCode(t, "ReadDevice of what fails", err, errno.IO)
}

// TestDeviceOfPool: what a pool of the gateway stands on is refused, also when the pool is not open.
func TestDeviceOfPool(t *testing.T) {
	m := newMachine(t, true)
	cl := dial(t, m.socket)
	pool, err := cl.CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	path := "file:" + filepath.Join(m.root, filepath.Base(pool.Path))
	m.dev.Add(path, "file", "", 1<<20)
	_, err = cl.WriteDevice(t.Context(), path, 0, bytes.NewReader([]byte{1}))
	wantCode(t, "WriteDevice "+path, err, errno.Busy)
	wantCode(t, "DiscardDevice "+path, cl.DiscardDevice(t.Context(), path, 0, 512), errno.Busy)
}

func deviceHead(size *uint64, kind apiv1.ChecksumType) *apiv1.WriteDeviceRequest {
	return &apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Header{Header: &apiv1.WriteDeviceHeader{
		Device: disk, Offset: 4096, Size: size, ChecksumType: kind}}}
}

func deviceData(b []byte) *apiv1.WriteDeviceRequest {
	return &apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Data{Data: b}}
}

func deviceCommit(sum []byte) *apiv1.WriteDeviceRequest {
	return &apiv1.WriteDeviceRequest{Part: &apiv1.WriteDeviceRequest_Commit{Commit: &apiv1.WriteDeviceCommit{Checksum: sum}}}
}

// TestWriteDeviceProtocol: a stream that is not header, data, commit is refused.
func TestWriteDeviceProtocol(t *testing.T) {
	m := newMachine(t, true)
	stub := apiv1.NewDeviceServiceClient(connect(t, m.Addr()))
	val := bytes.Repeat([]byte("stadium "), 1<<16)
	size := proto.Uint64(uint64(len(val)))
	for what, c := range map[string]struct {
		msgs   []*apiv1.WriteDeviceRequest
		code   codes.Code
		reason string
	}{
		"no message":        {nil, codes.InvalidArgument, "DER_INVAL"},
		"no header":         {[]*apiv1.WriteDeviceRequest{deviceData(val)}, codes.InvalidArgument, "DER_INVAL"},
		"no commit":         {[]*apiv1.WriteDeviceRequest{deviceHead(size, crc32c), deviceData(val)}, codes.InvalidArgument, "DER_INVAL"},
		"two headers":       {[]*apiv1.WriteDeviceRequest{deviceHead(nil, crc32c), deviceHead(nil, crc32c)}, codes.InvalidArgument, "DER_INVAL"},
		"an empty part":     {[]*apiv1.WriteDeviceRequest{deviceHead(nil, crc32c), {}}, codes.InvalidArgument, "DER_INVAL"},
		"no checksum type":  {[]*apiv1.WriteDeviceRequest{deviceHead(nil, unknown)}, codes.InvalidArgument, "DER_INVAL"},
		"a wrong checksum":  {[]*apiv1.WriteDeviceRequest{deviceHead(nil, crc32c), deviceData(val), deviceCommit(nil)}, codes.DataLoss, "DER_CSUM"},
		"too few bytes":     {[]*apiv1.WriteDeviceRequest{deviceHead(size, crc32c), deviceCommit(crc(nil))}, codes.InvalidArgument, "DER_INVAL"},
		"too many bytes":    {[]*apiv1.WriteDeviceRequest{deviceHead(size, crc32c), deviceData(val), deviceData(val[:1])}, codes.InvalidArgument, "DER_INVAL"},
		"a chunk too large": {[]*apiv1.WriteDeviceRequest{deviceHead(nil, crc32c), deviceData(make([]byte, service.ChunkMax+1))}, codes.InvalidArgument, "DER_INVAL"},
		"a size too large":  {[]*apiv1.WriteDeviceRequest{deviceHead(proto.Uint64(1<<64-1), crc32c)}, codes.InvalidArgument, "DER_INVAL"},
		"right":             {[]*apiv1.WriteDeviceRequest{deviceHead(size, crc32c), deviceData(val), deviceData(nil), deviceCommit(crc(val))}, codes.OK, ""},
		"right, of nothing": {[]*apiv1.WriteDeviceRequest{deviceHead(nil, crc32c), deviceCommit(crc(nil))}, codes.OK, ""},
	} {
		stream, err := stub.WriteDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range c.msgs {
			if stream.Send(msg) != nil {
				break // the answer says why
			}
		}
		_, err = stream.CloseAndRecv()
		want(t, what, err, c.code, c.reason)
	}
}

// TestReadDeviceMessages: chunks stay below 32 KiB, and the checksum is the one asked for.
func TestReadDeviceMessages(t *testing.T) {
	m := newMachine(t, true)
	stub := apiv1.NewDeviceServiceClient(connect(t, m.Addr()))
	stream, err := stub.ReadDevice(t.Context(), &apiv1.ReadDeviceRequest{Device: disk, Offset: 1, ChecksumType: sha})
	if err != nil {
		t.Fatal(err)
	}
	for messages := 0; ; messages++ {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d messages: %v", messages, err)
		}
		if proto.Size(msg) > 32<<10 || messages == 0 && msg.GetHeader().GetSize() != 3<<20+1535 {
			t.Errorf("message %d has %d bytes, header %v", messages, proto.Size(msg), msg.GetHeader())
		}
		if sum := msg.GetTrailer(); sum != nil {
			if len(sum.GetChecksum()) != 32 {
				t.Errorf("the checksum is %x", sum.GetChecksum())
			}
			return
		}
	}
}

// TestReadDeviceGone: a client that goes away ends the reading, and nothing stays open (newMachine looks).
func TestReadDeviceGone(t *testing.T) {
	m := newMachine(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := dial(t, m.socket).ReadDevice(ctx, disk, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); m.gate.Free() != m.cfg.InFlight; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the call still runs")
		}
	}
}

// brokenSource fails after some bytes.
type brokenSource struct{ left int }

func (b *brokenSource) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrNoProgress
	}
	n := min(b.left, len(p))
	b.left -= n
	return n, nil
}

// TestWriteDeviceSource: what fails is the caller's own reader, and its error comes back.
func TestWriteDeviceSource(t *testing.T) {
	m := newMachine(t, true)
	if _, err := dial(t, m.socket).WriteDevice(t.Context(), disk, 0, &brokenSource{100000}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
}

// TestDeviceInfoOnWire: every field of a description arrives.
func TestDeviceInfoOnWire(t *testing.T) {
	m := newMachine(t, true)
	want := system.DeviceInfo{URI: "nvme:/dev/ng0n1", Kind: "nvme", Driver: "nvme", Model: "M", Serial: "S", Backend: "ioctl", Note: "N",
		Twin: "block:/dev/nvme0n1", Size: 1, LogicalBlock: 2, PhysicalBlock: 3, MemoryAlignment: 4, OffsetAlignment: 5, MaxTransfer: 6,
		OptimalIO: 7, AtomicWrite: 8, Direct: true, VolatileCache: true, Rotational: true, ReadOnly: true, InUse: true, NSID: 9, CSI: 2,
		Zoned: true, ZoneCount: 10, ZoneBytes: 11, MaxOpenZones: 12, MaxActiveZones: 13}
	m.dev.Disks[want.URI] = &fakedev.Disk{Info: want}
	if got, err := dial(t, m.socket).GetDevice(t.Context(), want.URI); got != want || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// TestNoDevices: a server that has none says so.
func TestNoDevices(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil }), AllowRaw: true})
	cl := dial(t, s.Addr())
	_, err := cl.ListDevices(t.Context())
	wantCode(t, "ListDevices", err, errno.NotSupported)
	_, err = cl.WriteDevice(t.Context(), disk, 0, bytes.NewReader(nil))
	wantCode(t, "WriteDevice", err, errno.NotSupported)
}
