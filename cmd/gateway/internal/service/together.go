// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	togetherMost   = 512       // changes that go together
	togetherBytes  = 128 << 10 // of their keys and values
	togetherEach   = 16 << 10  // what has more goes by itself
	togetherMakers = 2         // of one object: one batch is applied while another is made durable
)

// together makes unary changes of one object that come at the same time one batch, which shares a log record and a flush. The zero value is
// ready.
//
// Always true: a change waits only while togetherMakers batches of its object are under way, so one that comes alone goes at once; a batch
// has each key once; a batch that fails has changed nothing, and then each of its changes is made by its own call, with its own error; a call
// that ends before its change is in a batch takes it back.
type together struct {
	mu sync.Mutex
	of map[*handles.Handle]*crowd // only those with a maker
}

// crowd are the changes of one object that wait, in the order in which they came. Under together.mu.
type crowd struct {
	waiting []*joined
	makers  int
}

// joined is a change of a call. The call that waits hears once what becomes of it.
type joined struct {
	m     system.Mutation
	heard chan verdict
}

type verdict int

const (
	leads    verdict = iota // the call makes the next batch, with this change in it
	isMade                  // another call has made it
	byItself                // the batch failed, or the call has ended
)

var spareJoined = sync.Pool{New: func() any { return &joined{heard: make(chan verdict, 1)} }}

// suits is whether a change may go with others: nothing but the state of the whole object can refuse it.
func suits(m system.Mutation) bool {
	n := len(m.Key)
	return m.Cond == system.CondNone && n > 0 && n+len(m.Value) <= togetherEach
}

// change makes a change that suits. The caller holds the handle.
func (t *together) change(ctx context.Context, h *handles.Handle, m system.Mutation) (err error) {
	p := spareJoined.Get().(*joined)
	p.m = m
	c, first := t.enter(h, p)
	what := leads
	if !first {
		what = t.wait(ctx, c, p)
	}
	switch what {
	case leads:
		err = t.lead(ctx, h, c, p)
	case byItself:
		err = one(ctx, h.KV, m)
	}
	p.m = system.Mutation{}
	spareJoined.Put(p)
	return err
}

// one makes one change by itself.
func one(ctx context.Context, kv system.KV, m system.Mutation) error {
	if m.Delete {
		return kv.Delete(ctx, m.Key, condArg(m.Cond)...)
	}
	return kv.Put(ctx, m.Key, m.Value, condArg(m.Cond)...)
}

// enter lets a change lead, or wait behind others.
func (t *together) enter(h *handles.Handle, p *joined) (c *crowd, lead bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c = t.of[h]
	if c == nil {
		if t.of == nil {
			t.of = map[*handles.Handle]*crowd{}
		}
		c = &crowd{}
		t.of[h] = c
	}
	if c.makers < togetherMakers {
		c.makers++
		return c, true
	}
	c.waiting = append(c.waiting, p)
	return c, false
}

// wait waits for what becomes of a change. One that is in a batch already is waited for, too: its bytes are in use.
func (t *together) wait(ctx context.Context, c *crowd, p *joined) verdict {
	select {
	case what := <-p.heard:
		return what
	case <-ctx.Done():
	}
	if t.leave(c, p) {
		return byItself // which says that the context has ended
	}
	return <-p.heard
}

// leave takes a change back; false when it does not wait any more.
func (t *together) leave(c *crowd, p *joined) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(c.waiting, p)
	if i < 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	return true
}

// lead makes a change, together with those that wait, and then lets the first of those that came meanwhile lead.
func (t *together) lead(ctx context.Context, h *handles.Handle, c *crowd, p *joined) error {
	defer t.next(h, c)
	if ctx.Err() != nil || !t.inCompany(c) {
		return one(ctx, h.KV, p.m)
	}
	runtime.Gosched() // calls that are ready to run go with it, too
	batch := t.gather(c, p)
	muts := make([]system.Mutation, len(batch))
	for i, other := range batch {
		muts[i] = other.m
	}
	what := isMade
	if len(batch) == 1 || h.KV.Apply(ctx, muts) != nil {
		what = byItself
	}
	for _, other := range batch[1:] {
		other.heard <- what
	}
	if what == byItself {
		return one(ctx, h.KV, p.m)
	}
	return nil
}

// inCompany is whether other calls change the object, too.
func (t *together) inCompany(c *crowd) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.makers > 1 || len(c.waiting) > 0
}

var keySeed = maphash.MakeSeed()

// gather takes what waits and may go with p. Keys are told apart by a hash: one that is taken for another only waits for the next batch.
func (t *together) gather(c *crowd, p *joined) []*joined {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch, size := append(make([]*joined, 0, 1+min(len(c.waiting), togetherMost)), p), p.bytes()
	seen := make(map[uint64]struct{}, cap(batch))
	seen[p.hash()] = struct{}{}
	c.waiting = slices.DeleteFunc(c.waiting, func(other *joined) bool {
		hash, n := other.hash(), other.bytes()
		if _, there := seen[hash]; there || len(batch) == togetherMost || size+n > togetherBytes {
			return false
		}
		seen[hash] = struct{}{}
		batch, size = append(batch, other), size+n
		return true
	})
	return batch
}

func (p *joined) bytes() int   { return len(p.m.Key) + len(p.m.Value) }
func (p *joined) hash() uint64 { return maphash.Bytes(keySeed, p.m.Key) }

// next makes the first that waits lead. Without one there is a maker less.
func (t *together) next(h *handles.Handle, c *crowd) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(c.waiting) > 0 {
		p := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		p.heard <- leads
		return
	}
	if c.makers--; c.makers == 0 {
		delete(t.of, h)
	}
}
