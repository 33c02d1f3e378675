// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestCompare: calls count for the turn in which they are due, those at its beginning for themselves. A ratio is that of typical turns: one turn that is
// not like the others does not change it, but widens its interval; and what is slow wherever the attack goes is the machine's.
func TestCompare(t *testing.T) {
	turns := Turns{Each: time.Second, Rounds: 10}
	for _, k := range []struct {
		spoilt  int // rounds whose attacked turns are ten times as slow
		beside  float64
		gateway Ratio
	}{
		{0, 1, Ratio{2, 2, 2}},
		{0, 2, Ratio{1, 1, 1}},
		{10, 1, Ratio{20, 20, 20}},
		{4, 1, Ratio{2, 2, 20}},
	} {
		var all []Took
		for turn := range turns.all() + 1 { // one too many
			for i := range 100 {
				does, ms := kindOf(turn), 1.0
				switch {
				case does == attacked && i < 20:
					ms = 1000
				case does == attacked && turn/3 < k.spoilt:
					ms = 20
				case does == attacked:
					ms = 2
				case does == elsewhere:
					ms = k.beside
				}
				all = append(all, Took{float64(turn) + float64(i)/100 + 0.001, ms})
			}
		}
		var b Beside
		b.compare(turns, all, rand.New(rand.NewPCG(1, 2)))
		if b.Gateway != k.gateway || b.Machine.Is != k.beside || b.ToQuiet.Is != k.gateway.Is*k.beside || b.Setup.P50 != 1000 || b.Calls != 10*80 || b.Quiet.Max != 1 {
			t.Errorf("%+v: %+v", k, b)
		}
	}
}

// TestTurns: each round has each kind once, and each kind comes behind each other.
func TestTurns(t *testing.T) {
	behind := map[[2]kind]bool{}
	for round := range 3 {
		seen := map[kind]bool{}
		for i := range int(kinds) {
			turn := round*int(kinds) + i
			seen[kindOf(turn)] = true
			behind[[2]kind{kindOf(turn), kindOf(turn + 1)}] = true
		}
		if len(seen) != int(kinds) {
			t.Errorf("round %d has %v", round, seen)
		}
	}
	if !behind[[2]kind{quiet, attacked}] || !behind[[2]kind{elsewhere, attacked}] {
		t.Errorf("what comes behind what: %v", behind)
	}
}
