// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"time"
)

// linger counts the calls that were refused before their message: grpc keeps the timer of such a call, and its context, until its deadline.
type linger struct {
	ending [lingerSeconds]int // by the second of the deadline
	n      int
	at     int64 // the second before which all have ended
}

const (
	lingerSeconds = 62      // more than distant
	lingerMost    = 1 << 16 // calls: some 50 MiB
	distant       = time.Minute
)

// expire forgets those whose deadlines have passed.
func (l *linger) expire(now time.Time) {
	second := now.Unix()
	for l.at = max(l.at, second-lingerSeconds); l.at < second; l.at++ {
		l.n -= l.ending[l.at%lingerSeconds]
		l.ending[l.at%lingerSeconds] = 0
	}
}

func (l *linger) add(deadline time.Time) {
	l.ending[min(deadline.Unix(), l.at+lingerSeconds-1)%lingerSeconds]++
	l.n++
}

// Lingers is whether a call must not be refused by a tap.ServerInHandle, because of what that would leave until its deadline: that is far
// away, or there are many such calls already.
func (g *Gate) Lingers(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	if !ok {
		return false
	}
	now := time.Now()
	if deadline.Sub(now) > distant {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.linger.expire(now)
	return g.linger.n >= lingerMost
}

// left counts a call that was refused by the tap.
func (g *Gate) left(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	now := time.Now()
	if !ok || deadline.Sub(now) > distant || deadline.Before(now) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.linger.expire(now)
	g.linger.add(deadline)
}
