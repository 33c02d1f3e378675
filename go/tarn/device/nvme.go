// SPDX-License-Identifier: Apache-2.0

package device

/*
#include <stdlib.h>
#include <tarn/nvme.h>
*/
import "C"

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// NVMe asks an NVMe controller what it says of itself. A call waits for the controller on a thread, at most 4 do in the process; its
// context is looked at before, for a command that a controller has been given cannot be taken back. Safe for concurrent use.
//
// Errors of all calls: NO_PERM (Linux wants CAP_SYS_ADMIN), INVAL, NOTSUPPORTED, NONEXIST (no such namespace), IO, TIMEDOUT, NOMEM, else
// NVME_IO, with the status by its name.
type NVMe struct {
	guard *guard
	c     *C.tarn_nvme
	nsid  uint32
	watch runtime.Cleanup
}

var _ system.NVMe = (*NVMe)(nil)

// OpenNVMe opens a controller (/dev/nvme0), or a namespace (/dev/nvme0n1, /dev/ng0n1); nvme: or block: before it is skipped. For writing
// features can be set. Errors: NONEXIST, NO_PERM, INVAL (it is no NVMe device), NOMEM.
//
// Implements: int tarn_nvme_open(const char *, uint32_t, tarn_nvme **)
func OpenNVMe(path string, write bool) (*NVMe, error) {
	const op = "nvme open"
	name, err := cstring(op, path)
	if err != nil {
		return nil, err
	}
	defer free(name)
	var flags, nsid C.uint32_t
	if write {
		flags = C.TARN_NVME_RDWR
	}
	var c *C.tarn_nvme
	if err = direct(op, path, func() C.int { return C.tarn_nvme_open(name, flags, &c) }); err != nil {
		return nil, err
	}
	if err = called(op, path, func() C.int { return C.tarn_nvme_get_nsid(c, &nsid) }); err != nil {
		C.tarn_nvme_close(c)
		return nil, err
	}
	n := &NVMe{c: c, nsid: uint32(nsid), guard: newGuard("nvme handle", path, nil, slog.New(slog.DiscardHandler))}
	n.guard.hurry = func() {} // nothing makes a command end early
	n.guard.release = func() error { return direct("nvme close", path, func() C.int { return C.tarn_nvme_close(c) }) }
	n.watch = runtime.AddCleanup(n, (*guard).leaked, n.guard)
	return n, nil
}

// Close waits for the calls that are running and closes the handle. It may be called again. Errors: IO.
//
// Implements: int tarn_nvme_close(tarn_nvme *)
func (n *NVMe) Close() error {
	defer runtime.KeepAlive(n)
	err := n.guard.close(context.Background())
	if err == nil {
		n.watch.Stop()
	}
	return err
}

// NSID is the namespace of the path it was opened by; 0 for a controller's.
func (n *NVMe) NSID() uint32 { return n.nsid }

// call makes a call that waits for the controller.
func (n *NVMe) call(ctx context.Context, op string, call func() C.int) error {
	defer runtime.KeepAlive(n)
	if ctx.Err() != nil {
		return errno.FromContext(op, n.guard.ref, ctx)
	}
	if err := n.guard.enter(op); err != nil {
		return err
	}
	defer n.guard.leave()
	select {
	case waiting <- struct{}{}:
	case <-ctx.Done():
		return errno.FromContext(op, n.guard.ref, ctx)
	}
	defer func() { <-waiting }()
	return called(op, n.guard.ref, call)
}

// Controller describes the controller, and returns the page that says so. Command Identify, CNS 01h. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_identify_controller(tarn_nvme *, tarn_nvme_controller *, void *)
func (n *NVMe) Controller(ctx context.Context) (system.NVMeController, []byte, error) {
	c := C.tarn_nvme_controller{struct_size: C.sizeof_tarn_nvme_controller}
	page := make([]byte, C.TARN_NVME_PAGE)
	err := n.call(ctx, "nvme identify", func() C.int { return C.tarn_nvme_identify_controller(n.c, &c, unsafe.Pointer(&page[0])) })
	if err != nil {
		return system.NVMeController{}, nil, err
	}
	return nvmeController(&c), page, nil
}

func nvmeController(c *C.tarn_nvme_controller) system.NVMeController {
	return system.NVMeController{
		Serial: C.GoString(&c.serial[0]), Model: C.GoString(&c.model[0]), Firmware: C.GoString(&c.firmware[0]),
		SubNQN: C.GoString(&c.subnqn[0]), Version: nvmeVersion(uint32(c.version)), Namespaces: uint32(c.namespaces),
		MaxTransfer: uint32(c.max_transfer), ErrorLogEntries: uint32(c.error_log_entries),
		OptionalIO: bits(uint32(c.optional_io), "compare", "write-uncorrectable", "discard", "write-zeroes", "save-features", "reservations",
			"timestamp", "verify", "copy"),
		OptionalAdmin:      bits(uint32(c.optional_admin), "security", "format", "firmware", "namespaces", "self-test"),
		WarningTemperature: uint32(c.warning_temperature), CriticalTemperature: uint32(c.critical_temperature), Vendor: uint16(c.vendor),
		SubsystemVendor: uint16(c.subsystem_vendor), ControllerID: uint16(c.controller_id), PowerStates: uint16(c.power_states),
		FirmwareSlots: uint16(c.firmware_slots), Type: uint16(c._type), VolatileCache: c.volatile_cache != 0,
		AtomicBlocks: uint32(c.atomic_blocks), AtomicPowerBlocks: uint32(c.atomic_power_blocks), OUI: uint32(c.ieee_oui),
		Capacity: uint64(c.capacity), Unallocated: uint64(c.unallocated_capacity),
	}
}

// nvmeVersion is "1.4.0" for 0x10400.
func nvmeVersion(v uint32) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

// bits are the names of those that are set.
func bits(set uint32, names ...string) []string {
	found := []string{}
	for i, name := range names {
		if set>>i&1 != 0 {
			found = append(found, name)
		}
	}
	return found
}

// Namespace describes a namespace, and returns the page of the NVM command set that says so; 0: that of the handle. Command Identify, CNS
// 00h. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_identify_namespace(tarn_nvme *, uint32_t, tarn_nvme_namespace *, void *)
func (n *NVMe) Namespace(ctx context.Context, nsid uint32) (system.NVMeNamespace, []byte, error) {
	ns := C.tarn_nvme_namespace{struct_size: C.sizeof_tarn_nvme_namespace}
	page := make([]byte, C.TARN_NVME_PAGE)
	err := n.call(ctx, "nvme identify", func() C.int {
		return C.tarn_nvme_identify_namespace(n.c, C.uint32_t(nsid), &ns, unsafe.Pointer(&page[0]))
	})
	if err != nil {
		return system.NVMeNamespace{}, nil, err
	}
	return nvmeNamespace(&ns), page, nil
}

func nvmeNamespace(c *C.tarn_nvme_namespace) system.NVMeNamespace {
	ns := system.NVMeNamespace{
		NSID: uint32(c.nsid), CSI: uint32(c.csi), Size: uint64(c.size), Capacity: uint64(c.capacity), Used: uint64(c.used),
		NVMCapacity: uint64(c.nvm_capacity), Block: uint32(c.block), Metadata: uint32(c.metadata), MetadataExtended: c.metadata_extended != 0,
		Protection: uint32(c.protection), Thin: c.thin != 0, ReadOnly: c.readonly != 0, Shared: c.shared != 0,
		AtomicBlocks: uint32(c.atomic_blocks), AtomicPowerBlocks: uint32(c.atomic_power_blocks), OptimalWrite: uint32(c.optimal_write),
		MaxOpenZones: uint32(c.max_open_zones), MaxActiveZones: uint32(c.max_active_zones), ZoneBytes: uint64(c.zone_bytes),
		NGUID: hexID(unsafe.Slice((*byte)(&c.nguid[0]), len(c.nguid))), EUI64: hexID(unsafe.Slice((*byte)(&c.eui64[0]), len(c.eui64))),
		Format: uint32(c.format), Formats: []system.NVMeFormat{},
	}
	if uuid := hexID(unsafe.Slice((*byte)(unsafe.Pointer(&c.uuid)), unsafe.Sizeof(c.uuid))); uuid != "" {
		ns.UUID = uuid[:8] + "-" + uuid[8:12] + "-" + uuid[12:16] + "-" + uuid[16:20] + "-" + uuid[20:]
	}
	for _, f := range c.formats[:min(int(c.format_count), len(c.formats))] {
		ns.Formats = append(ns.Formats, system.NVMeFormat{Block: uint32(f.block), Metadata: uint16(f.metadata), Performance: uint16(f.performance),
			ZoneBytes: uint64(f.zone_bytes)})
	}
	return ns
}

// hexID is an id in hexadecimal; "" for zeros, which are none.
func hexID(id []byte) string {
	if len(bytes.Trim(id, "\x00")) == 0 {
		return ""
	}
	return hex.EncodeToString(id)
}

// Namespaces are the active namespaces, ascending. Command Identify, CNS 02h. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_namespaces(tarn_nvme *, uint32_t *, uint32_t *)
func (n *NVMe) Namespaces(ctx context.Context) ([]uint32, error) {
	for room := C.uint32_t(64); ; room *= 2 {
		ids, count := make([]uint32, room), room
		err := n.call(ctx, "nvme namespaces", func() C.int {
			return C.tarn_nvme_namespaces(n.c, (*C.uint32_t)(unsafe.SliceData(ids)), &count)
		})
		if err == nil {
			return ids[:count], nil
		}
		if errno.CodeOf(err) != errno.Trunc {
			return nil, err
		}
	}
}

// CommandSets are the command sets that the controller knows: 0 NVM, 1 key-value, 2 zoned. Command Identify, CNS 1Ch. Errors: as NVMe has
// them.
//
// Implements: int tarn_nvme_command_sets(tarn_nvme *, uint64_t *)
func (n *NVMe) CommandSets(ctx context.Context) ([]uint32, error) {
	var sets C.uint64_t
	if err := n.call(ctx, "nvme command sets", func() C.int { return C.tarn_nvme_command_sets(n.c, &sets) }); err != nil {
		return nil, err
	}
	var found []uint32
	for i := range uint32(64) {
		if uint64(sets)>>i&1 != 0 {
			found = append(found, i)
		}
	}
	return found, nil
}

// Health is the log page SMART / Health Information, with the page. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_get_health(tarn_nvme *, tarn_nvme_health *, void *)
func (n *NVMe) Health(ctx context.Context) (system.NVMeHealth, []byte, error) {
	h := C.tarn_nvme_health{struct_size: C.sizeof_tarn_nvme_health}
	page := make([]byte, 512)
	err := n.call(ctx, "nvme health", func() C.int { return C.tarn_nvme_get_health(n.c, &h, unsafe.Pointer(&page[0])) })
	if err != nil {
		return system.NVMeHealth{}, nil, err
	}
	return nvmeHealth(&h), page, nil
}

func nvmeHealth(c *C.tarn_nvme_health) system.NVMeHealth {
	h := system.NVMeHealth{
		Warnings:    bits(uint32(c.critical_warning), "spare", "temperature", "reliability", "read-only", "backup"),
		Temperature: uint32(c.temperature), AvailableSpare: uint32(c.available_spare), SpareThreshold: uint32(c.spare_threshold),
		PercentageUsed: uint32(c.percentage_used), Sensors: []uint32{}, DataUnitsRead: uint64(c.data_units_read),
		DataUnitsWritten: uint64(c.data_units_written), ReadCommands: uint64(c.read_commands), WriteCommands: uint64(c.write_commands),
		BusyMinutes: uint64(c.busy_minutes), PowerCycles: uint64(c.power_cycles), PowerOnHours: uint64(c.power_on_hours),
		UnsafeShutdowns: uint64(c.unsafe_shutdowns), MediaErrors: uint64(c.media_errors), ErrorLogEntries: uint64(c.error_log_entries),
		WarningTemperatureMinutes:  uint64(c.warning_temperature_minutes),
		CriticalTemperatureMinutes: uint64(c.critical_temperature_minutes),
	}
	for _, s := range c.sensors {
		if s != 0 {
			h.Sensors = append(h.Sensors, uint32(s))
		}
	}
	return h
}

// Firmware is the log page Firmware Slot Information, with the page. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_get_firmware(tarn_nvme *, tarn_nvme_firmware *, void *)
func (n *NVMe) Firmware(ctx context.Context) (system.NVMeFirmware, []byte, error) {
	c := C.tarn_nvme_firmware{struct_size: C.sizeof_tarn_nvme_firmware}
	page := make([]byte, 512)
	err := n.call(ctx, "nvme firmware", func() C.int { return C.tarn_nvme_get_firmware(n.c, &c, unsafe.Pointer(&page[0])) })
	if err != nil {
		return system.NVMeFirmware{}, nil, err
	}
	f := system.NVMeFirmware{Active: uint32(c.active), Next: uint32(c.next)}
	for i := range c.revision {
		f.Revisions = append(f.Revisions, C.GoString(&c.revision[i][0]))
	}
	return f, page, nil
}

// Errors are the newest entries of the log page Error Information, at most max, the newest first.
//
// Implements: int tarn_nvme_get_errors(tarn_nvme *, tarn_nvme_error *, uint32_t *)
func (n *NVMe) Errors(ctx context.Context, max int) ([]system.NVMeError, error) {
	const op = "nvme errors"
	if max < 1 || max > 1<<16 {
		return nil, errno.New(op, n.guard.ref, errno.Inval, fmt.Sprintf("room for %d errors: ask for 1 to 65536", max))
	}
	found, count := make([]C.tarn_nvme_error, max), C.uint32_t(max)
	err := n.call(ctx, op, func() C.int { return C.tarn_nvme_get_errors(n.c, unsafe.SliceData(found), &count) })
	if err != nil {
		return nil, err
	}
	out := make([]system.NVMeError, count)
	for i, e := range found[:count] {
		out[i] = system.NVMeError{Number: uint64(e.number), LBA: uint64(e.lba), NSID: uint32(e.nsid), Queue: uint16(e.queue),
			Command: uint16(e.command), Status: uint16(e.status), Name: C.GoString(C.tarn_nvme_status_name(C.uint32_t(e.status))),
			Parameter: uint16(e.parameter)}
	}
	return out, nil
}

// LogPage reads a part of a log page, as it is: offset and length are multiples of 4, the length at most 64 MiB. nsid as it is:
// system.NVMeAll for most pages. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_log_page(tarn_nvme *, uint8_t, uint8_t, uint32_t, uint64_t, void *, uint32_t)
func (n *NVMe) LogPage(ctx context.Context, lid uint8, nsid uint32, offset uint64, length int) ([]byte, error) {
	const op = "nvme log page"
	if length < 4 || length > C.TARN_NVME_LOG_MAX {
		return nil, errno.New(op, n.guard.ref, errno.Inval, fmt.Sprintf("a length of %d bytes: use 4 to %d", length, C.TARN_NVME_LOG_MAX))
	}
	page := make([]byte, length)
	err := n.call(ctx, op, func() C.int {
		return C.tarn_nvme_log_page(n.c, C.uint8_t(lid), 0, C.uint32_t(nsid), C.uint64_t(offset), unsafe.Pointer(&page[0]), C.uint32_t(length))
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Feature reads a feature: its number, and the first bytes of its data, a multiple of 4 and at most 4096. nsid as it is. Command Get
// Features. Errors: as NVMe has them.
//
// Implements: int tarn_nvme_get_feature(tarn_nvme *, uint8_t, tarn_nvme_select, uint32_t, uint32_t, uint32_t *, void *, uint32_t)
func (n *NVMe) Feature(ctx context.Context, fid uint8, from system.NVMeSelect, nsid uint32, data []byte) (uint32, error) {
	const op = "nvme get feature"
	if len(data) > C.TARN_NVME_DATA_MAX {
		return 0, errno.New(op, n.guard.ref, errno.Inval, fmt.Sprintf("room for %d bytes of data: use at most %d", len(data), C.TARN_NVME_DATA_MAX))
	}
	var value C.uint32_t
	err := n.call(ctx, op, func() C.int {
		return C.tarn_nvme_get_feature(n.c, C.uint8_t(fid), C.tarn_nvme_select(from), C.uint32_t(nsid), 0, &value, dataOf(data),
			C.uint32_t(len(data)))
	})
	return uint32(value), err
}

// SetFeature sets a feature; with save over a power cycle, too. EP_RO when it was not opened for writing. Command Set Features. Errors: as
// NVMe has them.
//
// Implements: int tarn_nvme_set_feature(tarn_nvme *, uint8_t, uint32_t, uint32_t, bool, const void *, uint32_t)
func (n *NVMe) SetFeature(ctx context.Context, fid uint8, nsid uint32, value uint32, save bool, data []byte) error {
	const op = "nvme set feature"
	if len(data) > C.TARN_NVME_DATA_MAX {
		return errno.New(op, n.guard.ref, errno.Inval, fmt.Sprintf("%d bytes of data: use at most %d", len(data), C.TARN_NVME_DATA_MAX))
	}
	return n.call(ctx, op, func() C.int {
		return C.tarn_nvme_set_feature(n.c, C.uint8_t(fid), C.uint32_t(nsid), C.uint32_t(value), C.bool(save), dataOf(data),
			C.uint32_t(len(data)))
	})
}

// dataOf is where the data is; NULL when there is none.
func dataOf(data []byte) unsafe.Pointer {
	if len(data) == 0 {
		return nil
	}
	return unsafe.Pointer(unsafe.SliceData(data))
}
