// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// grace is how long a call whose credential became invalid has to end by its context, before its connection is cut: a handler that waits
// for its client's next message does not look at the context.
const grace = time.Second

// live are the calls that may have to end while they run. The zero value is ready.
type live struct {
	mu    sync.Mutex
	calls map[*call]struct{}
}

// call is one of them.
type call struct {
	who    *Identity
	conn   *connection
	record *record // of a stream
	cancel context.CancelCauseFunc
	ended  time.Time // when its context was ended

	mu    sync.Mutex
	still []func() error // what else must go on holding
}

// watch adds something that must go on holding.
func (c *call) watch(still func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = append(c.still, still)
}

// forbidden says what does not hold any more. An answer that is not there is none: the call itself will meet that failure.
func (c *call) forbidden() error {
	c.mu.Lock()
	all := c.still
	c.mu.Unlock()
	for _, still := range all {
		if err := still(); errors.Is(err, errno.NoPerm) {
			return err
		}
	}
	return nil
}

// begin adds a call. Its context ends with the cause when the credential becomes invalid, or something else does not hold any more. The
// caller calls end when it has returned.
func (l *live) begin(ctx context.Context, c *call) (_ context.Context, end func()) {
	ctx, c.cancel = context.WithCancelCause(ctx)
	l.mu.Lock()
	if l.calls == nil {
		l.calls = map[*call]struct{}{}
	}
	l.calls[c] = struct{}{}
	l.mu.Unlock()
	return ctx, func() {
		l.mu.Lock()
		delete(l.calls, c)
		l.mu.Unlock()
		c.cancel(nil)
	}
}

// check ends the calls whose credential is not valid any more, or that a list forbids by now, and cuts the connections of those that did not end.
func (l *live) check(s *state, now time.Time) {
	for _, c := range l.all() {
		if !c.ended.IsZero() {
			if now.Sub(c.ended) >= grace {
				_ = c.conn.raw.Close() // the other side sees it
			}
			continue
		}
		if err := c.invalid(s, now); err != nil {
			c.ended = now
			c.cancel(err)
		}
	}
}

func (c *call) invalid(s *state, now time.Time) error {
	if c.who.Kind == "cert" {
		if _, err := c.conn.identity(s, now); err != nil { // which remembers, for the many calls of one connection
			return err
		}
		return c.forbidden()
	}
	if err := c.who.valid(s, now); err != nil {
		return badToken(err)
	}
	return c.forbidden()
}

func (l *live) all() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*call, 0, len(l.calls))
	for c := range l.calls {
		all = append(all, c)
	}
	return all
}

// few lets a few things happen in each second, and counts the others.
type few struct {
	mu      sync.Mutex
	second  int64
	count   int
	skipped uint64
}

const fewMax = 20

func (f *few) allow(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := now.Unix(); s != f.second {
		f.second, f.count = s, 0
	}
	f.count++
	if f.count > fewMax {
		f.skipped++
	}
	return f.count <= fewMax
}

// take returns how many were not allowed since it was asked last.
func (f *few) take() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.skipped
	f.skipped = 0
	return n
}
