// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestCompare: calls count for the turn in which they are due, those at its beginning for themselves; and the interval has the ratio in it, is
// narrow when all turns are alike, and wide when one is not; a typical turn stays what it was.
func TestCompare(t *testing.T) {
	turns := Turns{Each: time.Second, Pairs: 10}
	for _, k := range []struct {
		spoilt                     int // pairs whose attacked turns are ten times as slow
		ratio, least, top, typical float64
	}{{0, 2, 2, 2, 2}, {10, 20, 20, 20, 20}, {1, 20, 2, 20, 2}} {
		var all []Took
		for turn := range 2*turns.Pairs + 1 { // one too many
			for i := range 100 {
				ms := 1.0
				switch {
				case turn%2 == 1 && i < 20:
					ms = 1000
				case turn%2 == 1 && turn/2 < k.spoilt:
					ms = 20
				case turn%2 == 1:
					ms = 2
				}
				all = append(all, Took{float64(turn) + float64(i)/100 + 0.001, ms})
			}
		}
		var b Beside
		b.compare(turns, all, rand.New(rand.NewPCG(1, 2)))
		if b.Ratio != k.ratio || b.Least != k.least || b.Most != k.top || b.Typical != k.typical || b.Setup.P50 != 1000 || b.Calls != 10*80 || b.Quiet.Max != 1 {
			t.Errorf("%d spoilt pairs: %+v", k.spoilt, b)
		}
	}
}
