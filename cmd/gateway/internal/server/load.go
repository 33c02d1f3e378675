// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"google.golang.org/grpc/tap"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
)

// The weights of callers: see limit.Gate. An operator is heard when others have taken what they may.
const (
	weight      = 4
	weightAdmin = 8
)

const (
	sweepEvery = time.Second
	heapEvery  = 100 * time.Millisecond
	idleEvery  = 50 * time.Millisecond
	idleAtStop = 200 * time.Millisecond // a client that heard of the end and has nothing to say has closed its connection by then
)

// tap decides about a call when its headers have come: who calls, and whether there is a place for it.
func (s *Server) tap(calls *limit.Calls) tap.ServerInHandle {
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		seen, err := s.guard.Tap(ctx, info.FullMethodName, s.gate.Lingers(ctx))
		who := limit.CallerOf(ctx, seen.Who, weight)
		if err != nil {
			return calls.Refuse(ctx, who, err)
		}
		if seen.Admin {
			who.Weight = weightAdmin
		}
		return calls.Tap(ctx, info.FullMethodName, who)
	}
}

// sweep ends what clients leave unfinished, as long as the server serves.
func (s *Server) sweep() {
	ticker, heap := time.NewTicker(sweepEvery), time.NewTicker(heapEvery)
	defer ticker.Stop()
	defer heap.Stop()
	var most limit.Heap
	for {
		select {
		case now := <-ticker.C:
			s.gate.Sweep(now)
			s.conns.Sweep(now)
		case <-heap.C:
			if s.cfg.Alone {
				used, _ := s.gate.Used()
				most.Cap(used)
			}
		case <-s.stopped:
			return
		}
	}
}

// endCalls lets calls that run end, and cuts those that take too long. Idle connections are closed as soon as their clients were told: some
// do not answer before they have something to call, and grpc would wait 5 s for each.
func (s *Server) endCalls() {
	ended := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(ended)
	}()
	ticker, late := time.NewTicker(idleEvery), time.After(s.cfg.StopTimeout)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			s.conns.CloseIdle(idleAtStop)
		case <-late:
			s.cfg.Log.Warn("calls are still running and are cut", "after", s.cfg.StopTimeout)
			s.grpc.Stop()
			<-ended
			return
		}
	}
}
