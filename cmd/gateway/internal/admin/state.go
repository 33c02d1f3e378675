// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
)

// State is what the page shows. Times are in milliseconds since 1970, durations in seconds.
type State struct {
	Now           int64         `json:"now"`
	Started       int64         `json:"started"`
	Version       string        `json:"version"`
	Go            string        `json:"go"`
	Platform      string        `json:"platform"`
	Ready         bool          `json:"ready"`
	Running       int64         `json:"running"`
	InFlight      int64         `json:"in_flight"`
	InFlightLimit int64         `json:"in_flight_limit"`
	Refused       uint64        `json:"refused"` // calls and bytes, since the start
	Watches       int64         `json:"watches"`
	Core          int           `json:"core"` // operations that C has; -1: not known
	Handles       int           `json:"handles"`
	Goroutines    int           `json:"goroutines"`
	Heap          uint64        `json:"heap"`
	Stale         bool          `json:"stale"`
	Pools         []Pool        `json:"pools"`
	Points        []watch.Point `json:"points"`
	Methods       []Method      `json:"methods"`
	Slow          []Call        `json:"slow"`
	Errors        []Call        `json:"errors"`
	Tasks         []Task        `json:"tasks"`
}

// Method is what is known of a method since the start.
type Method struct {
	Name   string  `json:"name"`
	Stream bool    `json:"stream"`
	Calls  uint64  `json:"calls"`
	Errors uint64  `json:"errors"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
}

// Call is one that was slow, or failed.
type Call struct {
	Time   int64   `json:"time"`
	Method string  `json:"method"`
	Ref    string  `json:"ref"`
	ID     string  `json:"id"`
	Took   float64 `json:"took"`
	Code   string  `json:"code"`
	Reason string  `json:"reason"`
	Times  int     `json:"times"`
}

// Task is an operation that goes on behind the calls.
type Task struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Target string `json:"target"`
	Start  int64  `json:"start"`
	Done   uint64 `json:"done"` // bytes
	Total  uint64 `json:"total"`
	State  string `json:"state"` // "running", "done", or the name of its error
}

// state is all that is known, with the points of the series after a time.
func (s *Server) state(after int64) State {
	gate := s.cfg.Gate.State()
	st := State{
		Now: time.Now().UnixMilli(), Started: s.cfg.Started.UnixMilli(), Version: s.cfg.Version,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Ready: !s.draining(),
		Running: s.cfg.Counts.Running(), InFlight: gate.Bytes, InFlightLimit: gate.BytesMax, Core: -1,
		Refused: gate.Refused + gate.WatchesRefused, Watches: gate.Watches,
		Handles: s.cfg.Handles.Open(), Goroutines: runtime.NumGoroutine(), Heap: heap(),
		Points: s.series.After(after), Methods: methodsOf(s.cfg.Counts.All()), Tasks: s.cfg.Tasks(),
	}
	if s.cfg.InFlight != nil {
		st.Core = s.cfg.InFlight()
	}
	st.Pools, st.Stale = s.facts.get()
	st.Slow, st.Errors = s.callsOf(s.cfg.Watch.Slow(time.Now())), s.callsOf(s.cfg.Watch.Errors())
	return st
}

// heap is the memory of Go objects. Unlike runtime.ReadMemStats it does not stop the world.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func methodsOf(counts []limit.Count) []Method {
	all := make([]Method, 0, len(counts))
	for _, c := range counts {
		all = append(all, Method{Name: c.Method, Stream: c.Stream, Calls: c.Calls, Errors: c.Errors,
			P50: c.Latency.Quantile(0.5).Seconds(), P99: c.Latency.Quantile(0.99).Seconds()})
	}
	return all
}

func (s *Server) callsOf(events []watch.Event) []Call {
	all := make([]Call, 0, len(events))
	for _, e := range events {
		all = append(all, Call{Time: e.Time.UnixMilli(), Method: e.Method, Ref: s.facts.readable(e.Ref), ID: e.ID, Took: e.Took.Seconds(), Code: e.Code.String(),
			Reason: e.Reason, Times: e.Times})
	}
	return all
}
