// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// DeviceInfo describes a device. Sizes are in bytes. Of a listing, the fields that only an open can tell are empty.
type DeviceInfo struct {
	URI             string `json:"uri"`
	Kind            string `json:"kind"`             // "file", "block", "mem", "sim"
	Model           string `json:"model"`            // of a block device, when the kernel tells
	Backend         string `json:"backend"`          // what does the I/O: "io_uring", "threads", "mem", "sim"
	Note            string `json:"note"`             // why it is not direct, or why io_uring was not taken
	Size            uint64 `json:"size"`             //
	LogicalBlock    uint32 `json:"logical_block"`    //
	PhysicalBlock   uint32 `json:"physical_block"`   //
	MemoryAlignment uint32 `json:"memory_alignment"` // of buffers
	OffsetAlignment uint32 `json:"offset_alignment"` // of offsets and lengths
	MaxTransfer     uint32 `json:"max_transfer"`     // in one command
	Direct          bool   `json:"direct"`           // O_DIRECT
	VolatileCache   bool   `json:"volatile_cache"`   // durability needs a flush
	Rotational      bool   `json:"rotational"`       // a spinning disk
	ReadOnly        bool   `json:"read_only"`        //
	InUse           bool   `json:"in_use"`           // mounted, or held by another user
}

// QueryDevice returns the geometry and identity of a device: a URI, or the path of what exists. It writes nothing.
// Errors: NONEXIST, NO_PERM, INVAL, NOTSUPPORTED.
//
// Implements: int tarn_dev_query(const char *, tarn_dev_info *)
func QueryDevice(uri string) (DeviceInfo, error) {
	const op = "device query"
	var names cstrings
	defer names.free()
	name, err := names.add(op, uri)
	if err != nil {
		return DeviceInfo{}, err
	}
	var info C.tarn_dev_info
	if err = direct(op, uri, func() C.int { return C.tarn_dev_query(name, &info) }); err != nil {
		return DeviceInfo{}, err
	}
	return deviceInfo(&info), nil
}

// ListDevices lists the block devices of the machine, without opening them.
//
// Implements: int tarn_dev_list(tarn_dev_info *, size_t *)
func ListDevices() ([]DeviceInfo, error) {
	const op = "device list"
	for room := C.size_t(16); ; room *= 2 {
		infos := make([]C.tarn_dev_info, room)
		count := room
		err := direct(op, "", func() C.int { return C.tarn_dev_list(unsafe.SliceData(infos), &count) })
		if err == nil {
			return deviceInfos(infos[:count]), nil
		}
		if errno.CodeOf(err) != errno.Trunc {
			return nil, err
		}
	}
}

func deviceInfos(infos []C.tarn_dev_info) []DeviceInfo {
	out := make([]DeviceInfo, len(infos))
	for i := range infos {
		out[i] = deviceInfo(&infos[i])
	}
	return out
}

func deviceInfo(i *C.tarn_dev_info) DeviceInfo {
	return DeviceInfo{
		URI:             C.GoString(&i.uri[0]),
		Kind:            C.GoString(&i.kind[0]),
		Model:           C.GoString(&i.model[0]),
		Backend:         C.GoString(&i.backend[0]),
		Note:            C.GoString(&i.note[0]),
		Size:            uint64(i.size),
		LogicalBlock:    uint32(i.logical_block),
		PhysicalBlock:   uint32(i.physical_block),
		MemoryAlignment: uint32(i.memory_alignment),
		OffsetAlignment: uint32(i.offset_alignment),
		MaxTransfer:     uint32(i.max_transfer),
		Direct:          i.direct != 0,
		VolatileCache:   i.volatile_cache != 0,
		Rotational:      i.rotational != 0,
		ReadOnly:        i.readonly != 0,
		InUse:           i.in_use != 0,
	}
}
