// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/bench"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
)

const aboutBenchGateway = `Measures what a call through the gateway costs. Without --endpoint a gateway is started on a scratch directory; with
it a pool of its own is made there, and destroyed at the end.

Each group of rows is measured in turns, round by round. CLIENT and SERVER are the processor time of one unit in us, ALLOCS the
server's allocations in one call, CPU/ECHO the time of both sides beside that of an empty call in the same round, as the median and
the quartiles. The last row of a group says what the same empty call has beside itself: when that is far from 1, the machine is too
busy for a verdict.`

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "measure: gateway, kv", RunE: group,
		Long: "Measures this machine. The figures of a machine that does other work at the same time say little."}
	cmd.AddCommand(a.benchGateway(), a.benchKV())
	return cmd
}

func (a *app) benchGateway() *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use: "gateway", Short: "measure a gateway: calls, batches, sessions and streams", Long: aboutBenchGateway, Args: args(0, 0),
		Example: "  tarn bench gateway\n  tarn bench gateway --groups calls --rounds 51 -o json\n  tarn bench gateway --peers --groups peers",
	}
	f := cmd.Flags()
	f.StringVar(&o.Gateway, "gateway", "", "the program tarn-gateway (default: beside this one, or in the path)")
	f.BoolVar(&o.Peers, "peers", false, "measure etcd and Redis, too: Debian's etcd-server and redis-server")
	run := a.benchFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Endpoint = a.where.Endpoint
		return run(cmd, func(ctx context.Context) (bench.Report, error) { return bench.Gateway(ctx, o) })
	}
	return cmd
}

func (a *app) benchKV() *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use: "kv", Short: "measure key-value calls in this process, or with --endpoint through the client library", Args: args(0, 0),
		Long: "Measures puts, gets, batches, lists and streams, in a pool of its own that is destroyed at the end.",
	}
	run := a.benchFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return run(cmd, func(ctx context.Context) (bench.Report, error) { return a.measureKV(ctx, o) })
	}
	return cmd
}

// measureKV opens a scratch directory in this process, or the endpoint.
func (a *app) measureKV(ctx context.Context, o bench.Options) (report bench.Report, err error) {
	open, where := a.Connect, a.where
	if where.Endpoint == "" {
		root := ""
		if root, err = os.MkdirTemp(o.Dir, "tarn-bench-kv-"); err != nil {
			return report, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
		open, where = a.OpenLocal, Where{Root: root}
	}
	sys, err := open(ctx, where)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	return bench.KV(ctx, o, sys)
}

// benchFlags adds what all benchmarks are told. What it returns checks it, measures and answers.
func (a *app) benchFlags(cmd *cobra.Command, o *bench.Options) func(*cobra.Command, func(context.Context) (bench.Report, error)) error {
	f := cmd.Flags()
	stream := "256M"
	f.StringVar(&o.Dir, "dir", "", "where scratch directories are made: on the device that is meant (default $TMPDIR, else /tmp)")
	f.StringSliceVar(&o.Groups, "groups", nil, "only these: "+strings.Join(bench.GroupNames, ", "))
	f.StringSliceVar(&o.Rows, "rows", nil, "only rows whose name begins so, such as \"BatchPut\"; the echoes stay")
	f.IntVar(&o.Rounds, "rounds", 31, "rounds of the calls; of what takes longer a sixth")
	f.DurationVar(&o.Window, "window", 100e6, "how long a row is measured in a round; what takes longer five times as long")
	f.IntVar(&o.ValueSize, "value-size", 100, "bytes of a value")
	f.IntVar(&o.Keys, "keys", 10000, "keys in the object")
	f.StringVar(&stream, "stream-size", stream, "size of a value that is streamed")
	return func(cmd *cobra.Command, measure func(context.Context) (bench.Report, error)) error {
		if err := a.checkBench(o, stream); err != nil {
			return err
		}
		report, err := measure(cmd.Context())
		if err != nil {
			return err
		}
		return a.out.Answer(report, func(w io.Writer) error { return writeReport(w, report) })
	}
}

func (a *app) checkBench(o *bench.Options, stream string) error {
	size, err := arg.Size(stream)
	switch {
	case err != nil:
		return usage("--stream-size: %v", err)
	case size < 1<<20 || size > 4<<30-1<<20:
		return usage("--stream-size is from 1M to 4095M")
	case a.where.Root != "":
		return usage("a benchmark has a directory of its own: give --dir, not --root")
	case o.Rounds < 1 || o.Window <= 0 || o.Keys < 1:
		return usage("--rounds, --window and --keys are at least 1")
	case o.ValueSize < 1 || o.ValueSize > 4096:
		return usage("--value-size is from 1 to 4096")
	}
	for _, name := range o.Groups {
		if !slices.Contains(bench.GroupNames, name) {
			return usage("there is no group %q: there are %s", name, strings.Join(bench.GroupNames, ", "))
		}
	}
	o.StreamMiB = int(size >> 20)
	if !a.quiet && a.StderrTTY {
		o.Progress = a.Stderr
	}
	return nil
}

// writeReport writes a table for each group.
func writeReport(w io.Writer, r bench.Report) error {
	fmt.Fprintf(w, "values of %d bytes, %d rounds, %d processors, load %s, in %s\n", r.ValueBytes, r.Rounds, r.CPUs, r.Load, r.Dir)
	for i := 0; i < len(r.Rows); {
		name, t := r.Rows[i].Group, benchTable()
		for ; i < len(r.Rows) && r.Rows[i].Group == name; i++ {
			t.Row(benchCells(r.Rows[i])...)
		}
		fmt.Fprintf(w, "\n%s\n", name)
		if err := t.Write(w); err != nil {
			return err
		}
	}
	return nil
}

func benchTable() out.Table {
	head := []string{"CALL", "DEPTH", "A SECOND", "UNIT", "P50 us", "P99 us", "CLIENT", "SERVER", "ALLOCS", "CPU/ECHO", "RATE/ECHO"}
	right := slices.Repeat([]bool{true}, len(head))
	right[0], right[3] = false, false
	return out.Table{Head: head, Right: right}
}

func benchCells(r bench.Row) []string {
	return []string{r.Name, strconv.Itoa(r.Depth), figure(r.Rate.Median), r.Unit, figure(r.P50), figure(r.P99), figure(r.ClientCPU.Median),
		figure(r.ServerCPU.Median), figure(r.Allocs.Median), ratio(r.ToEcho), ratio(r.RateEcho)}
}

// figure is a number with three digits that count, or "-" for what was not measured.
func figure(x float64) string {
	switch {
	case x == 0:
		return "-"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

func ratio(q *bench.Quartiles) string {
	if q == nil {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", q.Median, q.Low, q.High)
}
