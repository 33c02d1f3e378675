// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"
)

// Step is what was offered, and what became of it: the median of all rounds, and of memory the most.
type Step struct {
	Call       string  `json:"call"`
	Times      float64 `json:"times"`             // of what the gateway carries; 0: as many calls at once as it carries best
	Offered    float64 `json:"offered_a_second"`  // that were due
	Sent       float64 `json:"sent_a_second"`     // before the end: beyond that the processor of the load, or its connections, were the limit
	Done       float64 `json:"done_a_second"`     // in time
	Share      float64 `json:"share_of_peak"`     // of the same round
	Refused    float64 `json:"refused_a_second"`  //
	Failed     int     `json:"failed"`            // neither done nor refused, in all rounds
	Answer     Times   `json:"answer_ms"`         // of what was done, from when it was due
	Refusal    Times   `json:"refusal_ms"`        // from when it was due
	FromSent   Times   `json:"refusal_sent_ms"`   // from when it was sent
	InGateway  Times   `json:"refusal_server_ms"` // from when its headers were read until it was written: upper ends of classes, of all rounds
	GatewayCPU float64 `json:"gateway_cpu"`       // seconds a second
	LoadCPU    float64 `json:"load_cpu"`          // of the process that offers
	MemoryMiB  float64 `json:"memory_mib"`        // the most

}

// depths are how many calls at once are tried for the peak.
var depths = []int{32, 128, 256}

// callers are the addresses that loads come from: each has its share of the gateway.
var callers = []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}

func (r *run) goodput(put bool) ([]Step, error) {
	name := "get"
	if put {
		name = "put"
	}
	best, err := r.bestDepth(put)
	if err != nil {
		return nil, err
	}
	rounds := map[float64][]Step{}
	for range r.o.rounds {
		peak, err := r.step(Load{Put: put, Depth: best})
		if err != nil {
			return nil, err
		}
		peak.Share = 1
		rounds[0] = append(rounds[0], peak)
		for _, times := range r.o.times {
			s, err := r.step(Load{Put: put, Rate: times * peak.Done})
			if err != nil {
				return nil, err
			}
			if peak.Done > 0 { // else the machine has done something else
				s.Share = s.Done / peak.Done
			}
			rounds[times] = append(rounds[times], s)
		}
	}
	var all []Step
	for _, times := range append([]float64{0}, r.o.times...) {
		s := middle(rounds[times])
		s.Call, s.Times = name, times
		all = append(all, s)
	}
	return all, nil
}

// bestDepth is how many calls at once make the most of the gateway.
func (r *run) bestDepth(put bool) (best int, err error) {
	most := 0.0
	for _, depth := range append(depths[:1:1], depths...) { // the first warms up
		s, err := r.step(Load{Put: put, Depth: depth})
		if err != nil {
			return 0, err
		}
		if s.Done > most {
			best, most = depth, s.Done
		}
	}
	r.say("peak at %d calls at once: %.0f a second", best, most)
	return best, nil
}

// step offers one load.
func (r *run) step(l Load) (s Step, err error) {
	l.Addr, l.From, l.Conns, l.Seconds, l.Seed = r.gateway.addr, callers, r.o.conns, r.o.window.Seconds(), r.seed()
	l.Vary = r.o.vary
	if l.Rate == 0 {
		l.Conns = min(l.Conns, l.Depth)
	}
	before, err := r.read()
	if err != nil {
		return s, err
	}
	j, err := r.at.client.begin("load", l)
	if err != nil {
		return s, err
	}
	var o Offered
	if err := j.end(&o); err != nil {
		return s, err
	}
	after, err := r.read()
	if err != nil {
		return s, err
	}
	s = Step{Offered: float64(o.Due) / o.Seconds, Sent: float64(o.Sent) / o.Seconds, Done: float64(o.Done) / o.Seconds, Refused: float64(o.Refused) / o.Seconds,
		Failed: o.Failed, Answer: o.Answer, Refusal: o.Refusal, FromSent: o.RefusalSent, InGateway: after.refusals.since(before.refusals),
		GatewayCPU: (after.cpu - before.cpu).Seconds() / o.Seconds, LoadCPU: (j.cmd.ProcessState.UserTime() + j.cmd.ProcessState.SystemTime()).Seconds() / o.Seconds,
		MemoryMiB: after.memory}
	r.say("%s", s)
	return s, nil
}

// String is one line of progress.
func (s Step) String() string {
	return fmt.Sprintf("offered %.0f, done %.0f, refused %.0f a second; refusal %.1f ms at p99, %.1f in the gateway", s.Offered, s.Done, s.Refused, s.FromSent.P99,
		s.InGateway.P99)
}

// middle is the median of each figure.
func middle(all []Step) Step {
	of := func(figure func(Step) float64) float64 {
		var values []float64
		for _, s := range all {
			values = append(values, figure(s))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	times := func(figure func(Step) Times) Times {
		return Times{of(func(s Step) float64 { return figure(s).P50 }), of(func(s Step) float64 { return figure(s).P99 }), of(func(s Step) float64 { return figure(s).Max })}
	}
	m := Step{
		Offered: of(func(s Step) float64 { return s.Offered }), Sent: of(func(s Step) float64 { return s.Sent }), Done: of(func(s Step) float64 { return s.Done }),
		Share: of(func(s Step) float64 { return s.Share }), Refused: of(func(s Step) float64 { return s.Refused }),
		Answer: times(func(s Step) Times { return s.Answer }), Refusal: times(func(s Step) Times { return s.Refusal }),
		FromSent: times(func(s Step) Times { return s.FromSent }), InGateway: times(func(s Step) Times { return s.InGateway }),
		GatewayCPU: of(func(s Step) float64 { return s.GatewayCPU }), LoadCPU: of(func(s Step) float64 { return s.LoadCPU }),
	}
	for _, s := range all {
		m.Failed += s.Failed
		m.MemoryMiB = max(m.MemoryMiB, s.MemoryMiB)
	}
	return m
}

// reading is what is known of the gateway at a time.
type reading struct {
	refusals classes
	cpu      time.Duration
	memory   float64 // the most, MiB
}

func (r *run) read() (v reading, err error) {
	if v.refusals, err = r.gateway.refusals(); err != nil {
		return v, err
	}
	if v.cpu, err = usedBy(r.gateway.pid()); err != nil {
		return v, err
	}
	_, v.memory, err = memoryOf(r.gateway.pid())
	return v, err
}
