// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-storage/tarn/go/system"
)

// Load is what a system is asked to carry: so many durable puts a second, by so many clients.
type Load struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	Rate    int    `json:"puts_a_second"`
}

// Loads are those of etcd's check of the same name.
var Loads = []Load{{"s", 50, 150}, {"m", 200, 1000}, {"l", 500, 8000}, {"xl", 1000, 15000}}

// What a load must show to pass, as etcd's check has it.
const (
	perfShare   = 0.9 // of the rate
	perfSlowest = 500 * time.Millisecond
	perfP99     = 100 * time.Millisecond
)

// Sizes of what a check of performance puts, in bytes.
const (
	perfKey   = 256
	perfValue = 1024
)

// Criterion is one figure and what it must be.
type Criterion struct {
	Name  string  `json:"name"`
	Got   float64 `json:"got"`
	Limit float64 `json:"limit"`
	Unit  string  `json:"unit"`
	Least bool    `json:"least"` // the limit is the least that passes, else the most
	Pass  bool    `json:"pass"`
}

// Perf is what a check of performance has found.
type Perf struct {
	Load     Load        `json:"load"`
	Seconds  float64     `json:"seconds"`
	Puts     uint64      `json:"puts"`
	P50      float64     `json:"p50_ms"`
	Criteria []Criterion `json:"criteria"`
	Pass     bool        `json:"pass"`
}

// CheckPerf puts for some time at the rate of a load, in a pool of its own that is destroyed at the end, and judges what it sees. A put is timed
// from when it was due: what waits for its turn is late, too. The first put that fails ends the check with its error.
func CheckPerf(ctx context.Context, sys system.System, load Load, d time.Duration, progress func(share float64)) (perf Perf, err error) {
	label := fmt.Sprintf("check-perf-%08x", rand.Uint32())
	if _, err = sys.CreatePool(ctx, label, system.CreatePool{Size: 2 << 30}); err != nil {
		return perf, err
	}
	defer func() { err = errors.Join(err, sys.DestroyPool(context.WithoutCancel(ctx), label, true)) }()
	p, err := sys.OpenPool(ctx, label)
	if err != nil {
		return perf, err
	}
	defer func() { err = errors.Join(err, p.Close()) }() // before the pool is destroyed
	if _, err = p.CreateContainer(ctx, "perf", system.CreateContainer{}); err != nil {
		return perf, err
	}
	c, err := p.OpenContainer(ctx, "perf")
	if err != nil {
		return perf, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	kv, err := c.OpenKV(ctx, "perf", true)
	if err != nil {
		return perf, err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	return runPerf(ctx, kv, load, d, progress)
}

// pace gives each put its turn.
type pace struct {
	begin time.Time
	load  Load
	all   int64 // puts
	next  atomic.Int64
	show  func(share float64)
}

func runPerf(ctx context.Context, kv system.KV, load Load, d time.Duration, progress func(share float64)) (Perf, error) {
	p := &pace{begin: time.Now(), load: load, all: max(int64(d.Seconds()*float64(load.Rate)), 1), show: progress}
	meters, slowest := make([]meter, load.Clients), make([]time.Duration, load.Clients)
	g, gctx := errgroup.WithContext(ctx)
	for i := range load.Clients {
		g.Go(func() (err error) {
			slowest[i], err = p.client(gctx, kv, &meters[i])
			return err
		})
	}
	err := g.Wait()
	took := time.Since(p.begin)
	all, worst := &meters[0], time.Duration(0)
	for i := range meters {
		if worst = max(worst, slowest[i]); i > 0 {
			all.merge(&meters[i])
		}
	}
	return verdict(load, all, worst, took), err
}

// client makes the puts whose turn it takes, and says how long the slowest took.
func (p *pace) client(ctx context.Context, kv system.KV, m *meter) (slowest time.Duration, err error) {
	key, val := make([]byte, perfKey), make([]byte, perfValue)
	for {
		i := p.next.Add(1) - 1
		if i >= p.all {
			return slowest, nil
		}
		due := p.begin.Add(time.Duration(float64(i) / float64(p.load.Rate) * float64(time.Second)))
		if err := sleepUntil(ctx, due); err != nil {
			return slowest, err
		}
		fillRandom(key)
		fillRandom(val)
		if err := kv.Put(ctx, key, val); err != nil {
			return slowest, err
		}
		took := time.Since(due)
		m.add(1, took)
		slowest = max(slowest, took)
		if i%int64(p.load.Rate) == 0 {
			p.show(float64(i) / float64(p.all))
		}
	}
}

func sleepUntil(ctx context.Context, due time.Time) error {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func fillRandom(b []byte) {
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
}

func verdict(load Load, m *meter, slowest, took time.Duration) Perf {
	rate := float64(m.calls) / took.Seconds()
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	p := Perf{Load: load, Seconds: took.Seconds(), Puts: m.calls, P50: ms(m.times.percentile(50)), Pass: true, Criteria: []Criterion{
		{Name: "throughput", Got: rate, Limit: perfShare * float64(load.Rate), Unit: "puts/s", Least: true},
		{Name: "slowest put", Got: ms(slowest), Limit: ms(perfSlowest), Unit: "ms"},
		{Name: "99 of 100 puts", Got: ms(m.times.percentile(99)), Limit: ms(perfP99), Unit: "ms"},
	}}
	for i := range p.Criteria {
		c := &p.Criteria[i]
		c.Pass = c.Least && c.Got >= c.Limit || !c.Least && c.Got <= c.Limit
		p.Pass = p.Pass && c.Pass
	}
	return p
}
