// SPDX-License-Identifier: Apache-2.0

// Package limit bounds what the gateway does at once: bytes in flight, how long a call may take, and what a defect can bring down.
package limit

import (
	"fmt"
	"sync/atomic"

	"github.com/tarn-storage/tarn/go/errno"
)

// Gate counts the bytes that calls hold. Being full is an ordinary answer: nobody waits in it. It is safe for concurrent use.
type Gate struct {
	free  atomic.Int64
	total int64
}

// NewGate returns a gate of so many bytes.
func NewGate(total int64) *Gate {
	g := &Gate{total: total}
	g.free.Store(total)
	return g
}

// Take takes n bytes, which Give returns; or it is OVERLOAD_RETRY.
func (g *Gate) Take(n int64) error {
	left := g.free.Add(-n)
	if left >= 0 {
		return nil
	}
	g.free.Add(n)
	return errno.New("", "", errno.OverloadRetry,
		fmt.Sprintf("the call needs %d bytes and the server has %d of %d free; try again later", n, max(left+n, 0), g.total))
}

// Give gives n bytes back.
func (g *Gate) Give(n int64) { g.free.Add(n) }

// Used is how many bytes are taken, and how many can be.
func (g *Gate) Used() (used, total int64) { return g.total - g.free.Load(), g.total }

// Free is how many bytes are left.
func (g *Gate) Free() int64 { return g.free.Load() }
