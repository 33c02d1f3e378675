// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-storage/tarn/tests/attack"
)

// Strike is what a process of attackers does.
type Strike struct {
	Name      string
	Addr      string
	From      string
	Attackers int
	Seconds   float64
}

// Struck is what it has done.
type Struck struct{ Frames int64 }

// Beside is what one attack does to a polite client, whose calls are due at times of its own, and to the gateway.
type Beside struct {
	Attack    string  `json:"attack"`
	Quiet     Times   `json:"quiet_ms"`         // of the polite client's calls, in the windows between the attacks
	Attacked  Times   `json:"attacked_ms"`      //
	Ratio     float64 `json:"p99_ratio"`        //
	Refused   int     `json:"polite_refused"`   // calls of the polite client
	Lost      int     `json:"polite_lost"`      // that failed, or were not sent
	Frames    float64 `json:"frames_a_second"`  // that were sent
	CPU       float64 `json:"gateway_cpu"`      // seconds a second that the gateway used more than in the quiet windows
	MemoryMiB float64 `json:"memory_most_mib"`  // of the gateway
	ThenMiB   float64 `json:"memory_after_mib"` // when the attackers have gone
}

func find(name string) (attack.Attack, error) {
	for _, k := range attack.All {
		if k.Name == name {
			return k, nil
		}
	}
	return attack.Attack{}, fmt.Errorf("there is no attack %q", name)
}

// strike runs attackers until their time is over.
func (s Strike) strike() (Struck, error) {
	var frames atomic.Int64
	k, err := find(s.Name)
	if err != nil {
		return Struck{}, err
	}
	dial := func() (net.Conn, error) { return dialFrom(s.From, s.Addr) }
	end := time.Now().Add(time.Duration(s.Seconds * float64(time.Second)))
	errs := make([]error, s.Attackers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = k.Strike(dial, end, &frames) })
	}
	wg.Wait()
	return Struck{frames.Load()}, errs[0]
}

const attacker = "127.0.0.9"

// window is what the polite client and the gateway have had meanwhile.
type window struct {
	polite Offered
	cpu    float64
	frames int64
}

// beside measures one attack, in turns with quiet.
func (r *run) beside(name string) (b Beside, err error) {
	b.Attack = name
	var quiet, attacked []float64
	var quietCPU, attackedCPU float64
	if err := forget(r.gateway.pid()); err != nil {
		return b, err
	}
	for range r.o.rounds {
		q, err := r.window("")
		if err != nil {
			return b, err
		}
		a, err := r.window(name)
		if err != nil {
			return b, err
		}
		quiet, attacked = append(quiet, q.polite.AllDone...), append(attacked, a.polite.AllDone...)
		quietCPU, attackedCPU = quietCPU+q.cpu, attackedCPU+a.cpu
		b.Refused += a.polite.Refused
		b.Lost += a.polite.Due - a.polite.Done - a.polite.Refused
		b.Frames += float64(a.frames) / r.o.window.Seconds() / float64(r.o.rounds)
	}
	b.Quiet, b.Attacked, b.CPU = timesOf(quiet), timesOf(attacked), (attackedCPU-quietCPU)/float64(r.o.rounds)
	if b.Quiet.P99 > 0 {
		b.Ratio = b.Attacked.P99 / b.Quiet.P99
	}
	b.ThenMiB, b.MemoryMiB, err = memoryOf(r.gateway.pid())
	r.say("%s: p99 %.2f ms, %.2f in quiet; %.3f s of the gateway a second", name, b.Attacked.P99, b.Quiet.P99, b.CPU)
	return b, err
}

// window runs the polite client for a while, beside an attack or none.
func (r *run) window(name string) (w window, err error) {
	seconds := r.o.window.Seconds()
	var attackers *job
	if name != "" {
		s := Strike{Name: name, Addr: r.gateway.addr, From: attacker, Attackers: r.o.attackers, Seconds: seconds + 0.3}
		if attackers, err = r.at.attacker.begin("strike", s); err != nil {
			return w, err
		}
		time.Sleep(200 * time.Millisecond) // they have begun
	}
	before, err := usedBy(r.gateway.pid())
	if err != nil {
		return w, err
	}
	l := Load{Addr: r.gateway.addr, Conns: 2, Rate: r.o.polite, Seconds: seconds, Seed: r.seed(), Keep: true, Put: r.o.put}
	j, err := r.at.client.begin("load", l)
	if err == nil {
		err = j.end(&w.polite)
	}
	if err != nil {
		return w, err
	}
	after, err := usedBy(r.gateway.pid())
	if err != nil {
		return w, err
	}
	w.cpu = (after - before).Seconds() / seconds
	if attackers != nil {
		var s Struck
		err = attackers.end(&s)
		w.frames = s.Frames
	}
	return w, err
}
