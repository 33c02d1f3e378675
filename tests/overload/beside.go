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

// Strike is what a process of attackers does.
type Strike struct {
	Name      string
	At        [kinds]string // the address that is attacked in turns of each kind; "": none
	From      string
	Attackers int
	Turns     Turns
}

// Struck is what it has done in the turns of attacked.
type Struck struct{ Frames int64 }

// kind is what attackers do in a turn.
type kind int

const (
	quiet     kind = iota // nothing
	elsewhere             // they attack a gateway of their own, on the same processors: what they take, and the machine, without the gateway's part
	attacked              // they attack the gateway of the polite client
	kinds
)

// Turns are rounds of one turn of each kind.
type Turns struct {
	Begin  time.Time
	Each   time.Duration
	Rounds int
}

func (t Turns) all() int { return t.Rounds * int(kinds) }

// at is when a turn begins.
func (t Turns) at(turn int) time.Time { return t.Begin.Add(time.Duration(turn) * t.Each) }

// kindOf is what is done in a turn. Each round begins with another kind: no kind always comes behind the same.
func kindOf(turn int) kind { return kind(turn+turn/int(kinds)) % kinds }

// of is the turn in which something is due, and whether it is long enough behind the last for that to be over.
func (t Turns) of(due float64) (turn int, settled bool) {
	turns := due / t.Each.Seconds()
	return int(turns), turns-float64(int(turns)) > settling
}

const (
	settling  = 0.2 // of a turn, in which attackers connect, and use up what they begin with
	roundsMin = 8
	resamples = 1000
)

// Beside is what one attack does to a polite client, whose calls are due at times of its own, and to the gateway. A ratio is that of the medians of the
// turns' own p99, which a machine that stalls at times does not change.
type Beside struct {
	Attack    string  `json:"attack"`
	Quiet     Times   `json:"quiet_ms"`         // of the polite client's calls, in the turns without the attack
	Elsewhere Times   `json:"elsewhere_ms"`     // in those in which another gateway is attacked
	Attacked  Times   `json:"attacked_ms"`      // in those in which its own is
	Setup     Times   `json:"setup_ms"`         // at the beginning of these, while attackers connect: not in Attacked
	Calls     int     `json:"polite_calls"`     // that Attacked is of
	ToQuiet   Ratio   `json:"to_quiet"`         // of attacked turns to quiet ones
	Machine   Ratio   `json:"machine"`          // of turns in which another gateway is attacked to quiet ones
	Gateway   Ratio   `json:"gateway"`          // of attacked turns to those: what goes through the gateway
	Refused   int     `json:"polite_refused"`   // calls of the polite client
	Lost      int     `json:"polite_lost"`      // that failed, or were not sent
	Frames    float64 `json:"frames_a_second"`  // that were sent
	CPU       float64 `json:"gateway_cpu"`      // seconds a second that the gateway used more than in the quiet turns
	MemoryMiB float64 `json:"memory_most_mib"`  // of the gateway
	ThenMiB   float64 `json:"memory_after_mib"` // when the attackers have gone
}

// Ratio is one, and between which ratios those of 95 % of all draws are.
type Ratio struct {
	Is    float64 `json:"is"`
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

// strike runs attackers in their turns.
func (s Strike) strike() (Struck, error) {
	k, ok := attack.Find(s.Name)
	if !ok {
		return Struck{}, fmt.Errorf("there is no attack %q", s.Name)
	}
	var frames [kinds]atomic.Int64
	errs := make([]error, s.Attackers)
	for turn := range s.Turns.all() {
		does := kindOf(turn)
		if s.At[does] == "" {
			continue
		}
		dial := func() (net.Conn, error) { return dialFrom(s.From, s.At[does], s.Turns.at(turn+1)) }
		time.Sleep(time.Until(s.Turns.at(turn)))
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = errors.Join(errs[i], k.Strike(dial, s.Turns.at(turn+1), &frames[does])) })
		}
		wg.Wait()
	}
	return Struck{frames[attacked].Load()}, errs[0]
}

const attacker = "127.0.0.9"

// beside measures one attack: one polite client and one process of attackers for all turns.
func (r *run) beside(name string, g, other *gateway, polite string) (b Beside, err error) {
	b.Attack = name
	if err := forget(g.pid()); err != nil {
		return b, err
	}
	length := time.Duration(r.o.rounds) * r.o.window
	turns := Turns{time.Now().Add(300 * time.Millisecond), r.o.turn, max(int(length/r.o.turn), roundsMin)} // by then both processes are there
	attackers, err := r.at.attacker.begin("strike", Strike{name, [kinds]string{elsewhere: other.addr, attacked: g.addr}, attacker, r.o.attackers, turns})
	if err != nil {
		return b, err
	}
	seconds := turns.Each.Seconds() * float64(turns.Rounds)
	client, err := r.at.client.begin("load", Load{Addr: polite, Conns: 2, Rate: r.o.polite, Seconds: float64(kinds) * seconds, Seed: r.seed(), Keep: true, Put: r.o.put,
		Begin: turns.Begin})
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
	r.say("%s: p99 %.2f ms, %.2f beside an attack elsewhere, %.2f in quiet; ratios of typical turns %s, by the gateway %s; %.3f s of the gateway a second",
		name, b.Attacked.P99, b.Elsewhere.P99, b.Quiet.P99, b.ToQuiet, b.Gateway, b.CPU)
	return b, err
}

// used waits for all turns, and is how much more processor time a process has used in those of attacked than in the quiet ones.
func (t Turns) used(pid int) (more time.Duration, err error) {
	var last time.Duration
	for turn := range t.all() + 1 {
		time.Sleep(time.Until(t.at(turn)))
		now, err := usedBy(pid)
		if err != nil {
			return 0, err
		}
		if turn > 0 {
			switch kindOf(turn - 1) {
			case quiet:
				more -= now - last
			case attacked:
				more += now - last
			}
		}
		last = now
	}
	return more, nil
}

// round is how long the calls took that were due in one turn of each kind, when it had settled.
type round [kinds][]float64

// compare sorts the calls by turns.
func (b *Beside) compare(t Turns, all []Took, random *rand.Rand) {
	rounds := make([]round, t.Rounds)
	var setup []float64
	for _, c := range all {
		turn, settled := t.of(c.Due)
		if turn >= t.all() {
			continue
		}
		switch took := &rounds[turn/int(kinds)][kindOf(turn)]; {
		case settled:
			*took = append(*took, c.Ms)
		case kindOf(turn) == attacked:
			setup = append(setup, c.Ms)
		}
	}
	b.Setup = timesOf(setup)
	for does, times := range map[kind]*Times{quiet: &b.Quiet, elsewhere: &b.Elsewhere, attacked: &b.Attacked} {
		var together []float64
		for _, r := range rounds {
			together = append(together, r[does]...)
		}
		*times = timesOf(together)
		if does == attacked {
			b.Calls = len(together)
		}
	}
	b.ToQuiet, b.Machine, b.Gateway = ratio(rounds, attacked, quiet, random), ratio(rounds, elsewhere, quiet, random), ratio(rounds, attacked, elsewhere, random)
}

// ratio compares turns of two kinds. Rounds are drawn whole for the interval: what disturbs one call disturbs those beside it, too.
func ratio(rounds []round, of, to kind, random *rand.Rand) Ratio {
	p99s := make([][kinds]float64, len(rounds))
	for i, r := range rounds {
		p99s[i][of], p99s[i][to] = timesOf(r[of]).P99, timesOf(r[to]).P99
	}
	drawn, ratios := make([][kinds]float64, len(rounds)), make([]float64, resamples)
	for i := range ratios {
		for j := range drawn {
			drawn[j] = p99s[random.IntN(len(p99s))]
		}
		ratios[i] = typical(drawn, of, to)
	}
	slices.Sort(ratios)
	return Ratio{typical(p99s, of, to), ratios[resamples*25/1000], ratios[resamples*975/1000]}
}

// typical is the ratio of the medians; 0: there was nothing to compare with.
func typical(p99s [][kinds]float64, of, to kind) float64 {
	median := func(k kind) float64 {
		var all []float64
		for _, turn := range p99s {
			all = append(all, turn[k])
		}
		return timesOf(all).P50
	}
	if median(to) == 0 {
		return 0
	}
	return median(of) / median(to)
}

func (r Ratio) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", r.Is, r.Least, r.Most) }
