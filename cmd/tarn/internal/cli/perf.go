// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/bench"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutPerf = `Puts keys of 256 and values of 1024 bytes, durably, at the rate of a load, and says whether this system carries it: at least 90 %
of the rate, 99 of 100 puts within 100 ms, and the slowest within 500 ms. It is done in a pool of its own, of 2 GiB, where the other
commands would look for theirs: at the gateway or in the root directory. The pool is destroyed at the end. The loads are those of
'etcdctl check perf':

  s   50 clients,   150 puts/s      l    500 clients,  8000 puts/s
  m  200 clients,  1000 puts/s      xl  1000 clients, 15000 puts/s

A pool with the label perf is checked by 'tarn pool check perf'.

Exit status: 0 it carries the load, 1 it does not.`

func (a *app) checkPerf() *cobra.Command {
	var name string
	var d time.Duration
	cmd := &cobra.Command{
		Use: "perf", Short: "say whether this system carries a load of durable puts", Long: aboutPerf, Args: args(0, 0),
		Example: "  tarn check perf --load m\n  tarn check perf --load l --for 10s -o json --endpoint unix:/var/lib/tarn/tarn.sock",
		RunE: func(cmd *cobra.Command, _ []string) error {
			load, err := loadOf(name)
			if err != nil {
				return err
			}
			if d <= 0 || d > time.Hour {
				return usage("--for is from 1ns to 1h")
			}
			return a.with(cmd, func(ctx context.Context, sys system.System) error { return a.perf(ctx, sys, load, d) })
		},
	}
	cmd.Flags().StringVar(&name, "load", "s", "s, m, l or xl")
	cmd.Flags().DurationVar(&d, "for", time.Minute, "how long")
	complete(cmd, "load", "s", "m", "l", "xl")
	return cmd
}

func loadOf(name string) (bench.Load, error) {
	for _, load := range bench.Loads {
		if load.Name == name {
			return load, nil
		}
	}
	return bench.Load{}, usage("--load is s, m, l or xl, not %q", name)
}

func (a *app) perf(ctx context.Context, sys system.System, load bench.Load, d time.Duration) error {
	show := func(float64) {}
	if a.StderrTTY && !a.quiet && !a.out.JSON {
		show = func(share float64) { fmt.Fprintf(a.Stderr, "\r%3.0f%%", share*100) }
		defer fmt.Fprint(a.Stderr, "\r\x1b[K")
	}
	perf, err := bench.CheckPerf(ctx, sys, load, d, show)
	if err != nil {
		return err
	}
	if !perf.Pass {
		a.exit = out.ExitOther
	}
	return a.out.Answer(perf, func(w io.Writer) error { return writePerf(w, perf) })
}

func writePerf(w io.Writer, p bench.Perf) error {
	fmt.Fprintf(w, "load %s: %d clients, %d durable puts a second; %d puts in %.1f s, half of them within %.3g ms\n",
		p.Load.Name, p.Load.Clients, p.Load.Rate, p.Puts, p.Seconds, p.P50)
	for _, c := range p.Criteria {
		most := "at most"
		if c.Least {
			most = "at least"
		}
		fmt.Fprintf(w, "%s  %s: %.4g %s (%s %.4g)\n", passed(c.Pass), c.Name, c.Got, c.Unit, most, c.Limit)
	}
	_, err := fmt.Fprintln(w, strings.TrimSpace(passed(p.Pass)))
	return err
}

func passed(ok bool) string {
	if ok {
		return "PASS"
	}
	return "FAIL"
}
