// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"io"
	"iter"
)

// DeviceInfo describes a device: tarn_dev_info of tarn/dev.h. Sizes are in bytes. Of a listing, what only an open can tell is empty.
type DeviceInfo struct {
	URI             string `json:"uri"`
	Kind            string `json:"kind"`              // "file", "block", "nvme" (a namespace), "nvme-ctrl", "mem", "sim"
	Driver          string `json:"driver"`            // the kernel's
	Model           string `json:"model"`             // when the kernel tells
	Serial          string `json:"serial"`            // the same
	Backend         string `json:"backend"`           // what does the I/O: "io_uring", "threads", "io_uring_cmd", "ioctl", "mem", "sim"
	Note            string `json:"note"`              // what was not to be had, and why
	Twin            string `json:"twin"`              // the same namespace as the other kind of node
	Size            uint64 `json:"size"`              //
	LogicalBlock    uint32 `json:"logical_block"`     //
	PhysicalBlock   uint32 `json:"physical_block"`    //
	MemoryAlignment uint32 `json:"memory_alignment"`  // of buffers
	OffsetAlignment uint32 `json:"offset_alignment"`  // of offsets and lengths
	MaxTransfer     uint32 `json:"max_transfer"`      // in one command
	OptimalIO       uint32 `json:"optimal_io"`        // 0: not known
	AtomicWrite     uint32 `json:"atomic_write"`      // what a power cut cannot tear; 0: not known
	Direct          bool   `json:"direct"`            // past the page cache
	VolatileCache   bool   `json:"volatile_cache"`    // durability needs a flush
	Rotational      bool   `json:"rotational"`        // a spinning disk
	ReadOnly        bool   `json:"read_only"`         //
	InUse           bool   `json:"in_use"`            // mounted, or held by another user
	NSID            uint32 `json:"nsid"`              // of an NVMe namespace
	CSI             uint32 `json:"csi"`               // NVMe command set: 0 NVM, 1 key-value, 2 zoned
	Zoned           bool   `json:"zoned"`             //
	MaxOpenZones    uint32 `json:"max_open_zones"`    // 0: no limit
	MaxActiveZones  uint32 `json:"max_active_zones"`  // 0: no limit
	ZoneCount       uint32 `json:"zone_count"`        //
	ZoneBytes       uint64 `json:"zone_bytes"`        //
	Bounced         uint64 `json:"bounced,omitempty"` // I/Os that went through a bounce buffer since the open
}

// Devices are the devices of a machine, reached from elsewhere: package client implements it on a gateway. Offsets and lengths need no
// alignment, but for DiscardDevice.
type Devices interface {
	// ListDevices describes block devices and NVMe controllers and namespaces, without opening any.
	ListDevices(ctx context.Context) ([]DeviceInfo, error)
	GetDevice(ctx context.Context, uri string) (DeviceInfo, error)
	// ReadDevice reads length bytes from offset on; 0: up to the end. ctx bounds all reads.
	ReadDevice(ctx context.Context, uri string, offset, length uint64) (io.ReadCloser, error)
	// WriteDevice writes what src has, durably, and returns how much that was. It is not atomic: after an error a part may be written.
	WriteDevice(ctx context.Context, uri string, offset uint64, src io.Reader) (uint64, error)
	FlushDevice(ctx context.Context, uri string) error
	DiscardDevice(ctx context.Context, uri string, offset, length uint64) error
	// DeviceHealth is what an NVMe device reports of itself; of another one it is NOTSUPPORTED.
	DeviceHealth(ctx context.Context, uri string) (NVMeHealth, error)
}

// LocalDevices are the devices of this machine. Package device implements it on the C library.
type LocalDevices interface {
	List(ctx context.Context) ([]DeviceInfo, error)
	Query(ctx context.Context, uri string) (DeviceInfo, error)
	Open(uri string, opts OpenDevice) (Device, error)
	// Buffer returns n bytes of memory that suits direct I/O on any device; free gives it back, and may be called once.
	Buffer(n int) (buf []byte, free func(), err error)
}

// OpenDevice says how a device is opened. The zero value is read-only, the best backend.
type OpenDevice struct {
	Write       bool
	CreateBytes uint64 // not 0: make a regular file of that size; EXIST when there is one
	Exclusive   bool   // BUSY, naming the holder, when it is mounted or somebody else holds it
	Strict      bool   // no fallback of any kind
	Buffered    bool   // through the page cache
	Backend     string // "": the best
}

// Device is an open device of this machine. What is not aligned goes through a bounce buffer. Everything is safe for concurrent use.
type Device interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	ReadAtContext(ctx context.Context, p []byte, offset int64) (int, error)
	WriteAtContext(ctx context.Context, p []byte, offset int64) (int, error)
	Info() DeviceInfo
	Flush(ctx context.Context) error                                  // what was written before is durable
	Discard(ctx context.Context, offset, length int64) error          // NOTSUPPORTED where there is none
	WriteZeroes(ctx context.Context, offset, length int64) error      // the same
	Zones(ctx context.Context, offset, length uint64) ([]Zone, error) // those that begin in the range
	ManageZones(ctx context.Context, verb ZoneVerb, offset, length uint64) error
}

// Zone is a zone of a zoned device. It is written in order, from WritePointer on, up to Offset + Capacity.
type Zone struct {
	Offset       uint64 `json:"offset"`
	Bytes        uint64 `json:"bytes"` // to the next zone
	Capacity     uint64 `json:"capacity"`
	WritePointer uint64 `json:"write_pointer"`
	Type         string `json:"type"`  // "conventional", "sequential", "sequential preferred"
	State        string `json:"state"` // "no write pointer", "empty", "implicitly open", "explicitly open", "closed", "read-only", "full", "offline"
}

// ZoneVerb is what is done with zones.
type ZoneVerb string

// What can be done with zones. ZoneReset loses their data.
const (
	ZoneOpen   ZoneVerb = "open"
	ZoneClose  ZoneVerb = "close"
	ZoneFinish ZoneVerb = "finish"
	ZoneReset  ZoneVerb = "reset"
)

// KeyValueDevice is a key-value device: the NVMe Key Value Command Set, tarn/kvdev.h. Keys have 1 to 16 bytes. Safe for concurrent use.
type KeyValueDevice interface {
	Info(ctx context.Context) (KeyValueDeviceInfo, error)
	// Store stores a value; EXIST and NONEXIST by the option, KEY2BIG, REC2BIG.
	Store(ctx context.Context, key, value []byte, option StoreOption) error
	// Retrieve copies the first bytes of a value that fit into buf, and returns the value's true size, which may be larger. NONEXIST.
	Retrieve(ctx context.Context, key, buf []byte) (size uint64, err error)
	Delete(ctx context.Context, key []byte) error // NONEXIST
	Exist(ctx context.Context, key []byte) (bool, error)
	// Keys lists the keys in bytewise order, from `from` on, itself too; empty: from the first. Keys are the caller's.
	Keys(ctx context.Context, from []byte) iter.Seq2[[]byte, error]
	io.Closer
}

// StoreOption is a condition of a store.
type StoreOption int

// The store options.
const (
	StoreAny    StoreOption = iota
	StoreUpdate             // only when the key is there: else NONEXIST
	StoreAdd                // only when it is not: else EXIST
)

// KeyValueDeviceInfo describes a key-value device. Sizes are in bytes; capacity and use are those of the pool.
type KeyValueDeviceInfo struct {
	KeyMax   uint32 `json:"key_max"`
	ValueMax uint64 `json:"value_max"`
	KeyCount uint64 `json:"key_count"`
	Capacity uint64 `json:"capacity"`
	Used     uint64 `json:"used"`
}

// KeyValueDevices is a container that can be a namespace of a key-value device. Containers of package tarn implement it.
type KeyValueDevices interface {
	// OpenKeyValueDevice opens the namespace in the container, and makes it when it is not there. NOTYPE when the container is not of
	// type KV.
	OpenKeyValueDevice(ctx context.Context) (KeyValueDevice, error)
}
