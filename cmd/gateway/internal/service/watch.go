// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// watches are the watches that run. A watch that its client reads slowly holds what one message of the engine has, and no more: the
// changes wait in the pool's log, or are overwritten there, which the client is told.
type watches struct {
	mu  sync.Mutex
	all map[*watching]struct{}
}

// watching is one watch. It keeps the pool in use, not the object, which may so be removed; and not longer than it lasts, although its client
// may not read what was sent by then.
type watching struct {
	system.Watch
	pool *handles.Handle

	mu     sync.Mutex
	inside bool // of Next, or of the opening: who is there frees the watch and the pool
	ended  bool
	freed  bool

	label  string // of the pool
	cancel context.CancelCauseFunc
	gate   *limit.Gate
	held   int64 // bytes of the gate, for a large change
	at     place // how much has been sent
	size   int   // of the next message
}

// room takes the bytes of a large change before it is read.
func (w *watching) room(ctx context.Context, bytes int) error {
	if err := w.gate.Take(ctx, int64(bytes)); err != nil {
		return err
	}
	w.held += int64(bytes)
	return nil
}

// enter is called before the engine is; false: the watch has ended.
func (w *watching) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside = !w.ended
	return w.inside
}

func (w *watching) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inside = false; w.ended {
		w.freeLocked()
	}
}

// free ends the watch, and lets go of the pool, as soon as the engine is not asked.
func (w *watching) free() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended = true; !w.inside {
		w.freeLocked()
	}
}

func (w *watching) freeLocked() {
	if w.freed || w.Watch == nil {
		return
	}
	w.freed = true
	_ = w.Close() // nothing of it is running
	w.pool.Release()
}

func (w *watching) giveRoom(ctx context.Context) {
	if w.held > 0 {
		w.gate.Give(ctx, w.held)
		w.held = 0
	}
}

func (ws *watches) add(w *watching) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[*watching]struct{}{}
	}
	ws.all[w] = struct{}{}
}

func (ws *watches) remove(w *watching) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

// end ends the watches of a pool that is about to be deleted. Their clients try again, and find it gone, or not.
func (ws *watches) end(label string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.label == label {
			w.cancel(errno.New("", label, errno.Shutdown, "the pool is being deleted"))
			w.free()
		}
	}
}

var errDrain = errno.New("", "", errno.Shutdown, "the gateway is going down; watch again, from the last revision that came")

func (s *keyValues) Watch(req *apiv1.WatchRequest, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	if err := s.Gate.BeginWatch(ctx); err != nil {
		return err
	}
	defer s.Gate.EndWatch(ctx)
	w := &watching{cancel: cancel, gate: s.Gate, inside: true}
	s.watches.add(w)
	defer s.watches.remove(w)
	if err := s.openWatch(ctx, w, req); err != nil {
		return err
	}
	w.leave()
	defer w.free()
	go func() {
		select {
		case <-s.Drain:
			cancel(errDrain)
		case <-ctx.Done():
		}
	}()
	return w.run(ctx, stream)
}

// openWatch opens the watch, and lets go of the object.
func (s *keyValues) openWatch(ctx context.Context, w *watching, req *apiv1.WatchRequest) error {
	object, err := s.handle(ctx, "object", req.GetObject(), handles.ObjectParts)
	if err != nil {
		return err
	}
	defer object.Release()
	if w.pool, err = s.Handles.Get(auth.Gateway(ctx), handles.Ref(req.GetObject()).Parent().Parent()); err != nil {
		return err
	}
	w.Watch, err = s.watchIn(ctx, w, object.KV, req)
	if err != nil {
		w.pool.Release()
	}
	return err
}

func (s *keyValues) watchIn(ctx context.Context, w *watching, kv system.KV, req *apiv1.WatchRequest) (system.Watch, error) {
	info, err := w.pool.Pool.Info(ctx)
	if err != nil {
		return nil, err
	}
	s.watches.name(w, info.Label)
	return system.OpenWatch(ctx, kv, system.WatchOptions{
		Start: req.GetStartRevision(), Position: req.GetStartPosition(), Prefix: req.GetPrefix(), KeysOnly: req.GetKeysOnly(),
		Progress: time.Duration(req.GetProgressMs()) * time.Millisecond,
		ValueMax: int(min(req.GetValueMax(), system.WatchValueMax)),
		Room:     func(bytes int) error { return w.room(ctx, bytes) },
	})
}

func (ws *watches) name(w *watching, label string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.label = label
}

// run sends what comes, until ctx ends.
func (w *watching) run(ctx context.Context, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	for {
		err := w.step(ctx, stream)
		w.giveRoom(ctx)
		if err == nil {
			continue
		}
		var ended *errno.Error
		if errors.As(context.Cause(ctx), &ended) { // by end, or by the drain
			return ended
		}
		return err
	}
}

func (w *watching) step(ctx context.Context, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	c, err := w.next(ctx)
	if err != nil {
		return err
	}
	return w.send(stream, c)
}

func (w *watching) next(ctx context.Context) (system.Changes, error) {
	if !w.enter() {
		return system.Changes{}, context.Cause(ctx)
	}
	defer w.leave()
	return w.Next(ctx)
}

// place is a place among the changes: those of a revision, and how many of them.
type place struct{ revision, seen uint64 }

// firstBytes is how large the first message of changes is; the next ones are twice as large each, up to scanBytes. A way that always breaks
// after a few KiB so carries some of them each time, and one that does not costs no more.
const firstBytes = 1 << 10

// send sends changes in messages of a bounded size. Each says how far the stream is with it: to the end of the batch before the first change
// that is still to come, and how many of that one's batch have been sent.
func (w *watching) send(stream grpc.ServerStreamingServer[apiv1.WatchResponse], c system.Changes) error {
	msg, size := &apiv1.WatchResponse{}, 0
	for _, change := range c.Changes {
		if change.Revision != w.at.revision {
			w.at = place{revision: change.Revision}
		}
		wire, n := wireChange(change)
		if size+n > w.messageBytes() && size > 0 {
			msg.Revision, msg.Position = change.Revision-1, w.at.seen
			if err := stream.Send(msg); err != nil {
				return err
			}
			msg, size = &apiv1.WatchResponse{}, 0
			w.size = 2 * w.messageBytes()
		}
		msg.Changes, size = append(msg.Changes, wire), size+n
		w.at.seen++
	}
	msg.Revision, msg.Position = c.Revision, c.Position
	w.at = place{revision: c.Revision + 1, seen: c.Position}
	return stream.Send(msg)
}

// messageBytes is how many bytes of changes the next message has at most, or one change.
func (w *watching) messageBytes() int { return min(max(w.size, firstBytes), scanBytes) }

// wireChange is a change, and how much of a message it takes at most.
func wireChange(c system.Change) (*apiv1.WatchChange, int) {
	const framing = 7 * binary.MaxVarintLen32 // tags, lengths, size, revision, deleted, gone
	wire := &apiv1.WatchChange{Key: c.Key, Revision: c.Revision, Deleted: c.Deleted, Size: c.Size, Gone: c.Gone}
	if !c.Omitted {
		wire.Value = c.Value
		if wire.Value == nil {
			wire.Value = []byte{} // present, and empty
		}
	}
	return wire, len(c.Key) + len(c.Value) + framing
}
