// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// watched is a system that says how it is doing: a gateway.
type watched interface {
	Stats(ctx context.Context) (system.ServerStats, error)
}

// topMethod is what a method did in the last interval.
type topMethod struct {
	Method  string  `json:"method"`
	Rate    float64 `json:"calls_per_second"`
	Errors  float64 `json:"errors_per_second"`
	Latency float64 `json:"mean_seconds"` // 0 when no call ended
	Calls   uint64  `json:"calls"`        // since the start
}

// top is what tarn top shows.
type top struct {
	Seconds float64            `json:"seconds"` // what the rates are of
	Refused float64            `json:"refused_per_second"`
	Server  system.ServerStats `json:"server"`
	Methods []topMethod        `json:"methods"` // the busiest first
	Pools   []system.PoolInfo  `json:"pools"`
}

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var once bool
	cmd := &cobra.Command{
		Use: "top", Short: "show what a gateway is doing, again and again", Args: args(0, 0),
		Long: `Shows what a gateway is doing: watches, calls that it refuses for want of room, pools, and its methods with calls a
second and mean latency, the busiest first. The calls of tarn top itself are among them. Streams are counted when they end.

  tarn top
  tarn top --once -o json --every 10s      for scripts: the rates of ten seconds`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case every < 100*time.Millisecond:
				return usage("--every is at least 100ms")
			case a.out.JSON && !once:
				return usage("-o json needs --once")
			}
			return a.with(cmd, func(ctx context.Context, sys system.System) error { return a.top(ctx, sys, every, once) })
		},
	}
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "time between two looks")
	cmd.Flags().BoolVar(&once, "once", false, "show one interval and end")
	return cmd
}

func (a *app) top(ctx context.Context, sys system.System, every time.Duration, once bool) error {
	gateway, ok := sys.(watched)
	if !ok {
		return out.WithHint(errno.New("top", "", errno.NotSupported, "no gateway serves these pools, so there are no calls to show"),
			"start tarn-gateway, or name one with --endpoint")
	}
	last, err := gateway.Stats(ctx)
	for at := time.Now(); err == nil; {
		if !sleep(ctx, every) {
			return ctx.Err()
		}
		var t top
		if t, err = look(ctx, sys, gateway, last, at); err != nil {
			return err
		}
		last, at = t.Server, time.Now()
		if once {
			return a.out.Answer(t, t.write)
		}
		if err = a.refresh(t); err != nil {
			return err
		}
	}
	return err
}

// sleep reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func look(ctx context.Context, sys system.System, gateway watched, last system.ServerStats, at time.Time) (t top, err error) {
	if t.Server, err = gateway.Stats(ctx); err != nil {
		return t, err
	}
	t.Seconds = time.Since(at).Seconds()
	t.Methods = rates(last, t.Server, t.Seconds)
	t.Refused = float64(t.Server.Refused) / t.Seconds
	if last.Started.Equal(t.Server.Started) {
		t.Refused = float64(t.Server.Refused-last.Refused) / t.Seconds
	}
	t.Pools, err = sys.Pools(ctx)
	t.Pools = list(t.Pools)
	return t, err
}

// rates are of what happened between two looks. A gateway that began anew in between is counted from its start.
func rates(last, now system.ServerStats, seconds float64) []topMethod {
	before := map[string]system.MethodStats{}
	if last.Started.Equal(now.Started) {
		for _, m := range last.Methods {
			before[m.Method] = m
		}
	}
	all := []topMethod{}
	for _, m := range now.Methods {
		b := before[m.Method]
		t := topMethod{Method: m.Method, Rate: float64(m.Calls-b.Calls) / seconds, Errors: float64(m.Errors-b.Errors) / seconds, Calls: m.Calls}
		if m.Calls > b.Calls {
			t.Latency = (m.Seconds - b.Seconds) / float64(m.Calls-b.Calls)
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(x, y topMethod) int {
		return cmp.Or(cmp.Compare(y.Rate, x.Rate), cmp.Compare(y.Calls, x.Calls), strings.Compare(x.Method, y.Method))
	})
	return all
}

// refresh shows the next look: in the place of the last one on a terminal, else beneath it.
func (a *app) refresh(t top) error {
	var b strings.Builder
	if a.StdoutTTY {
		b.WriteString("\x1b[H\x1b[2J")
	}
	if err := t.write(&b); err != nil {
		return err
	}
	if !a.StdoutTTY {
		b.WriteString("\n")
	}
	_, err := io.WriteString(a.Stdout, b.String())
	return err
}

func (t top) write(w io.Writer) error {
	s := t.Server
	fmt.Fprintf(w, "up %v, %s of %s in flight, %d open handles, %d goroutines, heap %s\n", time.Since(s.Started).Round(time.Second),
		arg.FormatSize(s.InFlight), arg.FormatSize(s.InFlightLimit), s.Handles, s.Goroutines, arg.FormatSize(s.Heap))
	fmt.Fprintf(w, "%d of %d watches, %.1f refused a second for want of room, %d since the start\n\n", s.Watches, s.WatchesLimit, t.Refused, s.Refused)
	pools := out.Table{Head: []string{"POOL", "SIZE", "LOG"}, Right: []bool{false, true, true}}
	for _, p := range t.Pools {
		pools.Row(p.Label, arg.FormatSize(p.TotalBytes), arg.FormatSize(p.LogBytes))
	}
	if err := pools.Write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	methods := out.Table{Head: []string{"METHOD", "CALLS/S", "ERRORS/S", "MEAN", "CALLS"}, Right: []bool{false, true, true, true, true}}
	for _, m := range t.Methods {
		mean := "-"
		if m.Latency > 0 {
			mean = time.Duration(m.Latency * 1e9).Round(time.Microsecond).String()
		}
		methods.Row(strings.TrimPrefix(m.Method, "/tarn.v1."), fmt.Sprintf("%.1f", m.Rate), fmt.Sprintf("%.1f", m.Errors), mean, fmt.Sprint(m.Calls))
	}
	return methods.Write(w)
}
