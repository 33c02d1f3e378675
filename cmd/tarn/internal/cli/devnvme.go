// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) devNVMe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "nvme", Short: "what an NVMe controller says of itself: identify, log, feature", RunE: group,
		Long: "DEVICE is a controller (/dev/nvme0), or a namespace (/dev/nvme0n1, /dev/ng0n1). Linux lets root only ask a controller.",
	}
	cmd.AddCommand(a.nvmeIdentify(), a.nvmeLog(), a.nvmeFeature())
	return cmd
}

// withNVMe calls f with what asks the controller.
func (a *app) withNVMe(cmd *cobra.Command, path string, write bool, f func(ctx context.Context, n system.NVMe) error) error {
	if err := a.localOnly(cmd); err != nil {
		return err
	}
	return a.withTime(cmd, func(ctx context.Context) error {
		n, err := a.OpenNVMe(path, write)
		if err != nil {
			return nvmeHint(err)
		}
		return nvmeHint(errors.Join(f(ctx, n), n.Close()))
	})
}

func nvmeHint(err error) error {
	if errno.CodeOf(err) == errno.NoPerm {
		return out.WithHint(err, "Linux lets root only ask a controller: try it with sudo")
	}
	return devHint(err)
}

// answerPage answers with a page as it is: in JSON in hexadecimal, on a terminal as a dump, else byte for byte.
func (a *app) answerPage(page []byte) error {
	return a.out.Answer(map[string]any{"length": len(page), "hex": hex.EncodeToString(page)}, func(w io.Writer) error {
		if a.StdoutTTY {
			_, err := io.WriteString(w, hex.Dump(page))
			return err
		}
		_, err := w.Write(page)
		return err
	})
}

// nvmeFlags are common to what asks a controller.
type nvmeFlags struct {
	nsid       string
	controller bool
	raw        bool
}

func (f *nvmeFlags) flags(cmd *cobra.Command, nsid string) {
	cmd.Flags().StringVar(&f.nsid, "namespace", "", nsid)
	cmd.Flags().BoolVar(&f.raw, "raw", false, "the page as it is, not decoded")
}

// namespace is the id that was given, or otherwise.
func (f *nvmeFlags) namespace(otherwise uint32) (uint32, error) {
	switch f.nsid {
	case "":
		return otherwise, nil
	case "all":
		return system.NVMeAll, nil
	}
	n, err := strconv.ParseUint(f.nsid, 0, 32)
	if err != nil {
		return 0, usage("--namespace %q is not a namespace id: give a number, or all", f.nsid)
	}
	return uint32(n), nil
}

func (a *app) nvmeIdentify() *cobra.Command {
	var f nvmeFlags
	cmd := &cobra.Command{
		Use: "identify DEVICE", Short: "describe a controller, or a namespace when DEVICE is one", Aliases: []string{"id"}, Args: args(1, 1),
		Example: "  sudo tarn dev nvme identify /dev/nvme0\n  sudo tarn dev nvme identify /dev/nvme0n1\n" +
			"  sudo tarn dev nvme identify /dev/nvme0n1 --controller",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withNVMe(cmd, args[0], false, func(ctx context.Context, n system.NVMe) error {
				nsid, err := f.namespace(n.NSID())
				if err != nil {
					return err
				}
				if nsid == 0 || f.controller {
					return a.identifyController(ctx, n, f.raw)
				}
				return a.identifyNamespace(ctx, n, nsid, f.raw)
			})
		},
	}
	f.flags(cmd, "describe this namespace")
	cmd.Flags().BoolVar(&f.controller, "controller", false, "describe the controller")
	cmd.MarkFlagsMutuallyExclusive("namespace", "controller")
	return cmd
}

// controllerAnswer is what JSON says of a controller.
type controllerAnswer struct {
	system.NVMeController
	Active      []uint32 `json:"active_namespaces"`
	CommandSets []uint32 `json:"command_sets"`
}

func (a *app) identifyController(ctx context.Context, n system.NVMe, raw bool) error {
	c, page, err := n.Controller(ctx)
	if err != nil {
		return err
	}
	if raw {
		return a.answerPage(page)
	}
	active, err := n.Namespaces(ctx)
	if err != nil {
		return err
	}
	sets, err := n.CommandSets(ctx)
	if err != nil {
		return err
	}
	return a.out.Answer(controllerAnswer{c, list(active), list(sets)}, func(w io.Writer) error {
		return out.Fields(w, controllerFields(c, active, sets)...)
	})
}

func controllerFields(c system.NVMeController, active, sets []uint32) []out.Field {
	var names []string
	for _, s := range sets {
		names = append(names, commandSet(s))
	}
	return []out.Field{
		{Name: "Model", Value: c.Model},
		{Name: "Serial", Value: c.Serial},
		{Name: "Firmware", Value: fmt.Sprintf("%s, %d slots", c.Firmware, c.FirmwareSlots)},
		{Name: "Subsystem", Value: c.SubNQN},
		{Name: "NVMe", Value: c.Version},
		{Name: "Vendor", Value: fmt.Sprintf("%#04x, subsystem %#04x", c.Vendor, c.SubsystemVendor)},
		{Name: "Controller", Value: fmt.Sprint(c.ControllerID)},
		{Name: "Namespaces", Value: fmt.Sprintf("%s of at most %d", numbers(active), c.Namespaces)},
		{Name: "Command sets", Value: strings.Join(names, ", ")},
		{Name: "Transfer", Value: number(c.MaxTransfer, "bytes at most in one command")},
		{Name: "Commands", Value: strings.Join(c.OptionalIO, ", ")},
		{Name: "Admin", Value: strings.Join(c.OptionalAdmin, ", ")},
		{Name: "Write cache", Value: writeCache(c.VolatileCache)},
		{Name: "Atomic", Value: fmt.Sprintf("%d blocks, %d at a power cut", c.AtomicBlocks, c.AtomicPowerBlocks)},
		{Name: "Temperature", Value: limits(c.WarningTemperature, c.CriticalTemperature)},
		{Name: "Capacity", Value: capacity(c.Capacity, c.Unallocated)},
	}
}

// numbers are ids in a row.
func numbers(all []uint32) string {
	if len(all) == 0 {
		return "none"
	}
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}

// celsius is a temperature that is given in kelvin.
func celsius(kelvin uint32) string { return fmt.Sprintf("%d °C", int(kelvin)-273) }

func limits(warning, critical uint32) string {
	if warning == 0 || critical == 0 {
		return ""
	}
	return "warning at " + celsius(warning) + ", critical at " + celsius(critical)
}

func capacity(all, free uint64) string {
	if all == 0 {
		return ""
	}
	return arg.FormatSize(all) + ", " + arg.FormatSize(free) + " of it in no namespace"
}

func (a *app) identifyNamespace(ctx context.Context, n system.NVMe, nsid uint32, raw bool) error {
	ns, page, err := n.Namespace(ctx, nsid)
	if err != nil {
		return err
	}
	if raw {
		return a.answerPage(page)
	}
	return a.out.Answer(ns, func(w io.Writer) error { return out.Fields(w, namespaceFields(ns)...) })
}

func namespaceFields(ns system.NVMeNamespace) []out.Field {
	zones := ""
	if ns.ZoneBytes > 0 {
		zones = fmt.Sprintf("%s each; %d open, %d active at most (0: no limit)", arg.FormatSize(ns.ZoneBytes), ns.MaxOpenZones, ns.MaxActiveZones)
	}
	var formats []string
	for i, f := range ns.Formats {
		formats = append(formats, fmt.Sprintf("%d: %d+%d bytes", i, f.Block, f.Metadata))
	}
	return []out.Field{
		{Name: "Namespace", Value: fmt.Sprintf("%d, command set %s", ns.NSID, commandSet(ns.CSI))},
		{Name: "Size", Value: fmt.Sprintf("%s (%d bytes)", arg.FormatSize(ns.Size), ns.Size)},
		{Name: "Used", Value: fmt.Sprintf("%s of %s that can be", arg.FormatSize(ns.Used), arg.FormatSize(ns.Capacity))},
		{Name: "Block", Value: fmt.Sprintf("%d bytes, %d of metadata", ns.Block, ns.Metadata)},
		{Name: "Formats", Value: strings.Join(formats, ", ") + fmt.Sprintf("; %d is in use", ns.Format)},
		{Name: "Protection", Value: number(ns.Protection, "is the type of protection information")},
		{Name: "Zones", Value: zones},
		{Name: "Thin", Value: yesNo(ns.Thin)},
		{Name: "Shared", Value: yesNo(ns.Shared)},
		{Name: "Read-only", Value: yesNo(ns.ReadOnly)},
		{Name: "NGUID", Value: ns.NGUID},
		{Name: "EUI64", Value: ns.EUI64},
		{Name: "UUID", Value: ns.UUID},
	}
}

// The log pages that are decoded, as they are asked for.
var logPages = map[string]uint8{"error": 1, "health": 2, "smart": 2, "firmware": 3}

// logFlags say what is read of a log page.
type logFlags struct {
	nvmeFlags
	extent
}

func (a *app) nvmeLog() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use: "log DEVICE PAGE", Short: "read a log page: health, error, firmware, or any by its number", Args: args(2, 2),
		Example: "  sudo tarn dev nvme log /dev/nvme0 health\n  sudo tarn dev nvme log /dev/nvme0 0x05 --length 4k > effects.bin",
		RunE: func(cmd *cobra.Command, args []string) error {
			lid, known := logPages[args[1]]
			if !known {
				n, err := strconv.ParseUint(args[1], 0, 8)
				if err != nil {
					return usage("%q is not a log page: give health, error, firmware or a number up to 0xff", args[1])
				}
				lid = uint8(n)
			}
			return a.withNVMe(cmd, args[0], false, func(ctx context.Context, n system.NVMe) error {
				if known && !f.raw {
					return a.decodedLog(ctx, n, lid)
				}
				return a.rawLog(ctx, n, lid, f)
			})
		},
	}
	f.flags(cmd, "of this namespace (default: all)")
	cmd.Flags().StringVar(&f.offset, "offset", "0", "with --raw or a number: where to begin, a multiple of 4")
	cmd.Flags().StringVar(&f.length, "length", "512", "with --raw or a number: how much, a multiple of 4")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return []string{"health", "error", "firmware"}, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

func (a *app) rawLog(ctx context.Context, n system.NVMe, lid uint8, f logFlags) error {
	nsid, err := f.namespace(system.NVMeAll)
	if err != nil {
		return err
	}
	offset, length, err := f.parse()
	if err != nil {
		return err
	}
	if length == 0 || length > 64<<20 || (offset|length)%4 != 0 {
		return usage("--offset and --length are multiples of 4, and the length is 4 to 64M")
	}
	page, err := n.LogPage(ctx, lid, nsid, offset, int(length))
	if err != nil {
		return err
	}
	return a.answerPage(page)
}

func (a *app) decodedLog(ctx context.Context, n system.NVMe, lid uint8) error {
	switch lid {
	case logPages["error"]:
		return a.errorLog(ctx, n)
	case logPages["firmware"]:
		return a.firmwareLog(ctx, n)
	}
	h, _, err := n.Health(ctx)
	if err != nil {
		return err
	}
	return a.showHealth(h)
}

func healthFields(h system.NVMeHealth) []out.Field {
	const unit = 512000
	warnings := "none"
	if len(h.Warnings) > 0 {
		warnings = strings.Join(h.Warnings, ", ")
	}
	var sensors []string
	for _, s := range h.Sensors {
		sensors = append(sensors, celsius(s))
	}
	return []out.Field{
		{Name: "Warnings", Value: warnings},
		{Name: "Temperature", Value: celsius(h.Temperature)},
		{Name: "Sensors", Value: strings.Join(sensors, ", ")},
		{Name: "Spare", Value: fmt.Sprintf("%d %%, the warning is at %d %%", h.AvailableSpare, h.SpareThreshold)},
		{Name: "Life used", Value: fmt.Sprintf("%d %%", h.PercentageUsed)},
		{Name: "Read", Value: fmt.Sprintf("%s in %d commands", units(h.DataUnitsRead, unit), h.ReadCommands)},
		{Name: "Written", Value: fmt.Sprintf("%s in %d commands", units(h.DataUnitsWritten, unit), h.WriteCommands)},
		{Name: "Busy", Value: fmt.Sprintf("%d minutes", h.BusyMinutes)},
		{Name: "On", Value: fmt.Sprintf("%d hours, %d power cycles, %d of them unsafe", h.PowerOnHours, h.PowerCycles, h.UnsafeShutdowns)},
		{Name: "Media errors", Value: fmt.Sprint(h.MediaErrors)},
		{Name: "Error log", Value: fmt.Sprintf("%d entries", h.ErrorLogEntries)},
		{Name: "Too warm", Value: fmt.Sprintf("%d minutes, %d of them critically", h.WarningTemperatureMinutes, h.CriticalTemperatureMinutes)},
	}
}

// units is so many units, as a size; one that no size holds is as large as can be.
func units(n, each uint64) string {
	if n > ^uint64(0)/each {
		return "more than " + arg.FormatSize(^uint64(0))
	}
	return arg.FormatSize(n * each)
}

func (a *app) errorLog(ctx context.Context, n system.NVMe) error {
	entries, err := n.Errors(ctx, 256)
	if err != nil {
		return err
	}
	t := out.Table{Head: []string{"NUMBER", "QUEUE", "COMMAND", "NAMESPACE", "LBA", "STATUS"}, Right: []bool{true, true, true, true, true}}
	for _, e := range entries {
		t.Row(fmt.Sprint(e.Number), fmt.Sprint(e.Queue), fmt.Sprint(e.Command), fmt.Sprint(e.NSID), fmt.Sprint(e.LBA),
			fmt.Sprintf("%#04x %s", e.Status, e.Name))
	}
	return a.out.Answer(list(entries), t.Write)
}

func (a *app) firmwareLog(ctx context.Context, n system.NVMe) error {
	f, _, err := n.Firmware(ctx)
	if err != nil {
		return err
	}
	t := out.Table{Head: []string{"SLOT", "REVISION", "USE"}, Right: []bool{true}}
	for i, revision := range f.Revisions {
		slot, use := uint32(i+1), ""
		switch slot {
		case f.Active:
			use = "active"
		case f.Next:
			use = "at the next reset"
		}
		if revision != "" || use != "" {
			t.Row(fmt.Sprint(slot), revision, use)
		}
	}
	return a.out.Answer(f, t.Write)
}

// features are the names of features that are asked for often.
var features = []struct {
	name string
	fid  uint8
}{
	{"arbitration", 0x01}, {"power-management", 0x02}, {"temperature-threshold", 0x04}, {"error-recovery", 0x05},
	{"volatile-write-cache", 0x06}, {"number-of-queues", 0x07}, {"interrupt-coalescing", 0x08}, {"write-atomicity", 0x0a},
	{"async-events", 0x0b}, {"autonomous-power", 0x0c}, {"timestamp", 0x0e}, {"keep-alive", 0x0f}, {"thermal-management", 0x10},
	{"write-protection", 0x84},
}

func featureNames() (names []string) {
	for _, f := range features {
		names = append(names, f.name)
	}
	return names
}

func parseFeature(text string) (uint8, error) {
	if i := slices.Index(featureNames(), text); i >= 0 {
		return features[i].fid, nil
	}
	n, err := strconv.ParseUint(text, 0, 8)
	if err != nil {
		return 0, usage("%q is not a feature: give a number up to 0xff, or one of %s", text, strings.Join(featureNames(), ", "))
	}
	return uint8(n), nil
}

var selects = map[string]system.NVMeSelect{"current": system.NVMeCurrent, "default": system.NVMeDefault, "saved": system.NVMeSaved,
	"supported": system.NVMeSupported}

// featureFlags say what is done with a feature.
type featureFlags struct {
	nvmeFlags
	consent
	from, set string
	save      bool
	data      uint32
}

func (a *app) nvmeFeature() *cobra.Command {
	var f featureFlags
	cmd := &cobra.Command{
		Use: "feature DEVICE FEATURE", Short: "read a feature of a controller, or set it", Args: args(2, 2),
		Long: "FEATURE is a number, or one of " + strings.Join(featureNames(), ", ") + ".",
		Example: "  sudo tarn dev nvme feature /dev/nvme0 volatile-write-cache\n" +
			"  sudo tarn dev nvme feature /dev/nvme0 volatile-write-cache --set 0 --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			fid, err := parseFeature(args[1])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("set") {
				return a.setFeature(cmd, args[0], fid, f)
			}
			from, ok := selects[f.from]
			switch {
			case !ok:
				return usage("--select is current, default, saved or supported, not %q", f.from)
			case f.save:
				return usage("--save is for --set")
			case f.data > 4096:
				return usage("--data is at most 4096")
			}
			return a.withNVMe(cmd, args[0], false, func(ctx context.Context, n system.NVMe) error { return a.getFeature(ctx, n, fid, from, f) })
		},
	}
	cmd.Flags().StringVar(&f.nsid, "namespace", "", "of this namespace (default: of the controller)")
	cmd.Flags().StringVar(&f.from, "select", "current", "current, default, saved, or supported: what can be done with it")
	cmd.Flags().StringVar(&f.set, "set", "", "set it to this number")
	cmd.Flags().BoolVar(&f.save, "save", false, "with --set: over a power cycle, too")
	cmd.Flags().Uint32Var(&f.data, "data", 0, "read so many bytes of the data that belongs to it")
	cmd.MarkFlagsMutuallyExclusive("set", "select")
	f.consent.flags(cmd, "")
	complete(cmd, "select", "current", "default", "saved", "supported")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return featureNames(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

// featureAnswer is what JSON says of a feature.
type featureAnswer struct {
	Feature uint8  `json:"feature"`
	Select  string `json:"select"`
	Value   uint32 `json:"value"`
	Data    string `json:"data,omitempty"` // in hexadecimal
}

func (a *app) getFeature(ctx context.Context, n system.NVMe, fid uint8, from system.NVMeSelect, f featureFlags) error {
	nsid, err := f.namespace(0)
	if err != nil {
		return err
	}
	data := make([]byte, (f.data+3)&^3)
	value, err := n.Feature(ctx, fid, from, nsid, data)
	if err != nil {
		return err
	}
	answer := featureAnswer{fid, f.from, value, hex.EncodeToString(data)}
	return a.out.Answer(answer, func(w io.Writer) error {
		text := fmt.Sprintf("%#x (%d)", value, value)
		if from == system.NVMeSupported {
			text = capabilities(value)
		}
		if _, err := fmt.Fprintln(w, text); err != nil || len(data) == 0 {
			return err
		}
		_, err := io.WriteString(w, hex.Dump(data))
		return err
	})
}

// capabilities says what can be done with a feature.
func capabilities(value uint32) string {
	var can []string
	for bit, text := range []string{"saved", "set for each namespace", "changed"} {
		if value>>bit&1 != 0 {
			can = append(can, text)
		}
	}
	if can == nil {
		return "it can only be read"
	}
	return "it can be " + strings.Join(can, ", ")
}

func (a *app) setFeature(cmd *cobra.Command, path string, fid uint8, f featureFlags) error {
	value, err := strconv.ParseUint(f.set, 0, 32)
	if err != nil {
		return usage("--set %q is not a number of 32 bits", f.set)
	}
	return a.withNVMe(cmd, path, true, func(ctx context.Context, n system.NVMe) error {
		nsid, err := f.namespace(0)
		if err != nil {
			return err
		}
		if err := a.ask(f.consent, fmt.Sprintf("set feature %#x of %s to %#x", fid, path, value)); err != nil {
			return err
		}
		if err := n.SetFeature(ctx, fid, nsid, uint32(value), f.save, nil); err != nil {
			return err
		}
		return a.out.Answer(map[string]any{"feature": fid, "value": value, "saved": f.save}, func(io.Writer) error { return nil })
	})
}
