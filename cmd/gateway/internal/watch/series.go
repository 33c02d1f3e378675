// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"sync"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/latency"
)

// seriesKept is how many points a series has: one a second, of five minutes.
const seriesKept = 300

// Totals are counts since the start.
type Totals struct {
	Calls, Errors uint64
	Latency       latency.Counts // of calls that are not streams
}

// Point is what happened in about a second.
type Point struct {
	Time   int64   `json:"t"` // when it ended, in milliseconds since 1970
	Rate   float64 `json:"rate"`
	Errors float64 `json:"errors"` // a second
	P50    float64 `json:"p50"`    // seconds; 0 when no call ended
	P99    float64 `json:"p99"`
}

// Series has the points of the last minutes. The zero value is ready; it is safe for concurrent use.
type Series struct {
	mu     sync.Mutex
	last   Totals
	at     time.Time // of last; zero: none
	points []Point
}

// Add ends a point.
func (s *Series) Add(now time.Time, t Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, seconds := s.last, now.Sub(s.at).Seconds()
	first := s.at.IsZero()
	s.last, s.at = t, now
	if first || seconds <= 0 {
		return
	}
	span := t.Latency.Since(last.Latency)
	s.points = append(s.points, Point{
		Time: now.UnixMilli(), Rate: float64(t.Calls-last.Calls) / seconds, Errors: float64(t.Errors-last.Errors) / seconds,
		P50: span.Quantile(0.5).Seconds(), P99: span.Quantile(0.99).Seconds(),
	})
	if len(s.points) > seriesKept {
		s.points = slices.Delete(s.points, 0, len(s.points)-seriesKept)
	}
}

// After are the points that ended after a time, in milliseconds since 1970, the oldest first.
func (s *Series) After(t int64) []Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearchFunc(s.points, t+1, func(p Point, t int64) int { return int(p.Time - t) })
	return slices.Clone(s.points[i:])
}
