// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// Stats says how the gateway is doing. UNREACH when it does not answer.
func (s *System) Stats(ctx context.Context) (system.ServerStats, error) {
	const op = "stats"
	if err := s.check(ctx, op); err != nil {
		return system.ServerStats{}, err
	}
	r, err := s.admin.GetStats(ctx, &apiv1.GetStatsRequest{})
	if err != nil {
		return system.ServerStats{}, fromStatus(ctx, op, s.ref, err)
	}
	return serverStats(r), nil
}

func serverStats(r *apiv1.GetStatsResponse) system.ServerStats {
	stats := system.ServerStats{
		Started: r.GetStartTime().AsTime(), InFlight: r.GetInFlightBytes(), InFlightLimit: r.GetInFlightLimitBytes(),
		Handles: r.GetOpenHandles(), Goroutines: r.GetGoroutines(), Heap: r.GetHeapBytes(),
		Refused: r.GetRefused(), Watches: r.GetWatches(), WatchesLimit: r.GetWatchesLimit(),
	}
	for _, m := range r.GetMethods() {
		stats.Methods = append(stats.Methods, system.MethodStats{
			Method: m.GetMethod(), Calls: m.GetCalls(), Errors: m.GetErrors(), Seconds: m.GetSeconds()})
	}
	return stats
}
