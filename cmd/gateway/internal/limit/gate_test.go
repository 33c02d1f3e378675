// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

func TestGate(t *testing.T) {
	g := NewGate(100)
	if err := g.Take(101); !errors.Is(err, errno.OverloadRetry) || g.Free() != 100 {
		t.Errorf("more than there is: %v, %d are free", err, g.Free())
	}
	if err := g.Take(100); err != nil || g.Free() != 0 {
		t.Errorf("all: %v, %d are free", err, g.Free())
	}
	if err := g.Take(1); !errors.Is(err, errno.OverloadRetry) {
		t.Errorf("of a full one: %v", err)
	}
	g.Give(100)
	if err := g.Take(1); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

// TestGateConcurrent: never more is taken than there is, and nothing is lost.
func TestGateConcurrent(t *testing.T) {
	const total = 1000
	g := NewGate(total)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for w := range int64(8) {
		wg.Go(func() {
			for i := range int64(2000) {
				n := (i*7+w)%400 + 1
				if g.Take(n) != nil {
					continue
				}
				if now := taken.Add(n); now > total {
					t.Errorf("%d bytes are taken", now)
				}
				taken.Add(-n)
				g.Give(n)
			}
		})
	}
	wg.Wait()
	if g.Free() != total {
		t.Errorf("%d bytes are free, want %d", g.Free(), total)
	}
}
