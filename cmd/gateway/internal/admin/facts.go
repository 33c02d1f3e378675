// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	poolsFor     = time.Second      // how long what was heard of pools is good
	snapshotsFor = 10 * time.Second // and what was counted by listing containers
	patience     = 2 * time.Second  // with a system that does not answer
)

// Pool is what is known of a pool.
type Pool struct {
	system.PoolInfo
	Open      bool   `json:"open"`
	Snapshots uint64 `json:"snapshots"` // of all containers; when it is open
}

// facts keeps what was heard of pools.
type facts struct {
	cfg *Config

	mu      sync.Mutex
	asking  chan struct{} // not nil: somebody asks; closed when the answer is there
	stopped bool
	asked   time.Time
	pools   []Pool
	stale   bool // the last question had no answer

	counted   time.Time         // by the one that asks
	snapshots map[string]uint64 // by UUID of the pool

	names sync.Map // UUID of a pool or container that was seen, to its label
}

// get are the pools, and whether that is what was known earlier, because the system does not answer.
func (f *facts) get() (pools []Pool, stale bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.asked) > poolsFor && f.asking == nil && !f.stopped {
		f.asking = make(chan struct{})
		go f.ask(f.asking)
	}
	if asking := f.asking; asking != nil {
		f.mu.Unlock()
		select {
		case <-asking:
		case <-time.After(patience):
		}
		f.mu.Lock()
		return slices.Clone(f.pools), f.stale || f.asking == asking
	}
	return slices.Clone(f.pools), f.stale
}

// ask asks the system, and answers all who wait.
func (f *facts) ask(asking chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pools, err := f.ofSystem(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.asking, f.stale = time.Now(), nil, err != nil
	if err == nil {
		f.pools = pools
	} else {
		f.cfg.Log.Warn("the pools cannot be listed for the admin address", "error", err)
	}
	close(asking)
}

// ofSystem asks the system. A defect there is an error here: to watch must not bring the gateway down.
func (f *facts) ofSystem(ctx context.Context) (pools []Pool, err error) {
	defer limit.Contain(f.cfg.Log, "the admin address", &err)
	infos, err := f.cfg.System.Pools(ctx)
	if err != nil {
		return nil, err
	}
	count := time.Since(f.counted) > snapshotsFor
	if count {
		f.counted, f.snapshots = time.Now(), map[string]uint64{}
		f.names.Clear() // of what is gone
	}
	pools = make([]Pool, 0, len(infos))
	for _, i := range infos {
		pools = append(pools, Pool{PoolInfo: i})
		f.names.Store(i.UUID, i.Label)
	}
	f.cfg.Handles.EachPool(func(p system.Pool) {
		info, err := p.Info(ctx)
		if err != nil {
			return
		}
		if count {
			f.countSnapshots(ctx, p, info.UUID)
		}
		pools = place(pools, Pool{PoolInfo: info, Open: true, Snapshots: f.snapshots[info.UUID]})
	})
	slices.SortFunc(pools, func(a, b Pool) int { return strings.Compare(a.Label, b.Label) })
	return pools, nil
}

func (f *facts) countSnapshots(ctx context.Context, p system.Pool, uuid string) {
	conts, err := p.Containers(ctx)
	if err != nil {
		return // the pool may be going away
	}
	var n uint64
	for _, c := range conts {
		f.names.Store(c.UUID, c.Label)
		n += c.Snapshots
	}
	f.snapshots[uuid] = n // and not added: a pool may be open by its label and by its UUID
}

// place puts what an open pool says of itself in the place of what was listed.
func place(pools []Pool, p Pool) []Pool {
	for i := range pools {
		if pools[i].UUID == p.UUID {
			pools[i] = p
			return pools
		}
	}
	return append(pools, p)
}

// readable is a reference with labels instead of UUIDs, as far as they are known: clients in Go send UUIDs.
func (f *facts) readable(ref string) string {
	parts := strings.SplitN(ref, "/", 3)
	for i, part := range parts[:min(len(parts), 2)] {
		uuid, snapshot, isSnapshot := strings.Cut(part, "@")
		if label, ok := f.names.Load(uuid); ok && label != "" {
			parts[i] = label.(string)
			if isSnapshot {
				parts[i] += "@" + snapshot
			}
		}
	}
	return strings.Join(parts, "/")
}

// stop waits until nobody asks the system any more; nobody asks it afterwards.
func (f *facts) stop() {
	f.mu.Lock()
	f.stopped = true
	asking := f.asking
	f.mu.Unlock()
	if asking != nil {
		<-asking
	}
}
