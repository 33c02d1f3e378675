// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutDev = `A device is named by a URI, or by a path that exists and is what it is:

  block:PATH  a block device                     nvme:PATH  the character device of an NVMe namespace, such as /dev/ng0n1
  file:PATH   a regular file                     mem:SIZE, sim:SIZE  memory, and a simulated disk: gone with the command

Devices are those of the machine that this program runs on; with --endpoint, list, info, health, read, write and discard are of the
gateway's machine. Sizes and offsets are in bytes, or with a unit: 4k, 1MiB, 10G.

What is written to a device is written below all file systems and pools. A command that writes to a raw block device says what
is on it and asks first; --yes skips the question. A device that is mounted, or that somebody holds, is never written.`

func (a *app) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Aliases: []string{"device"}, RunE: group, Long: aboutDev,
		Short: "devices: list, info, health, read, write, copy, discard, bench, zones, kv, nvme",
	}
	cmd.AddCommand(a.devList(), a.devInfo(), a.devHealth(), a.devRead(), a.devWrite(), a.devCopy(), a.devDiscard(), a.devBench(), a.devZones(), a.devKV(), a.devNVMe())
	return cmd
}

// withTime is the context of a command that opens no system, with the time that the user gives it.
func (a *app) withTime(cmd *cobra.Command, f func(ctx context.Context) error) error {
	if a.timeout == 0 {
		return f(cmd.Context())
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return f(ctx)
}

// remote reports whether the user named a gateway. One that is only found is not asked: devices are this machine's by default.
func (a *app) remote() bool { return a.where.Endpoint != "" }

// withRemote calls f with the devices of the gateway's machine.
func (a *app) withRemote(cmd *cobra.Command, f func(ctx context.Context, devices system.Devices) error) error {
	return a.with(cmd, func(ctx context.Context, sys system.System) error {
		devices, ok := sys.(system.Devices)
		if !ok {
			return errno.New("", a.where.Endpoint, errno.NotSupported, "there are no devices behind this endpoint")
		}
		return remoteHint(f(ctx, devices))
	})
}

// remoteHint adds what to do about an error of a device of a gateway's machine.
func remoteHint(err error) error {
	if errno.CodeOf(err) == errno.NoPerm {
		return out.WithHint(err, "what a gateway lets its callers do with devices is told by 'tarn-gateway --help'")
	}
	return devHint(err)
}

// localOnly refuses --endpoint.
func (a *app) localOnly(cmd *cobra.Command) error {
	if !a.remote() {
		return nil
	}
	err := errno.New("", a.where.Endpoint, errno.NotSupported, "'"+cmd.CommandPath()+"' works on devices of this machine only")
	return out.WithHint(err, "run it on the machine of the gateway, without --endpoint")
}

// devHint adds what to do about an error of a device.
func devHint(err error) error {
	switch errno.CodeOf(err) {
	case errno.Busy:
		return out.WithHint(err, "a device that is in use is not written: unmount it, or stop what holds it, and try again")
	case errno.NoPerm:
		return out.WithHint(err, "see who may open it with 'ls -l'; raw devices are mostly for root and the group disk")
	case errno.EPRO:
		return out.WithHint(err, "the device is read-only: see 'tarn dev info'")
	case errno.NoSpace:
		return out.WithHint(err, "free some space on the file system, or name another place")
	}
	return ifAbsent(err, "'tarn dev list' shows the devices of this machine")
}

func (a *app) devList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list block devices and NVMe namespaces, without opening them", Aliases: []string{"ls"}, Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error { return a.listDevices(ctx, d.ListDevices) })
			}
			return a.withTime(cmd, func(ctx context.Context) error { return a.listDevices(ctx, a.Devices.List) })
		},
	}
}

func (a *app) listDevices(ctx context.Context, all func(ctx context.Context) ([]system.DeviceInfo, error)) error {
	devices, err := all(ctx)
	if err != nil {
		return err
	}
	t := out.Table{Head: []string{"DEVICE", "KIND", "SIZE", "BLOCK", "STATE", "DRIVER", "MODEL"}, Right: []bool{false, false, true, true}}
	for _, d := range devices {
		size, block := arg.FormatSize(d.Size), fmt.Sprint(d.LogicalBlock)
		if d.LogicalBlock == 0 { // a controller
			size, block = "", ""
		}
		t.Row(d.URI, deviceKind(d), size, block, deviceState(d), d.Driver, d.Model)
	}
	return a.out.Answer(list(devices), t.Write)
}

func deviceKind(d system.DeviceInfo) string {
	if d.Zoned {
		return d.Kind + ", zoned"
	}
	return d.Kind
}

func deviceState(d system.DeviceInfo) string {
	switch {
	case d.InUse:
		return "in use"
	case d.ReadOnly:
		return "read-only"
	}
	return "free"
}

func (a *app) devInfo() *cobra.Command {
	return &cobra.Command{
		Use: "info DEVICE", Short: "show the geometry of a device, and how I/O on it is done: a URI or a path", Args: args(1, 1),
		Example: "  tarn dev info /dev/nvme0n1\n  tarn dev info file:/var/lib/tarn/tank.pool\n  tarn dev info mem:64M",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error {
					return a.showDevice(ctx, args[0], d.GetDevice)
				})
			}
			return a.withTime(cmd, func(ctx context.Context) error { return devHint(a.showDevice(ctx, args[0], a.Devices.Query)) })
		},
	}
}

func (a *app) devHealth() *cobra.Command {
	return &cobra.Command{
		Use: "health DEVICE", Short: "show what an NVMe device reports of its own health: a URI or a path", Args: args(1, 1),
		Example: "  sudo tarn dev health /dev/nvme0n1\n  tarn dev health block:/dev/nvme0n1 --endpoint unix:/var/lib/tarn/tarn.sock",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error {
					h, err := d.DeviceHealth(ctx, args[0])
					if err != nil {
						return err
					}
					return a.showHealth(h)
				})
			}
			return noHealth(args[0], a.withNVMe(cmd, strings.TrimPrefix(args[0], "file:"), false, func(ctx context.Context, n system.NVMe) error {
				h, _, err := n.Health(ctx)
				if err != nil {
					return err
				}
				return a.showHealth(h)
			}))
		},
	}
}

func (a *app) showHealth(h system.NVMeHealth) error {
	return a.out.Answer(h, func(w io.Writer) error { return out.Fields(w, healthFields(h)...) })
}

// noHealth says of what is no NVMe device that it cannot be asked.
func noHealth(uri string, err error) error {
	if errno.CodeOf(err) != errno.Inval {
		return err
	}
	return errno.New("", uri, errno.NotSupported, "it is no NVMe device, and only those report their health")
}

func (a *app) showDevice(ctx context.Context, uri string, query func(ctx context.Context, uri string) (system.DeviceInfo, error)) error {
	d, err := query(ctx, uri)
	if err != nil {
		return err
	}
	return a.out.Answer(d, func(w io.Writer) error { return out.Fields(w, deviceFields(d)...) })
}

func deviceFields(d system.DeviceInfo) []out.Field {
	return []out.Field{
		{Name: "Device", Value: d.URI},
		{Name: "Kind", Value: deviceKind(d)},
		{Name: "Driver", Value: d.Driver},
		{Name: "Model", Value: d.Model},
		{Name: "Serial", Value: d.Serial},
		{Name: "Namespace", Value: namespaceOf(d)},
		{Name: "Twin", Value: d.Twin},
		{Name: "Size", Value: fmt.Sprintf("%s (%d bytes)", arg.FormatSize(d.Size), d.Size)},
		{Name: "Blocks", Value: fmt.Sprintf("%d bytes logical, %d physical", d.LogicalBlock, d.PhysicalBlock)},
		{Name: "Alignment", Value: fmt.Sprintf("%d bytes in memory, %d on the device", d.MemoryAlignment, d.OffsetAlignment)},
		{Name: "Transfer", Value: number(d.MaxTransfer, "bytes at most in one command")},
		{Name: "Best I/O", Value: number(d.OptimalIO, "bytes")},
		{Name: "Atomic", Value: number(d.AtomicWrite, "bytes that a power cut cannot tear")},
		{Name: "Zones", Value: zonesOf(d)},
		{Name: "Backend", Value: d.Backend},
		{Name: "Direct I/O", Value: yesNo(d.Direct)},
		{Name: "Write cache", Value: writeCache(d.VolatileCache)},
		{Name: "Rotational", Value: yesNo(d.Rotational)},
		{Name: "State", Value: deviceState(d)},
		{Name: "Note", Value: d.Note},
	}
}

// number is a number with its unit; "" when there is none.
func number(n uint32, unit string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, unit)
}

func namespaceOf(d system.DeviceInfo) string {
	if d.NSID == 0 {
		return ""
	}
	return fmt.Sprintf("%d, command set %s", d.NSID, commandSet(d.CSI))
}

func commandSet(csi uint32) string {
	switch csi {
	case 0:
		return "NVM"
	case 1:
		return "key-value"
	case 2:
		return "zoned"
	}
	return fmt.Sprint(csi)
}

func zonesOf(d system.DeviceInfo) string {
	if !d.Zoned {
		return ""
	}
	text := fmt.Sprintf("%d of %s", d.ZoneCount, arg.FormatSize(d.ZoneBytes))
	for _, limit := range []struct {
		n    uint32
		what string
	}{{d.MaxOpenZones, "open"}, {d.MaxActiveZones, "active"}} {
		if limit.n > 0 {
			text += fmt.Sprintf(", %d %s at most", limit.n, limit.what)
		}
	}
	return text
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func writeCache(volatile bool) string {
	if volatile {
		return "volatile: a flush makes writes durable"
	}
	return "none that is volatile"
}

// withDevice calls f with an open device of this machine.
func (a *app) withDevice(uri string, o system.OpenDevice, f func(d system.Device) error) error {
	d, err := a.Devices.Open(uri, o)
	if err != nil {
		return devHint(err)
	}
	return devHint(errors.Join(f(d), d.Close()))
}
