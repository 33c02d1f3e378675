// SPDX-License-Identifier: Apache-2.0

// Package bench measures a gateway, an object of any system, and the servers that a gateway is compared with.
//
// A cell is one kind of call, made in one way, for a short window of time. The cells of a group take turns, round by round, so that what
// else the machine does falls on all of them alike; a row is what all windows of a cell have together. Rates and latencies are those of
// this machine now: trust the ratios within a group, when the two echoes of it agree.
package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say what is measured, and for how long. The zero value of a field is its default.
type Options struct {
	Endpoint  string        // a gateway that runs; "": one of its own, on a scratch directory
	Gateway   string        // the program tarn-gateway; "": beside this program, or in the path
	Dir       string        // where scratch directories are made; "": the system's
	Groups    []string      // of GroupNames; empty: all, but for the peers
	Rows      []string      // rows whose name begins so, and the echoes; empty: all
	Rounds    int           // of the calls' groups: 31
	Window    time.Duration // of a cell in one round: 100 ms
	ValueSize int           // bytes: 100
	Keys      int           // in the object: 10000
	StreamMiB int           // the size of a value that is streamed: 256
	Peers     bool          // measure etcd and Redis too
	Progress  io.Writer     // told which group begins
}

// GroupNames are the names that Options.Groups takes.
var GroupNames = []string{"calls", "batches", "session", "streams", "peers"}

func (o *Options) setDefaults() {
	o.Rounds = orDefault(o.Rounds, 31)
	o.Window = orDefault(o.Window, 100*time.Millisecond)
	o.ValueSize = orDefault(o.ValueSize, 100)
	o.Keys = orDefault(o.Keys, 10000)
	o.StreamMiB = orDefault(o.StreamMiB, 256)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Row is the result of one cell. CPU and allocations are those of one unit, or absent.
type Row struct {
	Group     string     `json:"group"`
	Engine    string     `json:"engine"` // tarn, etcd, redis
	Name      string     `json:"name"`
	Over      string     `json:"over"` // tcp, unix, or "" in this process
	Depth     int        `json:"depth"`
	Unit      string     `json:"unit"` // calls, keys, MiB
	Rate      Quartiles  `json:"rate"` // units a second
	P50       float64    `json:"p50_us"`
	P99       float64    `json:"p99_us"`
	ClientCPU Quartiles  `json:"client_cpu_us"`
	ServerCPU Quartiles  `json:"server_cpu_us"`
	Allocs    Quartiles  `json:"server_allocations"` // of one call, not of one unit
	ToEcho    *Quartiles `json:"cpu_to_echo,omitempty"`
	RateEcho  *Quartiles `json:"rate_to_echo,omitempty"`
}

// Report is what a run has measured.
type Report struct {
	ValueBytes int    `json:"value_bytes"`
	Rounds     int    `json:"rounds"`
	CPUs       int    `json:"cpus"`
	Load       string `json:"load_average"` // at the start
	Dir        string `json:"dir"`          // of the scratch directories
	Rows       []Row  `json:"rows"`
}

// job makes calls until a time, at least one, and says what it has done.
type job func(ctx context.Context, until time.Time) (*meter, error)

// measured is one kind of call, a cell.
type measured struct {
	row    Row // what is known before
	job    job
	server server  // whose share is measured; nil: this process
	scale  float64 // units of the meter in one of the row: 1, or a MiB
}

// group is cells that take turns. When echo is set, the first and the last cell are the same empty call, and the others are compared
// with it.
type group struct {
	name   string
	cells  []*measured
	echo   bool
	rounds int
	window time.Duration
	before call // what its cells need; nil: nothing
}

// loop calls as many functions as there are, each again and again in a goroutine of its own; a call does so many units.
func loop(units int, calls ...func(context.Context) error) job {
	return func(ctx context.Context, until time.Time) (*meter, error) {
		meters := make([]meter, len(calls))
		g, ctx := errgroup.WithContext(ctx)
		for i, call := range calls {
			g.Go(func() error { return repeat(ctx, until, units, call, &meters[i]) })
		}
		err := g.Wait()
		for i := range meters[1:] {
			meters[0].merge(&meters[1+i])
		}
		return &meters[0], err
	}
}

func repeat(ctx context.Context, until time.Time, units int, call func(context.Context) error, m *meter) error {
	for begin := time.Now(); ; {
		if err := call(ctx); err != nil {
			return err
		}
		end := time.Now()
		m.add(units, end.Sub(begin))
		if !end.Before(until) {
			return nil
		}
		begin = end
	}
}

// times makes n calls of the same kind.
func times(n int, call func(context.Context) error) []func(context.Context) error {
	calls := make([]func(context.Context) error, n)
	for i := range calls {
		calls[i] = call
	}
	return calls
}

// sample is what one window has measured: rates and shares of one unit.
type sample struct {
	rate, client, server, allocs float64
}

// window measures a cell once.
func (c *measured) window(ctx context.Context, d time.Duration) (sample, *meter, error) {
	before, err := usageOf(ctx, c.server)
	if err != nil {
		return sample{}, nil, err
	}
	begin := time.Now()
	m, err := c.job(ctx, begin.Add(d))
	if err != nil {
		return sample{}, nil, fmt.Errorf("%s %s: %w", c.row.Engine, c.row.Name, err)
	}
	took := time.Since(begin)
	after, err := usageOf(ctx, c.server)
	units := float64(m.units) / c.scale
	return sample{
		rate:   units / took.Seconds(),
		client: micros(after.client-before.client) / units,
		server: micros(after.server-before.server) / units,
		allocs: float64(after.allocs-before.allocs) / float64(m.calls),
	}, m, err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// only leaves out the cells that are not asked for. What the others are compared with stays.
func (g *group) only(rows []string) {
	asked := func(i int) bool {
		named := func(begin string) bool { return strings.HasPrefix(g.cells[i].row.Name, begin) }
		return len(rows) == 0 || slices.ContainsFunc(rows, named) || g.echo && (i == 0 || i == len(g.cells)-1)
	}
	var cells []*measured
	for i, c := range g.cells {
		if asked(i) {
			cells = append(cells, c)
		}
	}
	g.cells = cells
}

// run measures the group.
func (g *group) run(ctx context.Context) ([]Row, error) {
	samples, meters := make([][]sample, len(g.cells)), make([]meter, len(g.cells))
	if g.before != nil && len(g.cells) > 0 {
		if err := g.before(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
	}
	for round := -1; round < g.rounds; round++ { // the first warms up
		for i, c := range g.cells {
			s, m, err := c.window(ctx, g.window)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				samples[i] = append(samples[i], s)
				meters[i].merge(m)
			}
		}
	}
	rows := make([]Row, len(g.cells))
	for i, c := range g.cells {
		rows[i] = c.row
		rows[i].Group = g.name
		rows[i].fill(samples[i], &meters[i].times)
		switch last := len(g.cells) - 1; {
		case g.echo && i == last:
			rows[i].compare(samples[i], samples[0], samples[0])
		case g.echo && i > 0:
			rows[i].compare(samples[i], samples[0], samples[last])
		}
	}
	return rows, nil
}

func each(samples []sample, value func(sample) float64) Quartiles {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	return quartiles(values)
}

func (r *Row) fill(samples []sample, times *histogram) {
	r.Rate = each(samples, func(s sample) float64 { return s.rate })
	r.ClientCPU = each(samples, func(s sample) float64 { return s.client })
	r.ServerCPU = each(samples, func(s sample) float64 { return s.server })
	r.Allocs = each(samples, func(s sample) float64 { return s.allocs })
	r.P50, r.P99 = micros(times.percentile(50)), micros(times.percentile(99))
}

// compare compares with the mean of two echoes of the same round.
func (r *Row) compare(samples, first, last []sample) {
	var cpu, rate []float64
	for i, s := range samples {
		a, b := first[i], last[i]
		cpu = append(cpu, 2*(s.client+s.server)/(a.client+a.server+b.client+b.server))
		rate = append(rate, 2*s.rate/(a.rate+b.rate))
	}
	toEcho, rateEcho := quartiles(cpu), quartiles(rate)
	r.ToEcho, r.RateEcho = &toEcho, &rateEcho
}
