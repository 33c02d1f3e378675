// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Info describes a device. Sizes are in bytes. Of a listing, the fields that only an open can tell are empty.
type Info struct {
	URI             string `json:"uri"`
	Kind            string `json:"kind"`              // "file", "block", "nvme" (namespace), "nvme-ctrl", "mem", "sim"
	Driver          string `json:"driver"`            // the kernel's: "nvme", "virtio_blk", "loop"
	Model           string `json:"model"`             // when the kernel tells
	Serial          string `json:"serial"`            // the same
	Backend         string `json:"backend"`           // what does the I/O: "io_uring", "threads", "io_uring_cmd", "ioctl", "mem", "sim"
	Note            string `json:"note"`              // what was not to be had, and why
	Twin            string `json:"twin"`              // the URI of the same namespace as the other kind of node
	Size            uint64 `json:"size"`              //
	LogicalBlock    uint32 `json:"logical_block"`     //
	PhysicalBlock   uint32 `json:"physical_block"`    //
	MemoryAlignment uint32 `json:"memory_alignment"`  // of buffers
	OffsetAlignment uint32 `json:"offset_alignment"`  // of offsets and lengths
	MaxTransfer     uint32 `json:"max_transfer"`      // in one command
	OptimalIO       uint32 `json:"optimal_io"`        // 0: not known
	AtomicWrite     uint32 `json:"atomic_write"`      // that a power cut cannot tear; 0: not known
	Direct          bool   `json:"direct"`            // past the page cache
	VolatileCache   bool   `json:"volatile_cache"`    // durability needs a flush
	Rotational      bool   `json:"rotational"`        // a spinning disk
	ReadOnly        bool   `json:"read_only"`         //
	InUse           bool   `json:"in_use"`            // mounted, or held by another user
	NSID            uint32 `json:"nsid"`              // of an NVMe namespace
	CSI             uint32 `json:"csi"`               // NVMe command set: 0 NVM, 1 KV, 2 zoned
	Zoned           bool   `json:"zoned"`             // see Device.Zones
	MaxOpenZones    uint32 `json:"max_open_zones"`    // 0: no limit
	MaxActiveZones  uint32 `json:"max_active_zones"`  // 0: no limit
	ZoneCount       uint32 `json:"zone_count"`        //
	ZoneBytes       uint64 `json:"zone_bytes"`        //
	Bounced         uint64 `json:"bounced,omitempty"` // I/Os that went through a bounce buffer since the open
}

// List lists the block devices, NVMe controllers and NVMe namespaces of the machine, without opening them.
//
// Implements: int tarn_dev_list(tarn_dev_info *, size_t *)
func List(ctx context.Context) ([]Info, error) {
	const op = "device list"
	if ctx.Err() != nil {
		return nil, errno.FromContext(op, "", ctx)
	}
	for room := C.size_t(16); ; room *= 2 {
		infos := make([]C.tarn_dev_info, room)
		infos[0].struct_size = C.sizeof_tarn_dev_info
		count := room
		err := direct(op, "", func() C.int { return C.tarn_dev_list(unsafe.SliceData(infos), &count) })
		if err == nil {
			return fromInfos(infos[:count]), nil
		}
		if errno.CodeOf(err) != errno.Trunc {
			return nil, err
		}
	}
}

// Query returns what Open would find: the identity and geometry of a device. The device is opened read-only for a moment.
// Errors: NONEXIST, NO_PERM, INVAL, NOTSUPPORTED, IO.
//
// Implements: int tarn_dev_query(const char *, tarn_dev_info *)
func Query(ctx context.Context, uri string) (Info, error) {
	const op = "device query"
	if ctx.Err() != nil {
		return Info{}, errno.FromContext(op, uri, ctx)
	}
	name, err := cstring(op, uri)
	if err != nil {
		return Info{}, err
	}
	defer free(name)
	info := C.tarn_dev_info{struct_size: C.sizeof_tarn_dev_info}
	if err = direct(op, uri, func() C.int { return C.tarn_dev_query(name, &info) }); err != nil {
		return Info{}, err
	}
	return fromInfo(&info), nil
}

func fromInfos(infos []C.tarn_dev_info) []Info {
	out := make([]Info, len(infos))
	for i := range infos {
		out[i] = fromInfo(&infos[i])
	}
	return out
}

func fromInfo(i *C.tarn_dev_info) Info {
	return Info{
		URI:             C.GoString(&i.uri[0]),
		Kind:            C.GoString(&i.kind[0]),
		Driver:          C.GoString(&i.driver[0]),
		Model:           C.GoString(&i.model[0]),
		Serial:          C.GoString(&i.serial[0]),
		Backend:         C.GoString(&i.backend[0]),
		Note:            C.GoString(&i.note[0]),
		Twin:            C.GoString(&i.twin[0]),
		Size:            uint64(i.size),
		LogicalBlock:    uint32(i.logical_block),
		PhysicalBlock:   uint32(i.physical_block),
		MemoryAlignment: uint32(i.memory_alignment),
		OffsetAlignment: uint32(i.offset_alignment),
		MaxTransfer:     uint32(i.max_transfer),
		OptimalIO:       uint32(i.optimal_io),
		AtomicWrite:     uint32(i.atomic_write),
		Direct:          i.direct != 0,
		VolatileCache:   i.volatile_cache != 0,
		Rotational:      i.rotational != 0,
		ReadOnly:        i.readonly != 0,
		InUse:           i.in_use != 0,
		NSID:            uint32(i.nsid),
		CSI:             uint32(i.csi),
		Zoned:           i.zoned != 0,
		MaxOpenZones:    uint32(i.max_open_zones),
		MaxActiveZones:  uint32(i.max_active_zones),
		ZoneCount:       uint32(i.zone_count),
		ZoneBytes:       uint64(i.zone_bytes),
		Bounced:         uint64(i.bounced),
	}
}
