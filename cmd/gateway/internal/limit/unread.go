// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"

	"github.com/tarn-storage/tarn/go/errno"
)

// unread are the answers of the connections of one origin that are in memory and have not left: whoever opens many calls and reads none of their
// answers has no more of them than this, and the calls whose answers would be more wait, where they hold nothing but their places, until it reads.
//
// Always true: an answer is counted from before it is read from the engine until its call has ended. One of each connection is always let
// through, however large. An ordinary client loses nothing: its connections would have carried the other answers later, too.
//
// The lock of the gate guards it.
type unread struct {
	bytes int64
	freed chan struct{} // closed when there are fewer; nil: nobody waits
}

const (
	unreadMost  = 16 << 20 // bytes of each origin,
	unreadShare = 8        // and no more than this part of all
)

// unreadRoom is how many bytes of answers an origin may have. Lock held.
func (g *Gate) unreadRoom() int64 { return min(unreadMost, g.bytes.most/unreadShare) }

// reads counts an answer of n bytes for the call, if its connection may have it now. Lock held.
func (t *Ticket) reads(n int64) bool {
	more, u := max(n-t.unread, 0), &t.conn.origin.unread
	if t.conn.unread > 0 && u.bytes+more > t.gate.unreadRoom() {
		return false
	}
	u.bytes += more
	t.conn.unread += more
	t.unread += more
	return true
}

// forgets counts the answer of a call no more. Lock held.
func (t *Ticket) forgets() {
	if t.unread == 0 {
		return
	}
	u := &t.conn.origin.unread
	u.bytes -= t.unread
	t.conn.unread -= t.unread
	t.unread = 0
	if u.freed != nil {
		close(u.freed)
		u.freed = nil
	}
}

// Answer is whether the call of that context may have an answer of n bytes in memory now; then it is counted until the call ends. Who hears no
// lets go of what others want, and asks AwaitAnswer. Outside a call it is always yes. It does not wait.
func (g *Gate) Answer(ctx context.Context, n int64) bool {
	t := ticketOf(ctx)
	if t == nil || t.conn == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.ended || t.reads(n)
}

// AwaitAnswer waits until Answer is yes, or is the error of the context.
func (g *Gate) AwaitAnswer(ctx context.Context, n int64) error {
	for t := ticketOf(ctx); ; {
		freed := t.awaits(n)
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return errno.FromContext("", "", ctx)
		}
	}
}

// awaits is nil when the call may have its answer now, or else what is closed when it may ask again.
func (t *Ticket) awaits(n int64) <-chan struct{} {
	if t == nil || t.conn == nil {
		return nil
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.ended || t.reads(n) {
		return nil
	}
	t.rest()
	u := &t.conn.origin.unread
	if u.freed == nil {
		u.freed = make(chan struct{})
	}
	return u.freed
}
