// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCalls makes each call of the Go side once, on the real data.
func TestCalls(t *testing.T) {
	s, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range allCalls {
		c.count = 1
		if ns, err := s.turn(c); err != nil || ns < 0 {
			t.Errorf("%s: %g ns, %v", c.name, ns, err)
		}
		if n, err := s.allocations(c); err != nil || n > 50 {
			t.Errorf("%s allocates %g times, %v", c.name, n, err)
		}
	}
	if err = s.close(); err != nil {
		t.Error(err)
	}
	if _, err = os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", s.dir, err)
	}
}

// TestTurns runs two rounds beside the C side, where it is built.
func TestTurns(t *testing.T) {
	const program = "../../build/release/bench/calls"
	if _, err := os.Stat(program); err != nil {
		t.Skip("the C side is not built: make bench-cgo does it")
	}
	var out strings.Builder
	if err := run([]string{"-c", program, "-rounds", "2", "-calls", "GetInto,Scan/100"}, &out); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(\S+) +(-?\d+ \(-?\d+ to -?\d+\) +){3}-?\d+ +\d+\.\d$`)
	if got := line.FindAllStringSubmatch(out.String(), -1); len(got) != 2 || got[0][1] != "GetInto" || got[1][1] != "Scan/100" {
		t.Errorf("printed:\n%s", &out)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{[]float64{7}, "7 (7 to 7)"},
		{[]float64{5, 1, 4, 2, 3}, "3 (2 to 4)"},
	} {
		if got := spread(c.values); got != c.want {
			t.Errorf("the spread of %v is %q, want %q", c.values, got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	if o, err := parse([]string{"-calls", "Put,Apply"}); err != nil || len(o.calls) != 2 || o.calls[0].name != "Put" {
		t.Errorf("two calls are %+v, %v", o.calls, err)
	}
	for _, args := range []string{"-calls Nothing", "-rounds 0", "x"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

// TestNoTwin: a program that is not there, or does not answer, is an error.
func TestNoTwin(t *testing.T) {
	if err := run([]string{"-c", "/nowhere", "-rounds", "1"}, os.Stderr); err == nil {
		t.Error("there is no C side, and no error")
	}
	tw, err := startTwin("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer tw.stop()
	if ns, err := tw.turn(allCalls[0]); err == nil {
		t.Errorf("/bin/true answered %g ns", ns)
	}
}
