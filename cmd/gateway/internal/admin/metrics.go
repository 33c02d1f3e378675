// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/internal/latency"
)

// The metrics of calls have the names that gRPC servers usually have, so that dashboards made for those work.
var (
	ofMethod = []string{"grpc_type", "grpc_service", "grpc_method"}

	handled = prometheus.NewDesc("grpc_server_handled_total", "Calls that have ended.", append(ofMethod, "grpc_code"), nil)
	lasted  = prometheus.NewDesc("grpc_server_handling_seconds", "How long calls took, from the first byte of the request to the status.",
		ofMethod, nil)
	running    = gauge("tarn_gateway_calls_running", "Calls that have begun and not ended.")
	inFlight   = gauge("tarn_gateway_in_flight_bytes", "Bytes that the calls under way hold.")
	inLimit    = gauge("tarn_gateway_in_flight_limit_bytes", "Bytes that calls may hold together; more are refused.")
	places     = gauge("tarn_gateway_calls_in_flight", "Calls that hold a place, streams among them.")
	placesMax  = gauge("tarn_gateway_calls_in_flight_limit", "Calls that may hold a place at once; more are refused.")
	refused    = gauge("tarn_gateway_refused_total", "Calls, and what calls wanted more, that were refused for want of a place or of bytes.")
	early      = gauge("tarn_gateway_refused_early_total", "Calls that were refused before gRPC saw them; they are in tarn_gateway_refused_total, too.")
	refusals   = gauge("tarn_gateway_refusal_seconds", "From when the headers of a call were read until its refusal was written; for those in one write, of the oldest.")
	watches    = gauge("tarn_gateway_watches", "Watches that are running.")
	watchesMax = gauge("tarn_gateway_watches_limit", "Watches that can run at once; more are refused.")
	watchesNo  = gauge("tarn_gateway_watches_refused_total", "Watches that were refused: there were too many, or its caller had its share.")
	sessions   = gauge("tarn_gateway_sessions", "Sessions that are open.")
	inLanes    = gauge("tarn_gateway_session_calls_waiting", "Calls of sessions that wait for those before them to be made.")
	denied     = gauge("tarn_gateway_denied_total", "Calls, and calls on streams, that were denied: for their credential, their role or a list.")
	spans      = gauge("tarn_gateway_trace_spans_total", "Spans that were made, for a collector of traces.")
	spansSent  = gauge("tarn_gateway_trace_spans_exported_total", "Spans that a collector took. Others wait for a few seconds, or were dropped.")
	conns      = gauge("tarn_gateway_connections", "Connections that have shaken hands.")
	shutOut    = gauge("tarn_gateway_addresses_shut_out", "Addresses that may not connect for now: they have connected again and again, and called nothing.")
	open       = gauge("tarn_gateway_handles_open", "Pools, containers and objects that are open.")
	coreCalls  = gauge("tarn_gateway_core_operations_in_flight", "Operations that were given to the C library and are not answered.")
	ready      = gauge("tarn_gateway_ready", "1, and 0 while the gateway drains.")
	stale      = gauge("tarn_gateway_pools_stale", "1 when the system did not answer, and the figures of pools are old.")
	started    = gauge("tarn_gateway_start_time_seconds", "When the gateway began, in seconds since 1970.")
	build      = gauge("tarn_build_info", "1, with what the gateway is made of.", "version", "go", "platform")

	poolOpen       = pool("open", "1 when the gateway has the pool open: some figures are known of open pools only.")
	poolTotal      = pool("total_bytes", "Size of the pool.")
	poolFree       = pool("free_bytes", "Bytes of the pool that are free; known of open pools.")
	poolLog        = pool("log_bytes", "Size of the write-ahead log.")
	poolLogUsed    = pool("log_used_bytes", "Bytes of the log that no checkpoint has emptied yet; known of open pools.")
	poolCache      = pool("cache_bytes", "Budget of the cache; known of open pools.")
	poolCacheUsed  = pool("cache_used_bytes", "Bytes in the cache; known of open pools.")
	poolReadOnly   = pool("read_only", "1 when a device has failed and the pool takes no changes until it is opened again; known of open pools.")
	poolGeneration = pool("checkpoint_generation", "Number of the last checkpoint; it grows by one with each. Known of open pools.")
	poolConts      = pool("containers", "Containers of the pool; known of open pools.")
	poolSnapshots  = pool("snapshots", "Snapshots of all containers of the pool, counted every 10 s; known of open pools.")
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func pool(name, help string) *prometheus.Desc { return gauge("tarn_pool_"+name, help, "pool") }

// Describe implements prometheus.Collector.
func (s *Server) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{handled, lasted, running, inFlight, inLimit, places, placesMax, refused, early, refusals, watches, watchesMax, watchesNo, sessions, inLanes, denied, spans, spansSent, conns, shutOut, open, coreCalls, ready, stale, started, build, poolOpen,
		poolTotal, poolFree, poolLog, poolLogUsed, poolCache, poolCacheUsed, poolReadOnly, poolGeneration, poolConts, poolSnapshots} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Server) Collect(to chan<- prometheus.Metric) {
	for _, c := range s.cfg.Counts.All() {
		collectMethod(to, c)
	}
	gate := s.cfg.Gate.State()
	send(to, running, float64(s.cfg.Counts.Running()))
	send(to, inFlight, float64(gate.Bytes))
	send(to, inLimit, float64(gate.BytesMax))
	send(to, places, float64(gate.Calls))
	send(to, placesMax, float64(gate.CallsMax))
	count(to, refused, gate.Refused)
	count(to, early, s.cfg.Conns.Early.Load())
	collectRefusals(to, s.cfg.Conns.Refusals.Counts())
	send(to, watches, float64(gate.Watches))
	send(to, watchesMax, float64(gate.WatchesMax))
	count(to, watchesNo, gate.WatchesRefused)
	count(to, denied, s.cfg.Denied())
	nSessions, nWaiting := s.cfg.Sessions()
	send(to, sessions, float64(nSessions))
	send(to, inLanes, float64(nWaiting))
	made, exported := s.cfg.Trace.Spans()
	count(to, spans, made)
	count(to, spansSent, exported)
	send(to, conns, float64(s.cfg.Conns.Open()))
	send(to, shutOut, float64(s.cfg.Conns.ShutOut()))
	send(to, open, float64(s.cfg.Handles.Open()))
	if s.cfg.InFlight != nil {
		send(to, coreCalls, float64(s.cfg.InFlight()))
	}
	send(to, ready, truth(!s.draining()))
	send(to, started, float64(s.cfg.Started.UnixMilli())/1000)
	send(to, build, 1, s.cfg.Version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	pools, old := s.facts.get()
	send(to, stale, truth(old))
	for _, p := range pools {
		collectPool(to, p)
	}
}

func collectMethod(to chan<- prometheus.Metric, c limit.Count) {
	kind := "unary"
	if c.Stream {
		kind = "stream"
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(c.Method, "/"), "/")
	for code, calls := range c.ByCode {
		to <- prometheus.MustNewConstMetric(handled, prometheus.CounterValue, float64(calls), kind, service, method, code.String())
	}
	to <- prometheus.MustNewConstHistogram(lasted, c.Latency.Total(), c.Time.Seconds(), buckets(c.Latency), kind, service, method)
}

// collectRefusals has a sum that is exact to the classes only.
func collectRefusals(to chan<- prometheus.Metric, c latency.Counts) {
	sum, bounds := 0.0, latency.Seconds()
	for i, n := range c {
		sum += float64(n) * bounds[min(i, len(bounds)-1)]
	}
	to <- prometheus.MustNewConstHistogram(refusals, c.Total(), sum, buckets(c))
}

// buckets are what did not exceed each bound.
func buckets(c latency.Counts) map[float64]uint64 {
	all, below := map[float64]uint64{}, uint64(0)
	for i, bound := range latency.Seconds() {
		below += c[i]
		all[bound] = below
	}
	return all
}

func collectPool(to chan<- prometheus.Metric, p Pool) {
	send(to, poolOpen, truth(p.Open), p.Label)
	send(to, poolTotal, float64(p.TotalBytes), p.Label)
	send(to, poolLog, float64(p.LogBytes), p.Label)
	if !p.Open {
		return // a 0 would not mean none
	}
	send(to, poolFree, float64(p.FreeBytes), p.Label)
	send(to, poolLogUsed, float64(p.LogUsedBytes), p.Label)
	send(to, poolCache, float64(p.CacheBytes), p.Label)
	send(to, poolCacheUsed, float64(p.CacheUsedBytes), p.Label)
	send(to, poolReadOnly, truth(p.ReadOnly), p.Label)
	send(to, poolGeneration, float64(p.Generation), p.Label)
	send(to, poolConts, float64(p.Containers), p.Label)
	send(to, poolSnapshots, float64(p.Snapshots), p.Label)
}

func send(to chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func count(to chan<- prometheus.Metric, d *prometheus.Desc, n uint64) {
	to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
