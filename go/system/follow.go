// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// The pauses of Follow: the first, which doubles, and the longest.
const (
	followPause    = 20 * time.Millisecond
	followPauseMax = 2 * time.Second
)

// Follow yields an object's changes as AllChanges does, and goes on where it was when the way to them breaks: when a gateway stops, cannot
// be reached, or is full, it watches again, after pauses that grow, until ctx ends. No change is yielded twice, none is left out. Other
// errors end it, EP_OLD among them: it was away for too long; so does one of the first try.
func Follow(ctx context.Context, kv KV, o WatchOptions) iter.Seq2[Changes, error] {
	return func(yield func(Changes, error) bool) {
		f := follower{kv: kv, o: o, yield: yield}
		for f.watch(ctx) {
			if !f.rest(ctx) {
				f.yield(Changes{}, errors.Join(ctx.Err(), f.broke))
				return
			}
		}
	}
}

// follower is a Follow that runs. Always true: all before o.Start and o.Position has been yielded once it has begun.
type follower struct {
	kv    KV
	o     WatchOptions
	yield func(Changes, error) bool
	begun bool
	pause time.Duration
	broke error
}

// watch yields what one watch shows; true: it is broken, and may be begun again.
func (f *follower) watch(ctx context.Context) bool {
	known := f.begun // where it begins, which its first answer says
	for c, err := range AllChanges(ctx, f.kv, f.o) {
		if err != nil {
			if f.begun && broken(err) {
				f.broke = err
				return true
			}
			f.yield(Changes{}, err)
			return false
		}
		f.begun, f.pause = true, 0
		if known {
			known = false
			continue
		}
		f.o.Start, f.o.Position = c.Revision+1, c.Position
		if !f.yield(c, nil) {
			return false
		}
	}
	return false
}

// rest waits for a while; false: ctx has ended.
func (f *follower) rest(ctx context.Context) bool {
	f.pause = min(max(2*f.pause, followPause), followPauseMax)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(f.pause/2 + rand.N(f.pause)):
		return true
	}
}

func broken(err error) bool {
	switch errno.CodeOf(err) {
	case errno.Unreach, errno.Shutdown, errno.OverloadRetry:
		return true
	}
	return false
}
