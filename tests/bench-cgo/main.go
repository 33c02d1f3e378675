// SPDX-License-Identifier: Apache-2.0

// Program bench-cgo measures what a call from Go costs more than the same call in C, when the cache answers it.
//
// The C side is c/bench/calls, a process of its own with a store of its own; this process is the Go side. Both make the same calls on the same
// data, in turns of some milliseconds, so that what else the machine does meets both. Time is processor time of the whole process, its
// garbage collector and its library's threads included. The difference is that of two turns which follow each other.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	twin   string
	rounds int
	calls  []call
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && err != flag.ErrHelp {
		fmt.Fprintln(os.Stderr, "bench-cgo:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench-cgo", flag.ContinueOnError)
	f.StringVar(&o.twin, "c", "build/release/bench/calls", "the program with the C side")
	f.IntVar(&o.rounds, "rounds", 100, "turns of each call and side")
	names := f.String("calls", "", "calls, with commas, of "+callNames()+"; all when not given")
	if err = f.Parse(args); err != nil {
		return o, err
	}
	o.calls = chosen(*names)
	switch {
	case len(o.calls) == 0:
		err = fmt.Errorf("-calls are of %s, found %q", callNames(), *names)
	case o.rounds < 1 || o.rounds > 1e6:
		err = fmt.Errorf("-rounds is from 1 to 1e6, found %d", o.rounds)
	case f.NArg() > 0:
		err = fmt.Errorf("there is an argument without a flag: %q", f.Arg(0))
	}
	return o, err
}

func chosen(names string) []call {
	if names == "" {
		return allCalls
	}
	return slices.DeleteFunc(slices.Clone(allCalls), func(c call) bool { return !slices.Contains(strings.Split(names, ","), c.name) })
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	t, err := startTwin(o.twin)
	if err != nil {
		return err
	}
	defer t.stop()
	s, err := openStore()
	if err != nil {
		return err
	}
	defer s.close()
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(out, "Processor time of a call in ns: medians of %d turns, and quartiles. Load average %s\n", o.rounds, load)
	fmt.Fprintf(out, "%-10s %22s %22s %22s %9s %7s\n", "", "C", "Go", "Go - C", "least", "allocs")
	for _, c := range o.calls {
		r, err := measure(o.rounds, c, t, s)
		if err != nil {
			return err
		}
		r.print(out)
	}
	return nil
}

// result is what the turns of a call have measured: ns of a call.
type result struct {
	call      call
	c, go_    []float64
	more      []float64 // of the same round
	allocated float64   // times of a call
}

// measure has both sides make a call in turns, each first in every other round. The first round of all is not counted.
func measure(rounds int, c call, t *twin, s *store) (r result, err error) {
	r.call = c
	for round := range rounds + 1 {
		sides := []func(call) (float64, error){t.turn, s.turn}
		first := round % 2
		var ns [2]float64
		for _, side := range []int{first, 1 - first} {
			if ns[side], err = sides[side](c); err != nil {
				return r, err
			}
		}
		if round > 0 {
			r.c, r.go_, r.more = append(r.c, ns[0]), append(r.go_, ns[1]), append(r.more, ns[1]-ns[0])
		}
	}
	r.allocated, err = s.allocations(c)
	return r, err
}

// print writes the line of a call. The least is of the best turns of each side, which nothing disturbed.
func (r result) print(out io.Writer) {
	fmt.Fprintf(out, "%-10s %22s %22s %22s %9.0f %7.1f\n", r.call.name, spread(r.c), spread(r.go_), spread(r.more),
		slices.Min(r.go_)-slices.Min(r.c), r.allocated)
}

// spread is the median and the quartiles.
func spread(values []float64) string {
	v := slices.Sorted(slices.Values(values))
	n := len(v) - 1
	return fmt.Sprintf("%.0f (%.0f to %.0f)", v[n/2], v[n/4], v[n*3/4])
}
