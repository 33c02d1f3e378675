// SPDX-License-Identifier: Apache-2.0

//go:build cgo

// Package tarnprom shows open pools to Prometheus.
//
//	c := tarnprom.New(pool)
//	prometheus.MustRegister(c)
//
// Every figure has the pool's label and UUID. A scrape costs a query of each pool; one that does not answer within a second, or is closed,
// has only tarn_up 0. Remove a pool before it is closed; the last figures of its counters are gone with it.
package tarnprom

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarn-storage/tarn/go/tarn"
)

// Pool is what is scraped: a *tarn.Pool.
type Pool interface {
	Metrics(ctx context.Context) (tarn.Metrics, error)
}

// scrapeMost is how long a pool may take to answer.
const scrapeMost = time.Second

// Collector is a prometheus.Collector of any number of pools. It is safe for concurrent use.
type Collector struct {
	mu    sync.Mutex
	pools map[Pool]*known
}

// known is how a pool was labelled when it last answered.
type known struct{ label, uuid string }

// New makes a collector of pools. More may be added.
func New(pools ...Pool) *Collector {
	c := &Collector{pools: make(map[Pool]*known)}
	for _, p := range pools {
		c.Add(p)
	}
	return c
}

// Add shows another pool from the next scrape on. Handles of the same pool must not be added together: their figures would have the
// same labels, and the scrape fails.
func (c *Collector) Add(p Pool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pools[p] == nil {
		c.pools[p] = &known{}
	}
}

// Remove shows a pool no more. A scrape that is running may still show it.
func (c *Collector) Remove(p Pool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pools, p)
}

// figure is one metric, and where it is in tarn.Metrics.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*tarn.Metrics) float64
}

var labels = []string{"pool", "uuid"}

func gauge(name, help string, of func(*tarn.Metrics) float64) figure {
	return figure{prometheus.NewDesc("tarn_"+name, help, labels, nil), prometheus.GaugeValue, of}
}

func counter(name, help string, of func(*tarn.Metrics) float64) figure {
	return figure{prometheus.NewDesc("tarn_"+name, help, labels, nil), prometheus.CounterValue, of}
}

var up = prometheus.NewDesc("tarn_up", "1 when the pool answers.", labels, nil)

var figures = []figure{
	gauge("pool_size_bytes", "Size of the pool.", func(m *tarn.Metrics) float64 { return float64(m.TotalBytes) }),
	gauge("pool_free_bytes", "Bytes for new data.", func(m *tarn.Metrics) float64 { return float64(m.FreeBytes) }),
	gauge("log_size_bytes", "Size of the write-ahead log.", func(m *tarn.Metrics) float64 { return float64(m.LogBytes) }),
	gauge("log_used_bytes", "Bytes of the log since the last checkpoint.", func(m *tarn.Metrics) float64 { return float64(m.LogUsedBytes) }),
	gauge("cache_size_bytes", "The cache's budget.", func(m *tarn.Metrics) float64 { return float64(m.CacheBytes) }),
	gauge("cache_used_bytes", "Bytes in use of the cache's budget.", func(m *tarn.Metrics) float64 { return float64(m.CacheUsedBytes) }),
	gauge("containers", "Containers of the pool.", func(m *tarn.Metrics) float64 { return float64(m.Containers) }),
	gauge("targets", "Targets in the pool map.", func(m *tarn.Metrics) float64 { return float64(m.Targets) }),
	gauge("read_only", "1 when a device has failed and nothing is written.", func(m *tarn.Metrics) float64 { return truth(m.ReadOnly) }),
	gauge("handles", "Open handles: of the pool, and of what was opened from it.", func(m *tarn.Metrics) float64 { return float64(m.Handles) }),
	gauge("calls_in_flight", "Calls that are running.", func(m *tarn.Metrics) float64 { return float64(m.InFlight) }),
	counter("checkpoints_total", "Checkpoints, since the pool was made.", func(m *tarn.Metrics) float64 { return float64(m.Generation) }),
	counter("calls_total", "Calls that have ended.", func(m *tarn.Metrics) float64 { return float64(m.Calls) }),
	counter("call_errors_total", "Calls that have failed.", func(m *tarn.Metrics) float64 { return float64(m.Errors) }),
	counter("calls_waited_total", "Calls that waited for a device.", func(m *tarn.Metrics) float64 { return float64(m.Waited) }),
	counter("read_bytes_total", "Bytes of values that were read.", func(m *tarn.Metrics) float64 { return float64(m.BytesRead) }),
	counter("written_bytes_total", "Bytes of values that were written.", func(m *tarn.Metrics) float64 { return float64(m.BytesWritten) }),
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	to <- up
	for _, f := range figures {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, p := range c.list() {
		c.scrape(p, to)
	}
}

func (c *Collector) list() []Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	pools := make([]Pool, 0, len(c.pools))
	for p := range c.pools {
		pools = append(pools, p)
	}
	return pools
}

func (c *Collector) scrape(p Pool, to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeMost)
	defer cancel()
	m, err := p.Metrics(ctx)
	was := c.know(p, &m, err)
	if was == (known{}) {
		return // it has never answered: nobody knows what it is called
	}
	to <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, truth(err == nil), was.label, was.uuid)
	if err != nil {
		return
	}
	for _, f := range figures {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(&m), was.label, was.uuid)
	}
}

// know keeps what an answer says of a pool, and returns what is known.
func (c *Collector) know(p Pool, m *tarn.Metrics, err error) known {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.pools[p]
	if k == nil {
		return known{} // removed meanwhile
	}
	if err == nil {
		*k = known{m.Label, m.UUID}
	}
	return *k
}
