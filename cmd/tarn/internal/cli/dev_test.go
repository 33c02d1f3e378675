// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/devbench"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/fake"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// newSession is a machine with no pools, and with devices: one that is free, one that is mounted, a zoned one, and a file.
func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, sys: fake.New(), dev: fakedev.New()}
	s.dev.Add("block:/dev/nvme0n1", "block", "Fast 1", 1<<20).Info.Driver = "nvme"
	copy(s.dev.Disks["block:/dev/nvme0n1"].Data[0x438:], "\x53\xef")
	s.dev.Add("block:/dev/sda", "block", "Old 1", 1<<20).Holder = "a mount on /home"
	s.dev.Add("file:/data/disk", "file", "", 1<<20)
	copy(s.dev.Disks["file:/data/disk"].Data, "one two three\n")
	zoned := s.dev.Add("nvme:/dev/ng1n1", "nvme", "Zones 1", 4<<20)
	zoned.Info.Zoned, zoned.Info.ZoneCount, zoned.Info.ZoneBytes, zoned.Info.MaxOpenZones = true, 4, 1<<20, 2
	zoned.Info.NSID, zoned.Info.CSI = 1, 2
	for i := range uint64(4) {
		zoned.ZoneList = append(zoned.ZoneList, system.Zone{Offset: i << 20, Bytes: 1 << 20, Capacity: 768 << 10, WritePointer: i<<20 + i*4096,
			Type: "sequential", State: []string{"empty", "implicitly open", "closed", "full"}[i]})
	}
	return s
}

func fakeBench(_ context.Context, c devbench.Config) (devbench.Result, error) {
	if c.RW == "bad" {
		return devbench.Result{}, errno.New("device bench", c.Device, errno.Inval, "there is no such work")
	}
	return devbench.Result{Device: c.Device, Backend: "io_uring", Direct: true, RW: c.RW, BS: c.BS, Depth: c.Depth, Jobs: c.Jobs,
		Seconds: c.Runtime.Seconds(), IOs: 300000, IOPS: 100000, Bandwidth: 100000 * float64(c.BS),
		Latency: devbench.Latency{P50: 300000, P90: 400000, P99: 500000, P999: 1000000, Max: 2000000}, CPUNsPerIO: 4500}, nil
}

// fakeNVMe is a controller with two namespaces.
type fakeNVMe struct {
	nsid  uint32
	write bool
	set   map[uint8]uint32
}

func openFakeNVMe(path string, write bool) (system.NVMe, error) {
	ids := map[string]uint32{"/dev/nvme0": 0, "/dev/nvme0n1": 1}
	nsid, ok := ids[path]
	if !ok {
		return nil, errno.New("nvme open", path, errno.NoPerm, "the controller cannot be asked")
	}
	return &fakeNVMe{nsid: nsid, write: write, set: map[uint8]uint32{}}, nil
}

func (n *fakeNVMe) NSID() uint32 { return n.nsid }
func (n *fakeNVMe) Close() error { return nil }

func (n *fakeNVMe) Controller(context.Context) (system.NVMeController, []byte, error) {
	return system.NVMeController{Serial: "S1", Model: "Fast 1", Firmware: "1.0", SubNQN: "nqn.2026-11.test:1", Version: "1.4.0", Namespaces: 256,
		MaxTransfer: 524288, OptionalIO: []string{"discard", "write-zeroes"}, OptionalAdmin: []string{"format"}, WarningTemperature: 343,
		CriticalTemperature: 373, Vendor: 0x1b36, FirmwareSlots: 1, VolatileCache: true, Capacity: 1 << 30}, make([]byte, 16), nil
}

func (n *fakeNVMe) Namespace(_ context.Context, nsid uint32) (system.NVMeNamespace, []byte, error) {
	if nsid > 2 {
		return system.NVMeNamespace{}, nil, errno.New("nvme identify", "/dev/nvme0", errno.NonExist, "there is no such namespace")
	}
	return system.NVMeNamespace{NSID: nsid, Size: 1 << 20, Capacity: 1 << 20, Used: 4096, Block: 512, EUI64: "0011223344556677",
		Formats: []system.NVMeFormat{{Block: 512}, {Block: 4096, Metadata: 8}}}, []byte("page"), nil
}

func (n *fakeNVMe) Namespaces(context.Context) ([]uint32, error)  { return []uint32{1, 2}, nil }
func (n *fakeNVMe) CommandSets(context.Context) ([]uint32, error) { return []uint32{0, 2}, nil }

func (n *fakeNVMe) Health(context.Context) (system.NVMeHealth, []byte, error) {
	return system.NVMeHealth{Warnings: []string{"spare"}, Temperature: 313, AvailableSpare: 5, SpareThreshold: 10, PercentageUsed: 101,
		Sensors: []uint32{313}, DataUnitsRead: 2000, DataUnitsWritten: 1<<64 - 1, PowerCycles: 3, UnsafeShutdowns: 1}, make([]byte, 8), nil
}

func (n *fakeNVMe) Firmware(context.Context) (system.NVMeFirmware, []byte, error) {
	return system.NVMeFirmware{Active: 1, Next: 2, Revisions: []string{"1.0", "1.1", "", "", "", "", ""}}, make([]byte, 8), nil
}

func (n *fakeNVMe) Errors(context.Context, int) ([]system.NVMeError, error) {
	return []system.NVMeError{{Number: 7, LBA: 8, NSID: 1, Queue: 2, Command: 3, Status: 2, Name: "Invalid Field in Command"}}, nil
}

func (n *fakeNVMe) LogPage(_ context.Context, lid uint8, nsid uint32, offset uint64, length int) ([]byte, error) {
	return bytes.Repeat([]byte{'A' + lid}, length), nil
}

func (n *fakeNVMe) Feature(_ context.Context, fid uint8, from system.NVMeSelect, _ uint32, data []byte) (uint32, error) {
	for i := range data {
		data[i] = fid
	}
	return uint32(fid) + uint32(from), nil
}

func (n *fakeNVMe) SetFeature(_ context.Context, fid uint8, _ uint32, value uint32, _ bool, _ []byte) error {
	if !n.write {
		return errno.New("nvme set feature", "/dev/nvme0", errno.EPRO, "it was not opened for writing")
	}
	n.set[fid] = value
	return nil
}

// answer runs one command line and returns what it answers.
func (s *session) answer(stdin string, tty bool, args ...string) (stdout, stderr string, exit int) {
	var o, e bytes.Buffer
	exit = Run(context.Background(), args, s.env(stdin, &o, &e, tty))
	if s.dev.Opens != 0 {
		s.t.Errorf("%q leaves %d devices or buffers open", args, s.dev.Opens)
	}
	return o.String(), e.String(), exit
}

// TestRawWriteAsks: nothing on a raw device is lost without a yes.
func TestRawWriteAsks(t *testing.T) {
	for _, c := range []struct {
		args  string
		lost  bool // when the answer is yes
		stdin string
	}{
		{"write block:/dev/nvme0n1 FILE", true, ""},
		{"write block:/dev/nvme0n1", true, "data"},
		{"copy FILE block:/dev/nvme0n1", true, ""},
		{"discard block:/dev/nvme0n1 --all", true, ""},
		{"zones reset nvme:/dev/ng1n1 --all", false, ""},
		{"bench block:/dev/nvme0n1 --rw randwrite", false, ""},
	} {
		for _, how := range []struct {
			answer string
			yes    bool
			tty    bool
			exit   int
		}{{"", false, false, 2}, {"n\n", false, true, 1}, {"", false, true, 1}, {"y\n", false, true, 0}, {"", true, false, 0}} {
			s := newSession(t)
			s.dir = t.TempDir()
			file := filepath.Join(s.dir, "file")
			if err := os.WriteFile(file, bytes.Repeat([]byte{1}, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
			s.dev.Add("file:"+file, "file", "", 4096)
			args := append([]string{"dev"}, strings.Fields(strings.ReplaceAll(c.args, "FILE", file))...)
			if how.yes {
				args = append(args, "--yes")
			}
			before := bytes.Clone(s.dev.Disks["block:/dev/nvme0n1"].Data)
			zone := s.dev.Disks["nvme:/dev/ng1n1"].ZoneList[3].State
			_, stderr, exit := s.answer(how.answer+c.stdin, how.tty, args...)
			if exit != how.exit {
				t.Errorf("%q answered %q: exit %d, want %d: %s", args, how.answer, exit, how.exit, stderr)
			}
			changed := !bytes.Equal(before, s.dev.Disks["block:/dev/nvme0n1"].Data) || zone != s.dev.Disks["nvme:/dev/ng1n1"].ZoneList[3].State
			if how.exit != 0 && changed {
				t.Errorf("%q answered %q: the device was changed", args, how.answer)
			}
			if how.exit == 0 && c.lost && !changed {
				t.Errorf("%q answered %q: nothing was done", args, how.answer)
			}
			if !how.yes && !strings.Contains(stderr, "holds ") {
				t.Errorf("%q does not say what is on the device: %q", args, stderr)
			}
		}
	}
}

// TestHeldIsRefused: --yes is no leave to write what is in use, and a file that holds a pool is asked about as a raw device is.
func TestHeldIsRefused(t *testing.T) {
	s := newSession(t)
	copy(s.dev.Disks["file:/data/disk"].Data, "TARNPOOL")
	for args, want := range map[string]int{
		"write block:/dev/sda --yes":               6,
		"discard block:/dev/sda --all --yes":       6,
		"copy file:/data/disk block:/dev/sda -y":   6,
		"bench block:/dev/sda --rw write --yes":    6,
		"write file:/data/disk":                    2,
		"write file:/data/disk --yes --offset 10M": 2,
	} {
		if _, stderr, exit := s.answer("data", false, append([]string{"dev"}, strings.Fields(args)...)...); exit != want {
			t.Errorf("%s: exit %d, want %d: %s", args, exit, want, stderr)
		}
	}
	if len(bytes.Trim(s.dev.Disks["block:/dev/sda"].Data, "\x00")) != 0 {
		t.Error("the device that is mounted was written")
	}
}

// TestCopyMakesAFile: a target that is not there becomes a file, and none is left when the copy fails.
func TestCopyMakesAFile(t *testing.T) {
	s := newSession(t)
	target := filepath.Join(t.TempDir(), "image")
	if _, stderr, exit := s.answer("", false, "dev", "copy", "block:/dev/nvme0n1", target, "--offset", "4k", "--verify"); exit != 0 {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	made := s.dev.Disks["file:"+target]
	if made == nil || !bytes.Equal(made.Data, s.dev.Disks["block:/dev/nvme0n1"].Data[4096:]) || made.Flushes == 0 {
		t.Errorf("the file is %v", made)
	}
	if err := os.WriteFile(target, nil, 0o600); err != nil { // as the real Open would have made it
		t.Fatal(err)
	}
	delete(s.dev.Disks, "file:"+target)
	if _, stderr, exit := s.answer("", false, "dev", "copy", target, "file:"+target); exit != 3 && exit != 2 {
		t.Errorf("onto itself: exit %d: %s", exit, stderr)
	}
}

// remoteDevices are devices as a gateway offers them.
type remoteDevices struct {
	*fake.System
	dev *fakedev.Devices
}

var _ system.Devices = remoteDevices{}

func (r remoteDevices) ListDevices(ctx context.Context) ([]system.DeviceInfo, error) {
	return r.dev.List(ctx)
}

func (r remoteDevices) DeviceHealth(ctx context.Context, uri string) (system.NVMeHealth, error) {
	n, err := openFakeNVMe(uri, false)
	if err != nil {
		return system.NVMeHealth{}, err
	}
	h, _, err := n.Health(ctx)
	return h, err
}

func (r remoteDevices) GetDevice(ctx context.Context, uri string) (system.DeviceInfo, error) {
	return r.dev.Query(ctx, uri)
}

func (r remoteDevices) with(uri string, o system.OpenDevice, f func(system.Device) error) error {
	if o.Write && r.Fail["allow-raw"] != nil {
		return errno.New("", uri, errno.NoPerm, "this gateway does not write to devices; to let it, start it with --allow-raw")
	}
	d, err := r.dev.Open(uri, o)
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.Close())
}

func (r remoteDevices) ReadDevice(_ context.Context, uri string, offset, length uint64) (rc io.ReadCloser, err error) {
	err = r.with(uri, system.OpenDevice{}, func(d system.Device) error {
		if length == 0 {
			length = d.Info().Size - offset
		}
		data := make([]byte, length)
		_, err := d.ReadAt(data, int64(offset))
		rc = io.NopCloser(bytes.NewReader(data))
		return err
	})
	return rc, err
}

func (r remoteDevices) WriteDevice(_ context.Context, uri string, offset uint64, src io.Reader) (n uint64, err error) {
	err = r.with(uri, forWriting, func(d system.Device) error {
		data, err := io.ReadAll(src)
		if err != nil {
			return err
		}
		_, err = d.WriteAt(data, int64(offset))
		n = uint64(len(data))
		return err
	})
	return n, err
}

func (r remoteDevices) FlushDevice(ctx context.Context, uri string) error {
	return r.with(uri, forWriting, func(d system.Device) error { return d.Flush(ctx) })
}

func (r remoteDevices) DiscardDevice(ctx context.Context, uri string, offset, length uint64) error {
	return r.with(uri, forWriting, func(d system.Device) error { return d.Discard(ctx, int64(offset), int64(length)) })
}
