// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/internal/signature"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

type devices struct {
	apiv1.UnimplementedDeviceServiceServer
	*Services
}

func (s *devices) ListDevices(ctx context.Context, req *apiv1.ListDevicesRequest) (*apiv1.ListDevicesResponse, error) {
	p, err := pageOf(req)
	if err != nil {
		return nil, err
	}
	all, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	all, next := cut(all, p, func(d system.DeviceInfo) string { return d.URI })
	resp := &apiv1.ListDevicesResponse{NextPageToken: next}
	for _, d := range all {
		resp.Devices = append(resp.Devices, deviceOf(d))
	}
	return resp, nil
}

func (s *devices) GetDevice(ctx context.Context, req *apiv1.GetDeviceRequest) (*apiv1.GetDeviceResponse, error) {
	if err := checkDevice(req.GetDevice()); err != nil {
		return nil, err
	}
	if err := s.mayDescribe(ctx, req.GetDevice()); err != nil {
		return nil, err
	}
	info, err := s.Devices.Query(ctx, req.GetDevice())
	if err != nil {
		return nil, err
	}
	return &apiv1.GetDeviceResponse{Device: deviceOf(info)}, nil
}

// GetDeviceHealth asks the controller that a device belongs to. What is not there is told before what is no NVMe device.
func (s *devices) GetDeviceHealth(ctx context.Context, req *apiv1.GetDeviceHealthRequest) (*apiv1.GetDeviceHealthResponse, error) {
	uri := req.GetDevice()
	if err := checkDevice(uri); err != nil {
		return nil, err
	}
	if err := s.mayRead(ctx, uri); err != nil {
		return nil, err
	}
	if _, err := s.Devices.Query(ctx, uri); err != nil {
		return nil, err
	}
	h, err := s.health(ctx, uri)
	if err != nil {
		return nil, err
	}
	return &apiv1.GetDeviceHealthResponse{Health: healthOf(h)}, nil
}

func (s *devices) health(ctx context.Context, uri string) (h system.NVMeHealth, err error) {
	local, ok := s.Devices.(system.LocalNVMe)
	if !ok {
		return h, errno.New("", uri, errno.NotSupported, "this gateway has no NVMe controllers")
	}
	n, err := local.OpenNVMe(pathOf(uri), false)
	if errors.Is(err, errno.Inval) {
		return h, errno.New("", uri, errno.NotSupported, "it is no NVMe device, and only those report their health")
	}
	if err != nil {
		return h, err
	}
	h, _, err = n.Health(ctx)
	return h, errors.Join(err, n.Close())
}

func healthOf(h system.NVMeHealth) *apiv1.DeviceHealth {
	return &apiv1.DeviceHealth{
		Warnings: h.Warnings, Temperature: h.Temperature, AvailableSpare: h.AvailableSpare, SpareThreshold: h.SpareThreshold,
		PercentageUsed: h.PercentageUsed, Sensors: h.Sensors, DataUnitsRead: h.DataUnitsRead, DataUnitsWritten: h.DataUnitsWritten,
		ReadCommands: h.ReadCommands, WriteCommands: h.WriteCommands, BusyMinutes: h.BusyMinutes, PowerCycles: h.PowerCycles,
		PowerOnHours: h.PowerOnHours, UnsafeShutdowns: h.UnsafeShutdowns, MediaErrors: h.MediaErrors, ErrorLogEntries: h.ErrorLogEntries,
		WarningTemperatureMinutes: h.WarningTemperatureMinutes, CriticalTemperatureMinutes: h.CriticalTemperatureMinutes,
	}
}

func (s *devices) FlushDevice(ctx context.Context, req *apiv1.FlushDeviceRequest) (*apiv1.FlushDeviceResponse, error) {
	err := s.withWritable(ctx, req.GetDevice(), func(d system.Device) error { return d.Flush(ctx) })
	return &apiv1.FlushDeviceResponse{}, err
}

func (s *devices) DiscardDevice(ctx context.Context, req *apiv1.DiscardDeviceRequest) (*apiv1.DiscardDeviceResponse, error) {
	if req.GetLength() == 0 {
		return nil, fault.Invalid("length", req.GetDevice(), "length is 0; say how many bytes to discard")
	}
	err := s.withWritable(ctx, req.GetDevice(), func(d system.Device) error {
		if _, err := checkRange(d, req.GetDevice(), req.GetOffset(), req.GetLength()); err != nil {
			return err
		}
		return d.Discard(ctx, int64(req.GetOffset()), int64(req.GetLength()))
	})
	return &apiv1.DiscardDeviceResponse{}, err
}

// list describes the devices in the order of their URIs: package device gives them so, and pages rely on it.
func (s *devices) list(ctx context.Context) ([]system.DeviceInfo, error) {
	all, err := s.Devices.List(ctx)
	if err != nil {
		return nil, err
	}
	return sortedDevices(all), nil
}

// checkDevice refuses names of what cannot be read from here. A relative path would mean the directory that the server was started in.
func checkDevice(uri string) error {
	scheme, path, found := strings.Cut(uri, ":")
	if !found || strings.HasPrefix(uri, "/") {
		scheme, path = "", uri
	}
	switch {
	case uri == "":
		return fault.Invalid("device", "", "device is empty; give a URI such as block:/dev/nvme0n1")
	case scheme == "mem" || scheme == "sim":
		return fault.Invalid("device", uri, "a %s: device lives in one program only, and has nothing to read from elsewhere", scheme)
	case !strings.HasPrefix(path, "/"):
		return fault.Invalid("device", uri, "the path of the device is not absolute; begin it with /")
	}
	return nil
}

// mayRead refuses callers who are not known to be the user of the server.
func (s *devices) mayRead(ctx context.Context, uri string) error {
	if overSocket(ctx) || s.AllowRaw {
		return nil
	}
	return errno.New("", uri, errno.NoPerm, "devices are read over the gateway's Unix socket only, which its user alone can open; "+
		"use that, or start the gateway with --allow-raw")
}

func (s *devices) mayWrite(uri string) error {
	if s.AllowRaw {
		return nil
	}
	return errno.New("", uri, errno.NoPerm, "this gateway does not write to devices; to let it, start it with --allow-raw")
}

// mayDescribe lets everybody see again what a listing shows; more is for those who may read.
func (s *devices) mayDescribe(ctx context.Context, uri string) error {
	refusal := s.mayRead(ctx, uri)
	if refusal == nil {
		return nil
	}
	all, err := s.Devices.List(ctx)
	for _, d := range all {
		if d.URI == uri {
			return nil
		}
	}
	return errors.Join(refusal, err)
}

// withReadable calls f with the open device, for reading.
func (s *devices) withReadable(ctx context.Context, uri string, f func(system.Device) error) error {
	if err := checkDevice(uri); err != nil {
		return err
	}
	if err := s.mayRead(ctx, uri); err != nil {
		return err
	}
	return s.with(uri, system.OpenDevice{}, f)
}

// withWritable calls f with the open device, which nobody else holds, and which holds no pool.
func (s *devices) withWritable(ctx context.Context, uri string, f func(system.Device) error) error {
	if err := checkDevice(uri); err != nil {
		return err
	}
	if err := s.mayWrite(uri); err != nil {
		return err
	}
	if err := s.notOfPool(ctx, uri); err != nil {
		return err
	}
	return s.with(uri, system.OpenDevice{Write: true, Exclusive: true}, func(d system.Device) error {
		if err := holdsNoPool(d, uri); err != nil {
			return err
		}
		return f(d)
	})
}

func (s *devices) with(uri string, o system.OpenDevice, f func(system.Device) error) error {
	d, err := s.Devices.Open(uri, o)
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.Close())
}

// notOfPool refuses what a pool of this gateway stands on, also while the pool is not open and holds nothing.
func (s *devices) notOfPool(ctx context.Context, uri string) error {
	pools, err := s.System.Pools(ctx)
	if err != nil {
		return err
	}
	for _, p := range pools {
		if sameDevice(pathOf(uri), pathOf(p.Path)) {
			return ofPool(uri, "it is a target of the pool "+p.Label)
		}
	}
	return nil
}

// holdsNoPool refuses what holds a pool that this gateway does not know, too.
func holdsNoPool(d system.Device, uri string) error {
	info := d.Info()
	if info.ReadOnly {
		return errno.New("", uri, errno.EPRO, "the device cannot be written: it is read-only")
	}
	what, err := signature.What(d, info.Size)
	if err != nil {
		return err
	}
	if what == signature.Pool {
		return ofPool(uri, "it holds a Tarn pool")
	}
	return nil
}

func ofPool(uri, how string) error {
	return errno.New("", uri, errno.Busy, how+", which a raw write would destroy; destroy the pool first")
}

// pathOf is the path in a URI.
func pathOf(uri string) string {
	if scheme, path, found := strings.Cut(uri, ":"); found && !strings.Contains(scheme, "/") {
		return path
	}
	return uri
}

// sameDevice reports whether two paths are of one file, or of one block device by whatever nodes.
func sameDevice(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX != nil || errY != nil {
		return false
	}
	p, okP := x.Sys().(*syscall.Stat_t)
	q, okQ := y.Sys().(*syscall.Stat_t)
	blocks := okP && okQ && p.Mode&q.Mode&syscall.S_IFMT == syscall.S_IFBLK
	return os.SameFile(x, y) || blocks && p.Rdev == q.Rdev
}
