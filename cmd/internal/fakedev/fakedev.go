// SPDX-License-Identifier: Apache-2.0

// Package fakedev has devices in memory, for tests of what stands above devices: real ones cannot be had where tests run. It refuses
// what package device refuses, with the same codes.
package fakedev

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Devices are devices by their URIs. Its fields are set before it is used.
type Devices struct {
	Disks map[string]*Disk
	Fail  map[string]error // of calls, by name: "list", "open", "read", "write", "flush", "discard", "zones"

	mu    sync.Mutex
	Opens int // handles that are open, and buffers that are lent
}

// Disk is one device.
type Disk struct {
	Info      system.DeviceInfo
	Data      []byte
	Holder    string // who has it mounted; "": nobody
	NoDiscard bool
	ZoneList  []system.Zone
	Flushes   int
}

// New returns devices without any.
func New() *Devices { return &Devices{Disks: map[string]*Disk{}, Fail: map[string]error{}} }

// Add adds a device, with blocks of 512 bytes.
func (d *Devices) Add(uri, kind, model string, size int) *Disk {
	disk := &Disk{Data: make([]byte, size), Info: system.DeviceInfo{URI: uri, Kind: kind, Model: model, Size: uint64(size), LogicalBlock: 512,
		PhysicalBlock: 4096, MemoryAlignment: 4, OffsetAlignment: 512, MaxTransfer: 131072, Direct: true, VolatileCache: true,
		Backend: "io_uring"}}
	d.Disks[uri] = disk
	return disk
}

var _ system.LocalDevices = (*Devices)(nil)

// List implements system.LocalDevices.
func (d *Devices) List(context.Context) (infos []system.DeviceInfo, err error) {
	for _, uri := range slices.Sorted(maps.Keys(d.Disks)) {
		if disk := d.Disks[uri]; disk.Info.Kind != "file" {
			infos = append(infos, disk.info())
		}
	}
	return infos, d.Fail["list"]
}

func (k *Disk) info() system.DeviceInfo {
	info := k.Info
	info.InUse = info.InUse || k.Holder != ""
	return info
}

// Query implements system.LocalDevices.
func (d *Devices) Query(_ context.Context, uri string) (system.DeviceInfo, error) {
	disk, err := d.find("device query", uri)
	if err != nil {
		return system.DeviceInfo{}, err
	}
	return disk.info(), nil
}

func (d *Devices) find(op, uri string) (*Disk, error) {
	for _, name := range []string{uri, "block:" + uri, "file:" + uri} {
		if disk, ok := d.Disks[name]; ok {
			return disk, nil
		}
	}
	return nil, errno.New(op, uri, errno.NonExist, "there is no such device")
}

// Open implements system.LocalDevices.
func (d *Devices) Open(uri string, o system.OpenDevice) (system.Device, error) {
	const op = "device open"
	if err := d.Fail["open"]; err != nil {
		return nil, err
	}
	disk, err := d.find(op, uri)
	switch {
	case o.CreateBytes > 0 && err == nil:
		return nil, errno.New(op, uri, errno.Exist, "there is a file of that name")
	case o.CreateBytes > 0:
		disk = d.Add(uri, "file", "", int(o.CreateBytes))
	case err != nil:
		return nil, err
	case o.Exclusive && disk.Holder != "":
		return nil, errno.New(op, uri, errno.Busy, "it is held by "+disk.Holder)
	}
	d.count(1)
	return &handle{d: d, Disk: disk, write: o.Write}, nil
}

func (d *Devices) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Opens += n
}

// InUse is Opens, while calls may run.
func (d *Devices) InUse() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Opens
}

// Buffer implements system.LocalDevices. The memory is aligned to 512 bytes.
func (d *Devices) Buffer(n int) ([]byte, func(), error) {
	mem := make([]byte, n+512)
	at := 0
	for uintptr(unsafe.Pointer(&mem[at]))%512 != 0 {
		at++
	}
	d.count(1)
	return mem[at : at+n : at+n], func() { d.count(-1) }, nil
}

type handle struct {
	*Disk
	d     *Devices
	write bool
}

func (h *handle) Close() error {
	h.d.count(-1)
	return nil
}

func (h *handle) Info() system.DeviceInfo {
	info := h.info()
	info.ReadOnly = info.ReadOnly || !h.write
	return info
}

// check is the beginning of every call: "read", "write" and so on.
func (h *handle) check(op string, offset, length uint64) error {
	size := uint64(len(h.Data))
	switch err := h.d.Fail[op]; {
	case err != nil:
		return err
	case op != "read" && op != "zones" && !h.write:
		return errno.New("device "+op, h.Disk.Info.URI, errno.EPRO, "it is open for reading only")
	case offset > size || length > size-offset:
		return errno.New("device "+op, h.Disk.Info.URI, errno.Inval,
			fmt.Sprintf("bytes %d to %d of a device of %d bytes", offset, offset+length, size))
	}
	return nil
}

func (h *handle) ReadAt(p []byte, offset int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.check("read", 0, 0); err != nil {
		return 0, err
	}
	n := copy(p, h.Data[min(uint64(offset), uint64(len(h.Data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) ReadAtContext(ctx context.Context, p []byte, offset int64) (int, error) {
	if ctx.Err() != nil {
		return 0, errno.FromContext("device read", h.Disk.Info.URI, ctx)
	}
	return h.ReadAt(p, offset)
}

func (h *handle) WriteAtContext(ctx context.Context, p []byte, offset int64) (int, error) {
	if ctx.Err() != nil {
		return 0, errno.FromContext("device write", h.Disk.Info.URI, ctx)
	}
	return h.WriteAt(p, offset)
}

func (h *handle) WriteAt(p []byte, offset int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.check("write", uint64(offset), uint64(len(p))); err != nil {
		return 0, err
	}
	return copy(h.Data[offset:], p), nil
}

func (h *handle) Flush(context.Context) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	h.Flushes++
	return h.check("flush", 0, 0)
}

func (h *handle) Discard(ctx context.Context, offset, length int64) error {
	if h.NoDiscard {
		return errno.New("device discard", h.Disk.Info.URI, errno.NotSupported, "the device has no discard")
	}
	return h.zero("discard", uint64(offset), uint64(length))
}

func (h *handle) WriteZeroes(ctx context.Context, offset, length int64) error {
	return h.zero("write zeroes", uint64(offset), uint64(length))
}

func (h *handle) zero(op string, offset, length uint64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.check(op, offset, length); err != nil {
		return err
	}
	if offset%512 != 0 || length%512 != 0 || length == 0 {
		return errno.New("device "+op, h.Disk.Info.URI, errno.Inval,
			fmt.Sprintf("offset %d and length %d must be multiples of 512, and not 0 bytes", offset, length))
	}
	clear(h.Data[offset : offset+length])
	return nil
}

func (h *handle) Zones(_ context.Context, offset, length uint64) (zones []system.Zone, err error) {
	if h.ZoneList == nil {
		return nil, errno.New("device zones", h.Disk.Info.URI, errno.NotSupported, "the device is not zoned")
	}
	for _, z := range h.ZoneList {
		if z.Offset >= offset && z.Offset-offset < length {
			zones = append(zones, z)
		}
	}
	return zones, h.check("zones", offset, length)
}

var zoneStates = map[system.ZoneVerb]string{system.ZoneOpen: "explicitly open", system.ZoneClose: "closed", system.ZoneFinish: "full",
	system.ZoneReset: "empty"}

func (h *handle) ManageZones(_ context.Context, verb system.ZoneVerb, offset, length uint64) error {
	if h.ZoneList == nil {
		return errno.New("device zones", h.Disk.Info.URI, errno.NotSupported, "the device is not zoned")
	}
	for i := range h.ZoneList {
		if z := &h.ZoneList[i]; z.Offset >= offset && z.Offset-offset < length {
			z.State = zoneStates[verb]
		}
	}
	return h.check("manage zones", offset, length)
}
