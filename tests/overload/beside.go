// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-storage/tarn/tests/attack"
)

// Strike is what a process of attackers does: it attacks in every second turn.
type Strike struct {
	Name      string
	Addr      string
	From      string
	Attackers int
	Turns     Turns
}

// Struck is what it has done.
type Struck struct{ Frames int64 }

// Turns are pairs of a quiet turn and one beside an attack.
type Turns struct {
	Begin time.Time
	Each  time.Duration
	Pairs int
}

// at is when a turn begins.
func (t Turns) at(turn int) time.Time { return t.Begin.Add(time.Duration(turn) * t.Each) }

// of is the turn in which something is due, and whether it is long enough behind the last for that to be over.
func (t Turns) of(due float64) (turn int, settled bool) {
	turns := due / t.Each.Seconds()
	return int(turns), turns-float64(int(turns)) > settling
}

const (
	settling  = 0.2 // of a turn, in which attackers connect, and use up what they begin with
	pairsMin  = 8
	resamples = 1000
)

// Beside is what one attack does to a polite client, whose calls are due at times of its own, and to the gateway.
type Beside struct {
	Attack    string  `json:"attack"`
	Quiet     Times   `json:"quiet_ms"`        // of the polite client's calls, in the turns without the attack
	Attacked  Times   `json:"attacked_ms"`     // in the turns with it
	Setup     Times   `json:"setup_ms"`        // at the beginning of these, while attackers connect: not in Attacked
	Calls     int     `json:"polite_calls"`    // that Attacked is of
	Ratio     float64 `json:"p99_ratio"`       // of all turns
	Least     float64 `json:"p99_ratio_least"` // the interval of 95 % for it, by drawing pairs of turns again and again
	Most      float64 `json:"p99_ratio_most"`
	Typical   float64 `json:"turn_ratio"`       // of the medians of the turns' own p99: what a machine that stalls at times does is not in it
	TypLeast  float64 `json:"turn_ratio_least"` // its interval, likewise
	TypMost   float64 `json:"turn_ratio_most"`
	Refused   int     `json:"polite_refused"`   // calls of the polite client
	Lost      int     `json:"polite_lost"`      // that failed, or were not sent
	Frames    float64 `json:"frames_a_second"`  // that were sent
	CPU       float64 `json:"gateway_cpu"`      // seconds a second that the gateway used more than in the quiet turns
	MemoryMiB float64 `json:"memory_most_mib"`  // of the gateway
	ThenMiB   float64 `json:"memory_after_mib"` // when the attackers have gone
}

// strike runs attackers in their turns.
func (s Strike) strike() (Struck, error) {
	var frames atomic.Int64
	k, ok := attack.Find(s.Name)
	if !ok {
		return Struck{}, fmt.Errorf("there is no attack %q", s.Name)
	}
	dial := func() (net.Conn, error) { return dialFrom(s.From, s.Addr) }
	errs := make([]error, s.Attackers)
	for turn := 1; turn < 2*s.Turns.Pairs; turn += 2 {
		time.Sleep(time.Until(s.Turns.at(turn)))
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = errors.Join(errs[i], k.Strike(dial, s.Turns.at(turn+1), &frames)) })
		}
		wg.Wait()
	}
	return Struck{frames.Load()}, errs[0]
}

const attacker = "127.0.0.9"

// beside measures one attack, in turns with quiet: one polite client and one process of attackers for all of them.
func (r *run) beside(name string, g *gateway, polite string) (b Beside, err error) {
	b.Attack = name
	if err := forget(g.pid()); err != nil {
		return b, err
	}
	length := time.Duration(r.o.rounds) * r.o.window
	turns := Turns{time.Now().Add(300 * time.Millisecond), r.o.turn, max(int(length/r.o.turn), pairsMin)} // by then both processes are there
	attackers, err := r.at.attacker.begin("strike", Strike{name, g.addr, attacker, r.o.attackers, turns})
	if err != nil {
		return b, err
	}
	seconds := turns.Each.Seconds() * float64(turns.Pairs)
	client, err := r.at.client.begin("load", Load{Addr: polite, Conns: 2, Rate: r.o.polite, Seconds: 2 * seconds, Seed: r.seed(), Keep: true, Put: r.o.put, Begin: turns.Begin})
	if err != nil {
		return b, err
	}
	used, err := turns.used(g.pid())
	if err != nil {
		return b, err
	}
	var o Offered
	var struck Struck
	if err := errors.Join(client.end(&o), attackers.end(&struck)); err != nil {
		return b, err
	}
	b.CPU, b.Frames = used.Seconds()/seconds, float64(struck.Frames)/seconds
	b.Refused, b.Lost = o.Refused, o.Due-o.Done-o.Refused
	b.compare(turns, o.All, r.random)
	b.ThenMiB, b.MemoryMiB, err = memoryOf(g.pid())
	r.say("%s: p99 %.2f ms, %.2f in quiet, ratio %.2f (%.2f to %.2f), of a typical turn %.2f (%.2f to %.2f); %.3f s of the gateway a second",
		name, b.Attacked.P99, b.Quiet.P99, b.Ratio, b.Least, b.Most, b.Typical, b.TypLeast, b.TypMost, b.CPU)
	return b, err
}

// used waits for all turns, and is how much more processor time a process has used in those of an attack.
func (t Turns) used(pid int) (more time.Duration, err error) {
	for turn := range 2*t.Pairs + 1 {
		time.Sleep(time.Until(t.at(turn)))
		now, err := usedBy(pid)
		if err != nil {
			return 0, err
		}
		switch {
		case turn == 0:
			more += now
		case turn == 2*t.Pairs:
			more += now
		case turn%2 == 1:
			more -= 2 * now
		default:
			more += 2 * now
		}
	}
	return more, nil
}

// pair is how long the calls took that were due in a quiet turn and in the one behind it, and those at its beginning.
type pair struct{ quiet, attacked, setup []float64 }

// compare sorts the calls by turns.
func (b *Beside) compare(t Turns, all []Took, random *rand.Rand) {
	pairs := make([]pair, t.Pairs)
	for _, c := range all {
		turn, settled := t.of(c.Due)
		if turn >= 2*t.Pairs {
			continue
		}
		switch p := &pairs[turn/2]; {
		case settled && turn%2 == 0:
			p.quiet = append(p.quiet, c.Ms)
		case settled:
			p.attacked = append(p.attacked, c.Ms)
		case turn%2 == 1:
			p.setup = append(p.setup, c.Ms)
		}
	}
	var setup []float64
	for _, p := range pairs {
		setup = append(setup, p.setup...)
	}
	b.Setup = timesOf(setup)
	b.Quiet, b.Attacked, b.Calls = together(pairs)
	b.Ratio, b.Least, b.Most = interval(pairs, ofAll, random)
	b.Typical, b.TypLeast, b.TypMost = interval(pairs, ofTypical, random)
}

// together is what all pairs say.
func together(pairs []pair) (quiet, attacked Times, calls int) {
	var q, a []float64
	for _, p := range pairs {
		q, a = append(q, p.quiet...), append(a, p.attacked...)
	}
	return timesOf(q), timesOf(a), len(a)
}

// interval is the ratio of pairs, and between which ratios those of 95 % of all draws are. A turn is drawn whole: what disturbs one call disturbs
// those beside it, too.
func interval(pairs []pair, of func([]pair) float64, random *rand.Rand) (ratio, least, most float64) {
	drawn, ratios := make([]pair, len(pairs)), make([]float64, resamples)
	for i := range ratios {
		for j := range drawn {
			drawn[j] = pairs[random.IntN(len(pairs))]
		}
		ratios[i] = of(drawn)
	}
	slices.Sort(ratios)
	return of(pairs), ratios[resamples*25/1000], ratios[resamples*975/1000]
}

// ofAll is the ratio of the p99 of all calls.
func ofAll(pairs []pair) float64 {
	quiet, attacked, _ := together(pairs)
	return ratio(quiet.P99, attacked.P99)
}

// ofTypical is the ratio of the medians of the turns' own p99.
func ofTypical(pairs []pair) float64 {
	var quiet, attacked []float64
	for _, p := range pairs {
		quiet, attacked = append(quiet, timesOf(p.quiet).P99), append(attacked, timesOf(p.attacked).P99)
	}
	return ratio(timesOf(quiet).P50, timesOf(attacked).P50)
}

func ratio(quiet, attacked float64) float64 {
	if quiet == 0 {
		return 0
	}
	return attacked / quiet
}
