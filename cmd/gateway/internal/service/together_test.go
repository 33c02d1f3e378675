// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// slate is an object whose changes wait until they are let through, and which remembers what became of them.
type slate struct {
	system.KV
	let  chan struct{} // closed: nothing waits any more
	held atomic.Int64  // changes and batches that have come so far

	mu      sync.Mutex
	values  map[string]string
	batches []int
	refuses error  // every batch
	broken  string // a key that cannot be put
}

func newSlate() *slate { return &slate{let: make(chan struct{}), values: map[string]string{}} }

func (s *slate) Put(ctx context.Context, key, val []byte, _ ...system.Cond) error {
	return s.take(ctx, 1, []system.Mutation{{Key: key, Value: val}})
}

func (s *slate) Delete(ctx context.Context, key []byte, _ ...system.Cond) error {
	return s.take(ctx, 1, []system.Mutation{{Key: key, Delete: true}})
}

func (s *slate) Apply(ctx context.Context, muts []system.Mutation) error {
	seen := map[string]bool{}
	for _, m := range muts {
		if seen[string(m.Key)] {
			return errno.New("", "", errno.Inval, "a key stands twice")
		}
		seen[string(m.Key)] = true
	}
	return s.take(ctx, 2, muts)
}

func (s *slate) take(ctx context.Context, batchFrom int, muts []system.Mutation) error {
	s.held.Add(1)
	<-s.let
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return errno.FromContext("", "", ctx)
	}
	if batchFrom > 1 {
		s.batches = append(s.batches, len(muts))
		if s.refuses != nil {
			return s.refuses
		}
	}
	for _, m := range muts {
		switch {
		case string(m.Key) == s.broken:
			return errno.New("", "", errno.NoSpace, "no space for this one")
		case m.Delete:
			delete(s.values, string(m.Key))
		default:
			s.values[string(m.Key)] = string(m.Value)
		}
	}
	return nil
}

// crowded is an object with two changes that are held, so that all further ones wait.
type crowded struct {
	t    *testing.T
	all  together
	on   *slate
	h    *handles.Handle
	done sync.WaitGroup
}

func newCrowded(t *testing.T) *crowded {
	c := &crowded{t: t, on: newSlate()}
	c.h = &handles.Handle{KV: c.on}
	for i := range togetherMakers {
		c.put(t.Context(), fmt.Sprintf("first-%d", i), "v", nil)
	}
	c.until(func(_, _ int) bool { return c.on.held.Load() == togetherMakers })
	return c
}

// put begins a put that must end with want.
func (c *crowded) put(ctx context.Context, key, val string, want error) {
	c.change(ctx, system.Mutation{Key: []byte(key), Value: []byte(val)}, want)
}

func (c *crowded) change(ctx context.Context, m system.Mutation, want error) {
	c.done.Go(func() {
		if err := c.all.change(ctx, c.h, m); !errors.Is(err, want) {
			c.t.Errorf("%s: %v, want %v", m.Key, err, want)
		}
	})
}

func (c *crowded) until(is func(makers, waiting int) bool) {
	c.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c.all.mu.Lock()
		makers, waiting := 0, 0
		if of := c.all.of[c.h]; of != nil {
			makers, waiting = of.makers, len(of.waiting)
		}
		c.all.mu.Unlock()
		if is(makers, waiting) {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d makers and %d changes that wait", makers, waiting)
		}
	}
}

// end lets everything through, and waits for it. Nothing is left then.
func (c *crowded) end() {
	c.t.Helper()
	close(c.on.let)
	c.done.Wait()
	if len(c.all.of) > 0 {
		c.t.Errorf("%d objects are still remembered", len(c.all.of))
	}
}

// TestTogether: what waits goes in few batches, each key once in each.
func TestTogether(t *testing.T) {
	const waiting, hot = 30, 3
	c := newCrowded(t)
	c.on.values["old"] = "v"
	for i := range waiting {
		c.put(t.Context(), fmt.Sprint("key-", i), fmt.Sprint("value-", i), nil)
	}
	for i := range hot {
		c.put(t.Context(), "hot", fmt.Sprint("value-", i), nil)
	}
	c.change(t.Context(), system.Mutation{Key: []byte("old"), Delete: true}, nil)
	c.until(func(_, n int) bool { return n == waiting+hot+1 })
	c.end()
	for i := range waiting {
		if got := c.on.values[fmt.Sprint("key-", i)]; got != fmt.Sprint("value-", i) {
			t.Errorf("key-%d is %q", i, got)
		}
	}
	if _, there := c.on.values["old"]; there || c.on.values["hot"] == "" {
		t.Errorf("what was deleted is there: %v; the hot key is %q", there, c.on.values["hot"])
	}
	if n := len(c.on.batches); n == 0 || n > hot || slices.Max(c.on.batches) < waiting/2 {
		t.Errorf("batches of %v changes", c.on.batches)
	}
}

// TestTogetherRefused: when a batch is refused, each change in it has its own result.
func TestTogetherRefused(t *testing.T) {
	c := newCrowded(t)
	c.on.broken = "broken"
	c.put(t.Context(), "broken", "v", errno.NoSpace)
	for i := range 10 {
		c.put(t.Context(), fmt.Sprint("key-", i), "v", nil)
	}
	c.until(func(_, n int) bool { return n == 11 })
	c.end()
	if n := len(c.on.values); n != togetherMakers+10 || c.on.values["broken"] != "" {
		t.Errorf("%d keys: %v", n, slices.Collect(maps.Keys(c.on.values)))
	}
}

// TestTogetherEnded: a call that ends while its change waits has not made it, and one that leads then leaves the others alone.
func TestTogetherEnded(t *testing.T) {
	c := newCrowded(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.put(ctx, "gone", "v", context.Canceled)
	c.until(func(_, n int) bool { return n == 1 })
	c.put(t.Context(), "stays", "v", nil)
	c.until(func(_, n int) bool { return n == 2 })
	cancel()
	c.until(func(_, n int) bool { return n == 1 })
	c.end()
	if _, there := c.on.values["gone"]; there || c.on.values["stays"] != "v" {
		t.Errorf("%v", c.on.values)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.put(ended, "late", "v", context.Canceled)
	c.done.Wait()
}
