// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
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
	settling = 0.1 // of a turn
	groups   = 4   // of pairs, whose ratios say how far one may be off
)

// Beside is what one attack does to a polite client, whose calls are due at times of its own, and to the gateway.
type Beside struct {
	Attack    string  `json:"attack"`
	Quiet     Times   `json:"quiet_ms"`        // of the polite client's calls, in the turns without the attack
	Attacked  Times   `json:"attacked_ms"`     // in the turns with it
	Ratio     float64 `json:"p99_ratio"`       // of all turns
	Least     float64 `json:"p99_ratio_least"` // of a quarter of the turns, which follow each other
	Most      float64 `json:"p99_ratio_most"`
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
	turns := Turns{time.Now().Add(300 * time.Millisecond), r.o.turn, max(int(length/r.o.turn), groups)} // by then both processes are there
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
	b.compare(turns, o.All)
	b.ThenMiB, b.MemoryMiB, err = memoryOf(g.pid())
	r.say("%s: p99 %.2f ms, %.2f in quiet, ratio %.2f (%.2f to %.2f); %.3f s of the gateway a second", name, b.Attacked.P99, b.Quiet.P99, b.Ratio, b.Least, b.Most, b.CPU)
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

// compare sorts the calls by turns.
func (b *Beside) compare(t Turns, all []Took) {
	var quiet, attacked []float64
	var part [groups][2][]float64
	for _, c := range all {
		turn, settled := t.of(c.Due)
		if !settled || turn >= 2*t.Pairs {
			continue
		}
		group := turn / 2 * groups / t.Pairs
		part[group][turn%2] = append(part[group][turn%2], c.Ms)
	}
	for i, p := range part {
		quiet, attacked = append(quiet, p[0]...), append(attacked, p[1]...)
		x := ratio(timesOf(p[0]), timesOf(p[1]))
		if i == 0 {
			b.Least = x
		}
		b.Least, b.Most = min(b.Least, x), max(b.Most, x)
	}
	b.Quiet, b.Attacked = timesOf(quiet), timesOf(attacked)
	b.Ratio = ratio(b.Quiet, b.Attacked)
}

func ratio(quiet, attacked Times) float64 {
	if quiet.P99 == 0 {
		return 0
	}
	return attacked.P99 / quiet.P99
}
