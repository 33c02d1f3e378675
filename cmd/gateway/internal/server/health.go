// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"slices"
	"time"

	"github.com/tarn-storage/tarn/go/system"
)

// healthEvery is how often the health of open pools is looked at.
const healthEvery = time.Second

// poolWatch follows the pools that are open: one that became read-only, because its device failed, serves no more until it has been opened
// again. To look changes nothing: a pool that is closed stays closed. One goroutine uses it.
type poolWatch struct {
	server *Server
	failed map[string]bool // labels of pools that do not serve because of this
}

// watchHealth looks until ctx ends, and closes done then.
func (s *Server) watchHealth(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	w := poolWatch{server: s, failed: map[string]bool{}}
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// startHealth begins to watch; the caller calls what is returned to end it, before handles are closed.
func (s *Server) startHealth() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go s.watchHealth(ctx, done)
	return func() {
		cancel()
		<-done
	}
}

func (w *poolWatch) look(ctx context.Context) {
	open := map[string]bool{}
	w.server.handles.EachPool(func(p system.Pool) {
		info, err := p.Info(ctx)
		if err != nil {
			return // it is asked again
		}
		open[info.Label] = true
		if info.ReadOnly != w.failed[info.Label] {
			w.set(info.Label, info.ReadOnly)
		}
	})
	w.forget(ctx, open)
}

func (w *poolWatch) set(label string, failed bool) {
	if failed {
		w.failed[label] = true
	} else {
		delete(w.failed, label)
	}
	w.server.services.PoolHealth(label, !failed)
	w.server.cfg.Log.Warn("the health of a pool changed", "pool", label, "serves", !failed)
}

// forget takes back what was said of pools that were closed since: opening them makes them whole, or says what is wrong. What is said of a
// pool that was destroyed stays.
func (w *poolWatch) forget(ctx context.Context, open map[string]bool) {
	var closed []string
	for label := range w.failed {
		if !open[label] {
			closed = append(closed, label)
		}
	}
	if closed == nil {
		return
	}
	all, err := w.server.cfg.System.Pools(ctx)
	if err != nil {
		return // it is asked again
	}
	for _, label := range closed {
		if slices.ContainsFunc(all, func(i system.PoolInfo) bool { return i.Label == label }) {
			w.set(label, false)
		} else {
			delete(w.failed, label)
		}
	}
}
