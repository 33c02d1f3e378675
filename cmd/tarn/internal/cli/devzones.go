// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// sayLine writes one line.
func sayLine(format string, values ...any) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", values...)
		return err
	}
}

func (a *app) devZones() *cobra.Command {
	cmd := &cobra.Command{
		Use: "zones", Short: "zones of a zoned device: report, open, close, finish, reset", RunE: group,
		Long: "A zone of a zoned device is written in order, from its write pointer on, and reset as a whole. --offset names the zone that\n" +
			"begins there, --count as many from it on, --all all of them.",
	}
	cmd.AddCommand(a.zonesReport(),
		a.zonesVerb(system.ZoneOpen, "open zones explicitly"), a.zonesVerb(system.ZoneClose, "close open zones"),
		a.zonesVerb(system.ZoneFinish, "make zones full: nothing more can be written to them"),
		a.zonesVerb(system.ZoneReset, "empty zones: their data is lost"))
	return cmd
}

// zoneFlags say which zones are meant.
type zoneFlags struct {
	offset string
	count  uint64
	all    bool
}

// span is the range of the zones.
func (z *zoneFlags) span(d system.DeviceInfo) (offset, length uint64, err error) {
	if !d.Zoned {
		return 0, 0, errno.New("", d.URI, errno.NotSupported, "the device is not zoned")
	}
	if z.all {
		return 0, d.Size, nil
	}
	if offset, err = arg.Size(z.offset); err != nil {
		return 0, 0, err
	}
	switch {
	case offset%d.ZoneBytes != 0:
		return 0, 0, usage("--offset %d is not where a zone begins: a zone has %d bytes", offset, d.ZoneBytes)
	case offset >= d.Size:
		return 0, 0, usage("--offset %d is beyond the end: the device has %d bytes", offset, d.Size)
	case z.count > (d.Size-offset+d.ZoneBytes-1)/d.ZoneBytes:
		return 0, 0, usage("there are not %d zones from offset %d on", z.count, offset)
	}
	return offset, min(z.count*d.ZoneBytes, d.Size-offset), nil
}

func (a *app) zonesReport() *cobra.Command {
	z := zoneFlags{all: true}
	cmd := &cobra.Command{
		Use: "report DEVICE", Short: "list zones, with their states", Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.localOnly(cmd); err != nil {
				return err
			}
			z.all = !cmd.Flags().Changed("offset") && !cmd.Flags().Changed("count")
			return a.withTime(cmd, func(ctx context.Context) error {
				return a.withDevice(args[0], system.OpenDevice{}, func(d system.Device) error { return a.reportZones(ctx, d, z) })
			})
		},
	}
	cmd.Flags().StringVar(&z.offset, "offset", "0", "where the first zone begins")
	cmd.Flags().Uint64Var(&z.count, "count", 1, "how many (default: all)")
	return cmd
}

func (a *app) reportZones(ctx context.Context, d system.Device, z zoneFlags) error {
	offset, length, err := z.span(d.Info())
	if err != nil {
		return err
	}
	zones, err := d.Zones(ctx, offset, length)
	if err != nil {
		return err
	}
	t := out.Table{Head: []string{"OFFSET", "SIZE", "CAPACITY", "WRITTEN", "STATE", "TYPE"}, Right: []bool{true, true, true, true}}
	for _, z := range zones {
		t.Row(fmt.Sprint(z.Offset), arg.FormatSize(z.Bytes), arg.FormatSize(z.Capacity), written(z), z.State, z.Type)
	}
	return a.out.Answer(list(zones), t.Write)
}

// written is how much of a zone is; one without a write pointer, and one whose pointer means nothing, has none to tell.
func written(z system.Zone) string {
	if z.State == "full" {
		return arg.FormatSize(z.Capacity)
	}
	if z.WritePointer < z.Offset || z.WritePointer > z.Offset+z.Capacity {
		return "-"
	}
	return arg.FormatSize(z.WritePointer - z.Offset)
}

func (a *app) zonesVerb(verb system.ZoneVerb, short string) *cobra.Command {
	var z zoneFlags
	var c consent
	cmd := &cobra.Command{
		Use: string(verb) + " DEVICE", Short: short, Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.localOnly(cmd); err != nil {
				return err
			}
			if !z.all && !cmd.Flags().Changed("offset") {
				return usage("say which zones: --offset, with --count, or --all")
			}
			return a.withTime(cmd, func(ctx context.Context) error {
				return a.withDevice(args[0], forWriting, func(d system.Device) error { return a.manageZones(ctx, d, verb, z, c) })
			})
		},
	}
	cmd.Flags().StringVar(&z.offset, "offset", "0", "where the first zone begins")
	cmd.Flags().Uint64Var(&z.count, "count", 1, "how many, from it on")
	cmd.Flags().BoolVar(&z.all, "all", false, "all zones")
	c.flags(cmd, "")
	return cmd
}

func (a *app) manageZones(ctx context.Context, d system.Device, verb system.ZoneVerb, z zoneFlags, c consent) error {
	info := d.Info()
	offset, length, err := z.span(info)
	if err != nil {
		return err
	}
	n := (length + info.ZoneBytes - 1) / info.ZoneBytes
	if verb == system.ZoneReset || verb == system.ZoneFinish {
		if err := a.mayChange(c, d, fmt.Sprintf("%s %s", verb, plural(n, "zone"))); err != nil {
			return err
		}
	}
	if err := d.ManageZones(ctx, verb, offset, length); err != nil {
		return err
	}
	return a.out.Answer(map[string]any{"device": info.URI, "verb": verb, "offset": offset, "zones": n}, sayLine("%s: %s", verb, plural(n, "zone")))
}
