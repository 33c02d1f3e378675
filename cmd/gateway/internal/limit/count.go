// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Counts counts the calls of each method. The zero value is ready.
type Counts struct{ byMethod sync.Map } // of string to *count

type count struct{ calls, errors, nanos atomic.Uint64 }

// Count is what is known of the calls of one method that have ended.
type Count struct {
	Method        string
	Calls, Errors uint64
	Time          time.Duration
}

func (c *Counts) add(method string, since time.Time, err error) {
	v, ok := c.byMethod.Load(method)
	if !ok {
		v, _ = c.byMethod.LoadOrStore(method, &count{})
	}
	n := v.(*count)
	n.calls.Add(1)
	n.nanos.Add(uint64(time.Since(since)))
	if err != nil {
		n.errors.Add(1)
	}
}

// All is the count of every method that was called, in the order of their names.
func (c *Counts) All() (all []Count) {
	c.byMethod.Range(func(method, v any) bool {
		n := v.(*count)
		all = append(all, Count{method.(string), n.calls.Load(), n.errors.Load(), time.Duration(n.nanos.Load())})
		return true
	})
	sort.Slice(all, func(i, j int) bool { return all[i].Method < all[j].Method })
	return all
}
