// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/internal/latency"
)

// Counts counts the calls of each method. The zero value is ready. It is safe for concurrent use; a reading is not of one instant.
type Counts struct {
	byMethod sync.Map // of string to *count
	running  atomic.Int64
}

// codeMax is one more than the largest status code of gRPC.
const codeMax = int(codes.Unauthenticated) + 1

type count struct {
	stream  bool
	nanos   atomic.Uint64
	byCode  [codeMax]atomic.Uint64
	latency latency.Histogram
}

// Count is what is known of the calls of one method that have ended.
type Count struct {
	Method        string
	Stream        bool
	Calls, Errors uint64
	Time          time.Duration
	ByCode        map[codes.Code]uint64 // those that occurred
	Latency       latency.Counts
}

func (c *Counts) add(method string, stream bool, took time.Duration, code codes.Code) {
	c.many(method, stream, 1, took, code)
}

// Together counts n unary calls of a method that ended together, as calls that come on a stream do.
func (c *Counts) Together(method string, n int, took time.Duration, code codes.Code) {
	if n > 0 {
		c.many(method, false, uint64(n), took, code)
	}
}

func (c *Counts) many(method string, stream bool, calls uint64, took time.Duration, code codes.Code) {
	v, ok := c.byMethod.Load(method)
	if !ok {
		v, _ = c.byMethod.LoadOrStore(method, &count{stream: stream})
	}
	n := v.(*count)
	n.nanos.Add(calls * uint64(took))
	n.latency.AddMany(took, calls)
	if int(code) >= codeMax {
		code = codes.Unknown
	}
	n.byCode[code].Add(calls)
}

func (n *count) read(method string) Count {
	c := Count{Method: method, Stream: n.stream, Time: time.Duration(n.nanos.Load()), ByCode: map[codes.Code]uint64{}, Latency: n.latency.Counts()}
	for code := range n.byCode {
		if calls := n.byCode[code].Load(); calls > 0 {
			c.ByCode[codes.Code(code)] = calls
			c.Calls += calls
		}
	}
	c.Errors = c.Calls - c.ByCode[codes.OK]
	return c
}

// All is the count of every method that was called, in the order of their names.
func (c *Counts) All() (all []Count) {
	c.byMethod.Range(func(method, v any) bool {
		all = append(all, v.(*count).read(method.(string)))
		return true
	})
	sort.Slice(all, func(i, j int) bool { return all[i].Method < all[j].Method })
	return all
}

// Running is the number of calls that have begun and not ended; streams without an end of their own are not among them.
func (c *Counts) Running() int64 { return c.running.Load() }
