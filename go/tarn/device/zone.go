// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Zone is a zone of a zoned device: it is written from its write pointer on, in order, and reset as a whole. Bytes, all of them.
type Zone struct {
	Offset       uint64    `json:"offset"`        // where it begins
	Bytes        uint64    `json:"bytes"`         // to the next zone
	Capacity     uint64    `json:"capacity"`      // that can be written, from Offset on
	WritePointer uint64    `json:"write_pointer"` // the offset of the next write
	Type         ZoneType  `json:"type"`
	State        ZoneState `json:"state"`
}

// ZoneType has NVMe's numbers.
type ZoneType uint32

// The types of zones.
const (
	ZoneConventional        ZoneType = C.TARN_ZONE_CONVENTIONAL
	ZoneSequential          ZoneType = C.TARN_ZONE_SEQUENTIAL
	ZoneSequentialPreferred ZoneType = C.TARN_ZONE_SEQUENTIAL_PREFERED
)

// String is "sequential".
func (t ZoneType) String() string {
	switch t {
	case ZoneConventional:
		return "conventional"
	case ZoneSequential:
		return "sequential"
	case ZoneSequentialPreferred:
		return "sequential preferred"
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// MarshalText is String, for JSON.
func (t ZoneType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ZoneState has NVMe's numbers.
type ZoneState uint32

// The states of zones.
const (
	ZoneNotWritePointer ZoneState = C.TARN_ZONE_NOT_WRITE_POINTER // of a conventional zone
	ZoneEmpty           ZoneState = C.TARN_ZONE_EMPTY
	ZoneImplicitlyOpen  ZoneState = C.TARN_ZONE_IMPLICITLY_OPEN
	ZoneExplicitlyOpen  ZoneState = C.TARN_ZONE_EXPLICITLY_OPEN
	ZoneClosed          ZoneState = C.TARN_ZONE_CLOSED
	ZoneReadOnly        ZoneState = C.TARN_ZONE_READ_ONLY
	ZoneFull            ZoneState = C.TARN_ZONE_FULL
	ZoneOffline         ZoneState = C.TARN_ZONE_OFFLINE
)

var zoneStates = map[ZoneState]string{
	ZoneNotWritePointer: "no write pointer", ZoneEmpty: "empty", ZoneImplicitlyOpen: "implicitly open",
	ZoneExplicitlyOpen: "explicitly open", ZoneClosed: "closed", ZoneReadOnly: "read-only", ZoneFull: "full", ZoneOffline: "offline",
}

// String is "empty", "implicitly open".
func (s ZoneState) String() string {
	if name, ok := zoneStates[s]; ok {
		return name
	}
	return fmt.Sprintf("state %d", uint32(s))
}

// MarshalText is String, for JSON.
func (s ZoneState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Zones reports up to max zones from the one at off on, fewer only at the end of the device. Errors: INVAL, IO, NOTSUPPORTED of a device
// that is not zoned.
//
// Implements: int tarn_dev_zone_report(tarn_dev *, uint64_t, tarn_dev_zone *, uint32_t *)
func (d *Device) Zones(ctx context.Context, off int64, max int) ([]Zone, error) {
	const op = "device zone report"
	if err := d.begin(ctx, op); err != nil {
		return nil, err
	}
	defer d.end()
	if err := d.checkOffset(op, off); err != nil {
		return nil, err
	}
	room := min(max, int(d.info.ZoneCount)+1) // one more: C says what is wrong with a device without zones
	if room <= 0 {
		return nil, errno.New(op, d.guard.ref, errno.Inval, fmt.Sprintf("room for %d zones: ask for at least one", max))
	}
	zones, count := make([]C.tarn_dev_zone, room), C.uint32_t(room)
	err := d.waiting(ctx, op, func() C.int {
		return C.tarn_dev_zone_report(d.dev, C.uint64_t(off), unsafe.SliceData(zones), &count)
	})
	if err != nil {
		return nil, err
	}
	return fromZones(zones[:count]), nil
}

func fromZones(zones []C.tarn_dev_zone) []Zone {
	out := make([]Zone, len(zones))
	for i, z := range zones {
		out[i] = Zone{Offset: uint64(z.offset), Bytes: uint64(z.bytes), Capacity: uint64(z.capacity),
			WritePointer: uint64(z.write_pointer), Type: ZoneType(z._type), State: ZoneState(z.state)}
	}
	return out
}

// manage does what the zones in [off, off + n) have in common.
func (d *Device) manage(ctx context.Context, what string, off, n int64, call func(off, n C.uint64_t) C.int) error {
	op := "device zone " + what
	if err := d.begin(ctx, op); err != nil {
		return err
	}
	defer d.end()
	if d.info.Zoned { // else C says so
		if err := d.checkRange(op, off, n); err != nil {
			return err
		}
	}
	return d.waiting(ctx, op, func() C.int { return call(C.uint64_t(off), C.uint64_t(n)) })
}

// OpenZones opens the zones in [off, off + n), multiples of Info.ZoneBytes. Errors: EP_RO, INVAL, IO, NOTSUPPORTED, and NOSPACE when too
// many are open.
//
// Implements: int tarn_dev_zone_open(tarn_dev *, uint64_t, uint64_t)
func (d *Device) OpenZones(ctx context.Context, off, n int64) error {
	return d.manage(ctx, "open", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_zone_open(d.dev, off, n) })
}

// CloseZones closes the zones in [off, off + n): they may be opened again. Errors as OpenZones.
//
// Implements: int tarn_dev_zone_close(tarn_dev *, uint64_t, uint64_t)
func (d *Device) CloseZones(ctx context.Context, off, n int64) error {
	return d.manage(ctx, "close", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_zone_close(d.dev, off, n) })
}

// FinishZones makes the zones in [off, off + n) full. Errors as OpenZones.
//
// Implements: int tarn_dev_zone_finish(tarn_dev *, uint64_t, uint64_t)
func (d *Device) FinishZones(ctx context.Context, off, n int64) error {
	return d.manage(ctx, "finish", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_zone_finish(d.dev, off, n) })
}

// ResetZones makes the zones in [off, off + n) empty: their data are lost. Errors as OpenZones.
//
// Implements: int tarn_dev_zone_reset(tarn_dev *, uint64_t, uint64_t)
func (d *Device) ResetZones(ctx context.Context, off, n int64) error {
	return d.manage(ctx, "reset", off, n, func(off, n C.uint64_t) C.int { return C.tarn_dev_zone_reset(d.dev, off, n) })
}

// Append writes p at the write pointer of the zone at an offset, wherever that is by then, and returns where p stands. Len(p) is a multiple of
// Info.OffsetAlignment and at most Info.MaxTransfer. Errors: as a write; NOSPACE when the zone is full; NOTSUPPORTED by block devices.
func (d *Device) Append(ctx context.Context, zone int64, p []byte) (int64, error) {
	const op = "device zone append"
	if err := d.begin(ctx, op); err != nil {
		return 0, err
	}
	defer d.end()
	if err := d.checkOffset(op, zone); err != nil {
		return 0, err
	}
	if d.bounce && !d.inPlace(p) {
		b, err := Alloc(max(len(p), 1), false)
		if err != nil {
			return 0, err
		}
		defer b.Close()
		d.bounced.Add(1)
		p = b.bytes[:copy(b.bytes, p)]
	}
	r := request{opcode: OpZoneAppend, off: uint64(zone), p: p}
	err := d.transfer(ctx, op, &r)
	return int64(r.off), err
}
