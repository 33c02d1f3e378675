// SPDX-License-Identifier: Apache-2.0

// Package localdev makes package device what programs take that do not care where their devices are: system.LocalDevices.
package localdev

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn/device"
)

// Devices are the devices of this machine.
type Devices struct{}

var (
	_ system.LocalDevices = Devices{}
	_ system.LocalNVMe    = Devices{}
)

// List implements system.LocalDevices.
func (Devices) List(ctx context.Context) ([]system.DeviceInfo, error) {
	found, err := device.List(ctx)
	infos := make([]system.DeviceInfo, len(found))
	for i, d := range found {
		infos[i] = system.DeviceInfo(d)
	}
	return infos, err
}

// Query implements system.LocalDevices. ReadOnly says whether the device can be written, not how it was opened for this.
func (d Devices) Query(ctx context.Context, uri string) (system.DeviceInfo, error) {
	found, err := device.Query(ctx, uri)
	if err != nil {
		return system.DeviceInfo{}, err
	}
	info := system.DeviceInfo(found)
	info.ReadOnly, err = d.readOnly(ctx, info)
	return info, err
}

func (d Devices) readOnly(ctx context.Context, info system.DeviceInfo) (bool, error) {
	scheme, path, _ := strings.Cut(info.URI, ":")
	if scheme == "mem" || scheme == "sim" {
		return false, nil
	}
	all, err := d.List(ctx)
	for _, known := range all {
		if known.URI == info.URI && known.ReadOnly {
			return true, nil
		}
	}
	const write = 2 // W_OK
	return syscall.Access(path, write) != nil, err
}

// OpenNVMe implements system.LocalNVMe.
func (Devices) OpenNVMe(path string, write bool) (system.NVMe, error) {
	n, err := device.OpenNVMe(path, write)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Buffer implements system.LocalDevices.
func (Devices) Buffer(n int) ([]byte, func(), error) {
	b, err := device.Alloc(n, false)
	if err != nil {
		return nil, nil, err
	}
	return b.Bytes(), func() { _ = b.Close() }, nil // it never fails
}

// Open implements system.LocalDevices.
func (Devices) Open(uri string, o system.OpenDevice) (system.Device, error) {
	d, err := device.Open(uri, options(o)...)
	if err != nil {
		return nil, err
	}
	whole, err := withTail(open{d}, o.Write)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return whole, nil
}

func options(o system.OpenDevice) (opts []device.Option) {
	for _, flag := range []struct {
		on     bool
		option device.Option
	}{{o.Write, device.ReadWrite()}, {o.Exclusive, device.Exclusive()}, {o.Strict, device.Strict()}, {o.Buffered, device.Buffered()},
		{o.CreateBytes > 0, device.Create(o.CreateBytes)}, {o.Backend != "", device.Backend(o.Backend)}} {
		if flag.on {
			opts = append(opts, flag.option)
		}
	}
	return opts
}

// open is an open device. Everything that is not here is the device's own.
type open struct{ *device.Device }

func (o open) Info() system.DeviceInfo { return system.DeviceInfo(o.Device.Info()) }

// Zones reports the zones that begin in the range.
func (o open) Zones(ctx context.Context, offset, length uint64) ([]system.Zone, error) {
	most := 1
	if bytes := o.Device.Info().ZoneBytes; bytes > 0 {
		most = int((length + bytes - 1) / bytes)
	}
	found, err := o.Device.Zones(ctx, int64(offset), most)
	if err != nil {
		return nil, err
	}
	zones := make([]system.Zone, len(found))
	for i, z := range found {
		zones[i] = system.Zone{Offset: z.Offset, Bytes: z.Bytes, Capacity: z.Capacity, WritePointer: z.WritePointer,
			Type: z.Type.String(), State: z.State.String()}
	}
	return zones, nil
}

// ManageZones does the same with all zones in the range.
func (o open) ManageZones(ctx context.Context, verb system.ZoneVerb, offset, length uint64) error {
	switch verb {
	case system.ZoneOpen:
		return o.OpenZones(ctx, int64(offset), int64(length))
	case system.ZoneClose:
		return o.CloseZones(ctx, int64(offset), int64(length))
	case system.ZoneFinish:
		return o.FinishZones(ctx, int64(offset), int64(length))
	case system.ZoneReset:
		return o.ResetZones(ctx, int64(offset), int64(length))
	}
	return errno.New("device zones", o.Info().URI, errno.Inval, fmt.Sprintf("there is no verb %q for zones", verb))
}
