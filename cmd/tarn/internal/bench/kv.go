// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tarn-storage/tarn/go/system"
)

// KV measures a system as programs see it: in this process, or at a gateway through the client library.
func KV(ctx context.Context, o Options, sys system.System) (report Report, err error) {
	o.setDefaults()
	r := &run{o: o, data: newData(o), pool: fmt.Sprintf("bench-%08x", rand.Uint32())}
	report = r.report()
	defer func() { err = errors.Join(err, r.close()) }()
	if err = r.create(ctx, sys); err != nil {
		return report, err
	}
	w := &way{run: r, objects: map[system.Durability]system.KV{}}
	r.way = append(r.way, w)
	if err = w.openObjects(ctx, sys); err != nil {
		return report, err
	}
	groups := r.asked(map[string][]*group{
		"calls": {w.kvCalls(1), w.kvCalls(64)}, "batches": {w.kvBatches()}, "streams": {w.streams()},
	})
	return report, r.measure(ctx, groups, &report)
}

func (w *way) kvGet(ctx context.Context) error {
	var room [4096]byte
	_, err := w.objects[system.Durable].GetInto(ctx, w.run.data.key(), room[:])
	return err
}

func (w *way) kvPut(d system.Durability) call {
	kv := w.objects[d]
	return func(ctx context.Context) error { return kv.Put(ctx, w.run.data.key(), w.run.data.val) }
}

func (w *way) kvCalls(depth int) *group {
	cell := func(name string, f call) *measured { return w.cell(name, depth, "calls", loop(1, times(depth, f)...)) }
	return &group{
		name: fmt.Sprintf("calls, depth %d", depth), rounds: w.run.o.Rounds, window: w.run.o.Window,
		cells: []*measured{cell("Get", w.kvGet), cell("Put", w.kvPut(system.Durable)), cell("Put relaxed", w.kvPut(system.Relaxed))},
	}
}

func (w *way) kvBatches() *group {
	n := min(batchKeys, len(w.run.data.keys))
	apply := func(d system.Durability) call {
		return func(ctx context.Context) error {
			return w.objects[d].Apply(ctx, w.run.data.mutations(w.run.data.some(n)))
		}
	}
	many := func(ctx context.Context) error {
		values, err := w.objects[system.Durable].GetMany(ctx, w.run.data.some(n))
		for _, v := range values {
			err = errors.Join(err, v.Err)
		}
		return err
	}
	list := func(ctx context.Context) error {
		for _, err := range w.objects[system.Durable].List(ctx, system.Range{}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	cell := func(name string, depth, keys int, f call) *measured {
		return w.cell(name, depth, "keys", loop(keys, times(depth, f)...))
	}
	return w.run.longer("batches and lists",
		cell("Apply of 100", 1, n, apply(system.Durable)), cell("Apply of 100", 16, n, apply(system.Durable)),
		cell("Apply of 100, relaxed", 16, n, apply(system.Relaxed)),
		cell("GetMany of 100", 1, n, many), cell("GetMany of 100", 16, n, many),
		cell("List", 1, len(w.run.data.keys), list))
}
