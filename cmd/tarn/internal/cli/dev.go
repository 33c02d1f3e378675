// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
)

func (a *app) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Aliases: []string{"device"}, Short: "devices of this machine: list, info", RunE: group,
		Long: "Devices are those of the machine that this program runs on, with a gateway, too. Nothing is written.",
	}
	cmd.AddCommand(a.devList(), a.devInfo())
	return cmd
}

func (a *app) devList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the block devices, without opening them", Aliases: []string{"ls"}, Args: args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			devices, err := a.ListDevices()
			if err != nil {
				return err
			}
			t := out.Table{Head: []string{"DEVICE", "KIND", "SIZE", "BLOCK", "STATE", "MODEL"}, Right: []bool{false, false, true, true}}
			for _, d := range devices {
				t.Row(d.URI, d.Kind, arg.FormatSize(d.Size), fmt.Sprint(d.LogicalBlock), deviceState(d), d.Model)
			}
			return a.out.Answer(list(devices), t.Write)
		},
	}
}

func deviceState(d Device) string {
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
		Use: "info DEVICE", Short: "show the geometry of a device: a URI or a path", Args: args(1, 1),
		Example: "  tarn dev info /dev/nvme0n1\n  tarn dev info file:/var/lib/tarn/tank.pool\n  tarn dev info mem:64M",
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := a.QueryDevice(args[0])
			if err != nil {
				return ifAbsent(err, "'tarn dev list' shows the block devices of this machine")
			}
			return a.out.Answer(d, func(w io.Writer) error { return out.Fields(w, deviceFields(d)...) })
		},
	}
}

func deviceFields(d Device) []out.Field {
	number := func(n uint32, unit string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	return []out.Field{
		{Name: "Device", Value: d.URI},
		{Name: "Kind", Value: d.Kind},
		{Name: "Model", Value: d.Model},
		{Name: "Size", Value: fmt.Sprintf("%s (%d bytes)", arg.FormatSize(d.Size), d.Size)},
		{Name: "Blocks", Value: fmt.Sprintf("%d bytes logical, %d physical", d.LogicalBlock, d.PhysicalBlock)},
		{Name: "Alignment", Value: fmt.Sprintf("%d bytes in memory, %d on the device", d.MemoryAlignment, d.OffsetAlignment)},
		{Name: "Transfer", Value: number(d.MaxTransfer, "bytes at most in one command")},
		{Name: "Backend", Value: d.Backend},
		{Name: "Direct I/O", Value: yesNo(d.Direct)},
		{Name: "Write cache", Value: writeCache(d.VolatileCache)},
		{Name: "Rotational", Value: yesNo(d.Rotational)},
		{Name: "State", Value: deviceState(d)},
		{Name: "Note", Value: d.Note},
	}
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
