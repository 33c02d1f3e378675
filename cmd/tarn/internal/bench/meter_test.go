// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"math"
	"testing"
	"time"
)

// TestHistogram: a percentile is that of the durations to within a 32nd, whatever their size.
func TestHistogram(t *testing.T) {
	for _, unit := range []time.Duration{1, time.Microsecond, time.Millisecond, time.Hour, 1000 * time.Hour} {
		var h histogram
		for i := range 1000 {
			h.add(time.Duration(i+1) * unit)
		}
		for _, p := range []float64{1, 50, 99, 100} {
			want := float64(unit) * p * 10
			if got := float64(h.percentile(p)); math.Abs(got-want) > want/31 {
				t.Errorf("of 1 to 1000 times %v the percentile %v is %v", unit, p, time.Duration(got))
			}
		}
	}
	var none histogram
	none.add(-1)
	if got := none.percentile(99); got != 0 {
		t.Errorf("of a clock that went back: %v", got)
	}
	none.add(math.MaxInt64)
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Quartiles
	}{
		{nil, Quartiles{}},
		{[]float64{7}, Quartiles{7, 7, 7}},
		{[]float64{5, 1, 3, 2, 4}, Quartiles{2, 3, 4}},
		{[]float64{4, 1, 3, 2}, Quartiles{1.75, 2.5, 3.25}},
	} {
		if got := quartiles(c.values); got != c.want {
			t.Errorf("of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

// TestGroup: rates and ratios of calls whose cost is known, and an error ends the group.
func TestGroup(t *testing.T) {
	sleep := func(d time.Duration) call {
		return func(context.Context) error { time.Sleep(d); return nil }
	}
	of := func(name string, f ...call) *measured {
		return &measured{row: Row{Name: name}, job: loop(3, f...), scale: 1}
	}
	g := &group{name: "g", echo: true, rounds: 3, window: 20 * time.Millisecond, cells: []*measured{
		of("echo", sleep(2*time.Millisecond)), of("slow", sleep(50*time.Millisecond)), of("many", times(8, sleep(2*time.Millisecond))...),
		of("again", sleep(2*time.Millisecond)),
	}}
	rows, err := g.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slow := rows[1].RateEcho.Median; slow > 0.9 {
		t.Errorf("a call that takes many times as long has %v of the rate", slow)
	}
	if many := rows[2].RateEcho.Median; many < 1.2 {
		t.Errorf("eight at a time have %v times the rate", many)
	}
	if rows[0].RateEcho != nil || rows[3].RateEcho == nil || rows[1].P50 < 48000 || rows[0].Rate.Median > 1600 {
		t.Errorf("rows %+v", rows)
	}
	g.cells[2].job = loop(1, func(context.Context) error { return context.DeadlineExceeded })
	if _, err := g.run(t.Context()); err == nil {
		t.Error("a call failed and the group did not")
	}
}
