// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"iter"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// Watch shows the changes of an object: see system.Watch. One goroutine at a time uses it.
type Watch struct {
	handle
	stream grpc.ServerStreamingClient[apiv1.WatchResponse]
	cancel context.CancelFunc
	first  *apiv1.WatchResponse // that Next has not returned yet
}

// OpenWatch begins a watch: see system.Watcher. ctx bounds the opening only.
func (kv *KV) OpenWatch(ctx context.Context, o system.WatchOptions) (system.Watch, error) {
	const op = "kv watch"
	if err := kv.check(ctx, op); err != nil {
		return nil, err
	}
	sctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	w := &Watch{cancel: cancel}
	var err error
	w.stream, err = kv.sys.keyValues.Watch(sctx, &apiv1.WatchRequest{Object: kv.name, StartRevision: o.Start, StartPosition: o.Position, Prefix: o.Prefix,
		KeysOnly: o.KeysOnly, ProgressMs: uint32(o.ProgressOrDefault().Milliseconds()), ValueMax: uint32(o.ValueMaxOrDefault())})
	if err == nil {
		w.first, err = w.stream.Recv()
	}
	stop()
	if err != nil {
		cancel()
		return nil, fromRecv(ctx, op, kv.ref, err)
	}
	if err := w.init(kv.parent.parent, "watch", kv.ref); err != nil {
		cancel()
		return nil, err
	}
	return w, nil
}

// Next returns the next message of the stream. When ctx ends first, the watch has ended too.
func (w *Watch) Next(ctx context.Context) (system.Changes, error) {
	const op = "kv watch"
	if err := w.check(ctx, op); err != nil {
		return system.Changes{}, err
	}
	msg := w.first
	w.first = nil
	if msg == nil {
		stop := context.AfterFunc(ctx, w.cancel)
		defer stop()
		var err error
		if msg, err = w.stream.Recv(); err != nil {
			return system.Changes{}, fromRecv(ctx, op, w.ref, err)
		}
	}
	return changesOf(msg), nil
}

func changesOf(msg *apiv1.WatchResponse) system.Changes {
	all := system.Changes{Revision: msg.GetRevision(), Position: msg.GetPosition()}
	for _, c := range msg.GetChanges() {
		all.Changes = append(all.Changes, system.Change{
			Key: c.GetKey(), Value: c.Value, Size: c.GetSize(), Revision: c.GetRevision(), Deleted: c.GetDeleted(), Omitted: c.Value == nil,
			Gone: c.GetGone(),
		})
	}
	return all
}

// Close ends the stream.
func (w *Watch) Close() error {
	return w.close("kv watch", func() error {
		w.cancel()
		return nil
	})
}

// Watch yields the object's changes until ctx ends, which is an error as any other, or the loop does: see system.AllChanges.
func (kv *KV) Watch(ctx context.Context, o system.WatchOptions) iter.Seq2[system.Changes, error] {
	return system.AllChanges(ctx, kv, o)
}
