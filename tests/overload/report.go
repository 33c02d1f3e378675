// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// write writes the report for people.
func (r Report) write(w io.Writer) error {
	fmt.Fprintf(w, "%d rounds of %g s, seed %d, %d processors, load %s at the start and %s at the end\n%s\nmemory of the gateway before: %.0f MiB\n",
		r.Rounds, r.Window, r.Seed, r.CPUs, r.Load, r.LoadEnd, strings.Join(r.Places, "\n"), r.IdleMiB)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Steps) > 0 {
		fmt.Fprintln(t, "\n\t\t\ta second\t\t\t\t\tanswer ms\t\trefusal ms, sent\t\t\tin the gateway\t\t\tCPU\t\tMiB\t")
		fmt.Fprintln(t, "call\ttimes\toffered\tsent\tdone\tof peak\trefused\tfailed\tp50\tp99\tp50\tp99\tmax\tp50\tp99\tmax\tgateway\tload\tmost\t")
	}
	for _, s := range r.Steps {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f %%\t%.0f\t%d\t%.1f\t%.1f\t%.2f\t%.1f\t%.0f\t%.2f\t%.2f\t%.1f\t%.2f\t%.2f\t%.0f\t\n", s.Call, factor(s.Times), s.Offered, s.Sent, s.Done,
			100*s.Share, s.Refused, s.Failed, s.Answer.P50, s.Answer.P99, s.FromSent.P50, s.FromSent.P99, s.FromSent.Max, s.InGateway.P50, s.InGateway.P99,
			s.InGateway.Max, s.GatewayCPU, s.LoadCPU, s.MemoryMiB)
	}
	if len(r.Attacks) > 0 {
		fmt.Fprintln(t, "\n\tquiet ms\t\telsewhere\tattacked ms\t\t\tsetup\tp99 of typical turns, ratios (95 %)\t\t\tpolite calls\t\t\tframes\tCPU\tMiB\t\t")
		fmt.Fprintln(t, "attack\tp50\tp99\tp99\tp50\tp99\tmax\tp99\tto quiet\tthe machine's\tthe gateway's\tattacked\trefused\tlost\ta second\ta second\tmost\tthen\t")
	}
	for _, b := range r.Attacks {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%.2f\t%s\t%s\t%s\t%d\t%d\t%d\t%.0f\t%.3f\t%.0f\t%.0f\t\n", b.Attack, b.Quiet.P50, b.Quiet.P99, b.Elsewhere.P99,
			b.Attacked.P50, b.Attacked.P99, b.Attacked.Max, b.Setup.P99, b.ToQuiet, b.Machine, b.Gateway, b.Calls, b.Refused, b.Lost, b.Frames, b.CPU, b.MemoryMiB, b.ThenMiB)
	}
	return t.Flush()
}

func factor(times float64) string {
	if times == 0 {
		return "peak"
	}
	return fmt.Sprintf("%g x", times)
}
