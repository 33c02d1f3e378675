// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// The bounds of WatchOptions.Progress, and what stands for 0.
const (
	ProgressMin     = 100 * time.Millisecond
	ProgressMax     = time.Minute
	ProgressDefault = 10 * time.Second
)

// WatchValueMax is the longest value that a change comes with.
const WatchValueMax = 1 << 20

// WatchOptions say what is watched. The zero value is all keys, from now on.
type WatchOptions struct {
	Start    uint64        // the first revision that is wanted; 0: what changes from now on
	Position uint64        // so many changes of revision Start are left out, which have come before: Changes.Position; Start must not be 0 then
	Prefix   []byte        // what the keys begin with; it is copied
	KeysOnly bool          // values are left out
	Progress time.Duration // Next waits no longer for a change; from ProgressMin to ProgressMax, 0: ProgressDefault
	ValueMax int           // longer values are left out; 0: WatchValueMax, which is also the most

	// Room is asked before a change of more than 96 KiB is read, and told how many bytes it takes. When it returns an error the watch ends
	// with that. nil: there is room. A gateway's clients are not asked.
	Room func(bytes int) error
}

// ProgressOrDefault is Progress within its bounds.
func (o WatchOptions) ProgressOrDefault() time.Duration {
	if o.Progress == 0 {
		return ProgressDefault
	}
	return min(max(o.Progress, ProgressMin), ProgressMax)
}

// ValueMaxOrDefault is ValueMax within its bounds.
func (o WatchOptions) ValueMaxOrDefault() int {
	if o.ValueMax <= 0 {
		return WatchValueMax
	}
	return min(o.ValueMax, WatchValueMax)
}

// Change is one change of a key. Value is nil, and Omitted true, when the key was removed (Deleted), when only keys were asked for, when the
// value is longer than WatchOptions.ValueMax, and when it can no longer be had (Gone): the log keeps values of up to 2 KiB (half a node, of a pool
// that was made with larger ones), and of a longer one where it lies, whose space is used again some time after the key got another value
// or was removed. Get and Reader fetch what the key has now. Key and Value are the caller's.
type Change struct {
	Key, Value []byte
	Size       uint64 // of the value
	Revision   uint64
	Deleted    bool
	Omitted    bool
	Gone       bool // the value of this change can no longer be had, or is damaged; what the key still has is never gone
}

// Changes is what Next returns. All changes up to Revision have been returned; those with a later one are the beginning of a batch, whose
// rest comes next: of that batch, whose revision is Revision + 1, the first Position have been returned by now. To go on after them, here or
// with another connection: WatchOptions.Start = Revision + 1, and WatchOptions.Position = Position, with the same Prefix.
type Changes struct {
	Changes  []Change
	Revision uint64
	Position uint64
}

// Watch shows the changes of an object, each once, in the order in which they were made, as they become durable. One goroutine uses it.
type Watch interface {
	// Next returns the next changes. It waits for them as long as WatchOptions.Progress says, and then returns Changes without any, so that
	// its caller knows how far it is. The first call returns at once, and says where the watch begins. After an error the watch can only
	// be closed. Errors: EP_OLD (what comes next has been overwritten in the log: it was read too slowly), NONEXIST (the object was
	// removed), IO, CSUM, SHUTDOWN and UNREACH (of a gateway that goes down: watch again, from there).
	Next(ctx context.Context) (Changes, error)
	io.Closer
}

// Watcher is what an object has that can be watched.
type Watcher interface {
	// OpenWatch begins a watch. The object may be closed, or destroyed, before it. Errors: EP_OLD (Start is no longer in the log, or before
	// the object was made: the error's Oldest can be asked for), INVAL (a Position without Start), OVERFLOW (Start is in the future: it is of another pool, or of one
	// that was restored since), NOTSUPPORTED (a snapshot does not change), KEY2BIG (the prefix).
	OpenWatch(ctx context.Context, o WatchOptions) (Watch, error)
}

// OpenWatch begins a watch of an object. Errors: as Watcher's, and NOTSUPPORTED when it cannot be watched.
func OpenWatch(ctx context.Context, kv KV, o WatchOptions) (Watch, error) {
	if w, ok := kv.(Watcher); ok {
		return w.OpenWatch(ctx, o)
	}
	return nil, errno.New("kv watch", "", errno.NotSupported, "objects of this system cannot be watched")
}

// AllChanges yields what Next returns, until ctx ends, which is an error as any other, or the loop does.
func AllChanges(ctx context.Context, kv KV, o WatchOptions) iter.Seq2[Changes, error] {
	return func(yield func(Changes, error) bool) {
		w, err := OpenWatch(ctx, kv, o)
		if err != nil {
			yield(Changes{}, err)
			return
		}
		defer w.Close()
		for {
			c, err := w.Next(ctx)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}
