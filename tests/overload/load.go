// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/attack"
)

// Load is what a process of its own offers.
type Load struct {
	Addr    string
	From    []string // addresses of this machine that the connections are spread over; none: any
	Conns   int
	Rate    float64 // calls a second, of all connections, at random times; 0: as many as are answered, Depth at once
	Depth   int
	Seconds float64
	Put     bool // else get
	Seed    uint64
	Vary    bool      // each call has a deadline of its own
	Keep    bool      // tell every time
	Begin   time.Time // when it begins; zero: at once
}

// Offered is what became of a load. Times are in ms, from when a call was due, however late it was sent; Refusals from when it was sent, too.
type Offered struct {
	Seconds                                  float64
	Due, Sent, Done, Refused, Failed, Unsent int // Unsent: no connection had room until the end
	Answer, Refusal, RefusalSent             Times
	All                                      []Took `json:",omitempty"`
}

// Took is a call that was done: when it was due, in s from the beginning, and how long it took from when it was sent, in ms. Calls do not wait for
// each other, so none is left out because another took long; that a sender wakes late is not the gateway's doing.
type Took struct{ Due, Ms float64 }

// Times are percentiles, in ms.
type Times struct{ P50, P99, Max float64 }

func timesOf(all []float64) Times {
	if len(all) == 0 {
		return Times{}
	}
	slices.Sort(all)
	return Times{all[len(all)/2], all[len(all)*99/100], all[len(all)-1]}
}

const (
	resourceExhausted = "8"
	keys              = 10000
	tick              = 200 * time.Microsecond // at least between two writes to a connection
	answersWithin     = 2 * time.Second        // after the end
)

// offering is a load under way.
type offering struct {
	Load
	bodies [][]byte
	begin  time.Time
	end    time.Time

	mu                           sync.Mutex
	o                            Offered
	done, refused, refusedLately []float64
	all                          []Took
}

func (l Load) offer() (Offered, error) {
	o := &offering{Load: l}
	random := rand.New(rand.NewPCG(l.Seed, 0))
	for range 1000 {
		o.bodies = append(o.bodies, o.body(random))
	}
	var clients []*wire
	path := attack.PathGet
	if l.Put {
		path = attack.PathPut
	}
	for i := range l.Conns {
		from := ""
		if len(l.From) > 0 {
			from = l.From[i%len(l.From)]
		}
		c, err := dialWire(from, l.Addr, path)
		if err != nil {
			return Offered{}, err
		}
		defer c.Close()
		c.vary = l.Vary
		clients = append(clients, c)
	}
	time.Sleep(time.Until(l.Begin))
	o.begin = time.Now()
	if !l.Begin.IsZero() {
		o.begin = l.Begin
	}
	o.end = o.begin.Add(time.Duration(l.Seconds * float64(time.Second)))
	var senders sync.WaitGroup
	for i, c := range clients {
		go c.receive(o.answered)
		senders.Go(func() { o.send(c, i, rand.New(rand.NewPCG(l.Seed, uint64(i)+1))) })
	}
	senders.Wait()
	return o.result(clients), nil
}

func (o *offering) body(random *rand.Rand) []byte {
	k := key(random.IntN(keys))
	if o.Put {
		return attack.Message(&apiv1.PutRequest{Object: attack.Object, Key: k, Value: make([]byte, 100)})
	}
	return attack.Message(&apiv1.GetRequest{Object: attack.Object, Key: k})
}

func key(n int) []byte { return fmt.Appendf(nil, "key-%06d", n) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// answered counts those that end in time: what comes later was not carried.
func (o *offering) answered(a answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case a.status == "0" && a.end.Before(o.end), a.status == "0" && o.Keep:
		o.o.Done++
		o.done = append(o.done, ms(a.end.Sub(a.due)))
		if o.Keep {
			o.all = append(o.all, Took{a.due.Sub(o.begin).Seconds(), ms(a.end.Sub(a.sent))})
		}
	case a.status == "0":
	case a.status == resourceExhausted:
		o.o.Refused++
		o.refused = append(o.refused, ms(a.end.Sub(a.due)))
		o.refusedLately = append(o.refusedLately, ms(a.end.Sub(a.sent)))
	default:
		o.o.Failed++
	}
}

// send makes the calls of one connection, and counts them.
func (o *offering) send(c *wire, n int, random *rand.Rand) {
	s := sender{o: o, c: c, random: random, depth: (o.Depth + o.Conns - 1 - n) / o.Conns}
	s.next = o.begin
	s.plan()
	for time.Now().Before(o.end) && s.err == nil {
		s.step()
	}
	for late := o.end.Add(answersWithin); c.unanswered() > 0 && time.Now().Before(late); time.Sleep(time.Millisecond) {
		_ = c.flush() // windows and pings; who cannot be reached is seen below
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Due += s.sent + len(s.due)
	o.o.Sent += s.sent
	o.o.Unsent += len(s.due)
}

// sender is the calls of one connection that are due.
type sender struct {
	o      *offering
	c      *wire
	random *rand.Rand
	depth  int       // at once, without a rate
	next   time.Time // when the next is due
	due    []time.Time
	sent   int
	err    error
}

// plan moves next on by a random time.
func (s *sender) plan() {
	if s.o.Rate > 0 {
		s.next = s.next.Add(time.Duration(s.random.ExpFloat64() * float64(s.o.Conns) / s.o.Rate * float64(time.Second)))
	}
}

func (s *sender) step() {
	now := time.Now()
	if s.o.Rate > 0 {
		for ; s.next.Before(now); s.plan() {
			s.due = append(s.due, s.next)
		}
	} else {
		for range s.depth - s.c.unanswered() {
			s.due = append(s.due, now)
		}
	}
	s.write()
	if s.err = s.c.flush(); s.err == nil {
		s.wait()
	}
}

func (s *sender) write() {
	for len(s.due) > 0 && s.err == nil {
		body := s.o.bodies[s.random.IntN(len(s.o.bodies))]
		if !s.c.room(len(body)) {
			return
		}
		s.err = s.c.send(s.due[0], body)
		s.due, s.sent = s.due[1:], s.sent+1
	}
}

// wait waits until the next call is due, or, when there is no room, for an answer.
func (s *sender) wait() {
	d := time.Until(s.o.end)
	if s.o.Rate > 0 && len(s.due) == 0 {
		d = min(d, max(time.Until(s.next), tick))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.c.wake:
	}
}

func (o *offering) result(clients []*wire) Offered {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range clients {
		o.o.Failed += c.unanswered()
	}
	o.o.Seconds = o.Seconds
	o.o.All = o.all
	o.o.Answer, o.o.Refusal, o.o.RefusalSent = timesOf(slices.Clone(o.done)), timesOf(o.refused), timesOf(o.refusedLately)
	return o.o
}
