// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/devbench"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

// benchFlags are as they are typed; sizes are read when the command runs.
type benchFlags struct {
	devbench.Config
	consent
	bs, size string
}

func (a *app) devBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use: "bench DEVICE", Short: "measure a device", Args: args(1, 1),
		Long: "bench keeps --depth I/Os in flight for --runtime, and says how many there were, how long they took, and what they cost.\n" +
			"The flags are named as fio's. What writes (--rw write, randwrite, randrw) overwrites the device.",
		Example: "  tarn dev bench /dev/nvme0n1 --rw randread --bs 4k --depth 32\n  tarn dev bench mem:1G --rw nop -o json",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := a.localOnly(cmd); err != nil {
				return err
			}
			f.Device = args[0]
			if f.BS, err = arg.Size(f.bs); err != nil {
				return err
			}
			if f.size != "" {
				if f.Size, err = arg.Size(f.size); err != nil {
					return err
				}
			}
			return a.withTime(cmd, func(ctx context.Context) error { return a.bench(ctx, f) })
		},
	}
	cmd.Flags().StringVar(&f.RW, "rw", "randread", "randread, randwrite, read, write, randrw, or nop: the library alone")
	cmd.Flags().StringVar(&f.bs, "bs", "4k", "size of an I/O")
	cmd.Flags().IntVar(&f.Depth, "depth", 32, "I/Os in flight, of each job")
	cmd.Flags().IntVar(&f.Jobs, "jobs", 1, "threads, each with a queue of its own")
	cmd.Flags().DurationVar(&f.Runtime, "runtime", 5*time.Second, "how long")
	cmd.Flags().StringVar(&f.size, "size", "", "use the device's first bytes only (default: all of it)")
	cmd.Flags().BoolVar(&f.Buffered, "buffered", false, "through the page cache")
	cmd.Flags().StringVar(&f.Backend, "backend", "", "io_uring, threads; nvme: io_uring_cmd, ioctl (default: the best there is)")
	cmd.Flags().BoolVar(&f.IOPoll, "iopoll", false, "poll for completions")
	cmd.Flags().BoolVar(&f.SQPoll, "sqpoll", false, "let a thread of the kernel submit")
	cmd.Flags().BoolVar(&f.Goroutines, "goroutines", false, "a goroutine in ReadAt or WriteAt for each I/O in flight")
	cmd.Flags().Uint64Var(&f.Seed, "seed", 1, "of the places")
	f.consent.flags(cmd, "")
	complete(cmd, "rw", "randread", "randwrite", "read", "write", "randrw", "nop")
	complete(cmd, "backend", "io_uring", "threads", "io_uring_cmd", "ioctl")
	return cmd
}

func (a *app) bench(ctx context.Context, f benchFlags) error {
	fresh := strings.HasPrefix(f.Device, "mem:") || strings.HasPrefix(f.Device, "sim:") // nothing can be lost
	if !fresh && (f.RW == "write" || f.RW == "randwrite" || f.RW == "randrw") {
		ask := func(d system.Device) error { return a.mayChange(f.consent, d, "overwrite all") }
		if f.Size > 0 {
			ask = func(d system.Device) error {
				return a.mayChange(f.consent, d, "overwrite the first "+arg.FormatSize(f.Size))
			}
		}
		if err := a.withDevice(f.Device, forWriting, ask); err != nil {
			return err
		}
	}
	r, err := a.Bench(ctx, f.Config)
	if err != nil {
		return devHint(err)
	}
	return a.out.Answer(r, func(w io.Writer) error { return out.Fields(w, benchFields(r)...) })
}

func benchFields(r devbench.Result) []out.Field {
	l := r.Latency
	nanos := func(n uint64) string { return time.Duration(n).String() }
	bandwidth := ""
	if r.Bandwidth > 0 {
		bandwidth = arg.FormatSize(uint64(r.Bandwidth)) + "/s"
	}
	failed := ""
	if r.Errors > 0 {
		failed = fmt.Sprintf("%d, the first: %s", r.Errors, r.Error)
	}
	return []out.Field{
		{Name: "Device", Value: r.Device},
		{Name: "Work", Value: fmt.Sprintf("%s of %s, depth %d, %s, %.1f s", r.RW, arg.FormatSize(r.BS), r.Depth, plural(uint64(r.Jobs), "job"), r.Seconds)},
		{Name: "Backend", Value: r.Backend},
		{Name: "Direct I/O", Value: yesNo(r.Direct)},
		{Name: "IOPS", Value: fmt.Sprintf("%.0f", r.IOPS)},
		{Name: "Bandwidth", Value: bandwidth},
		{Name: "Latency", Value: fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", nanos(l.P50), nanos(l.P90), nanos(l.P99), nanos(l.P999), nanos(l.Max))},
		{Name: "CPU", Value: fmt.Sprintf("%.0f ns for each I/O", r.CPUNsPerIO)},
		{Name: "Errors", Value: failed},
		{Name: "Note", Value: r.Note},
	}
}
