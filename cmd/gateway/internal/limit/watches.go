// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"fmt"

	"github.com/tarn-storage/tarn/go/errno"
)

// Watches are shared as calls are, from a pot of their own: a watch lasts as long as its client likes, so it is counted until it ends.

// LimitWatches says how many watches there can be, before the first one begins.
func (g *Gate) LimitWatches(most int64) { g.watches.most = most }

// BeginWatch counts the call of that context as a watch, until EndWatch; or it is OVERLOAD_RETRY: there are too many, or its caller has its
// share of them.
func (g *Gate) BeginWatch(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	held, weight := int64(0), g.watches.most
	t := ticketOf(ctx)
	if t != nil && t.share != nil {
		held, weight = t.share.watches, t.share.weight
	}
	if !g.watches.takes(1, held, weight) {
		g.watchesRefused++
		return errno.New("", "", errno.OverloadRetry, fmt.Sprintf("%d of %d watches are running, %d of them this caller's, which can have no more for "+
			"now; end one, or try again later", g.watches.used, g.watches.most, held))
	}
	g.addWatch(t, 1)
	return nil
}

// EndWatch takes back what BeginWatch counted with the same context.
func (g *Gate) EndWatch(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addWatch(ticketOf(ctx), -1)
}

// addWatch counts, for nobody in particular outside a call. Lock held.
func (g *Gate) addWatch(t *Ticket, n int64) {
	g.watches.used += n
	if t != nil && t.share != nil {
		t.share.watches += n
		g.forget(t.share)
	}
}
