// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// call is one call of a kind.
type call = func(ctx context.Context) error

func (w *way) echo(ctx context.Context) error {
	_, err := w.admin.Echo(ctx, &apiv1.EchoRequest{})
	return err
}

func (w *way) get(ctx context.Context) error {
	resp, err := w.kv.Get(ctx, &apiv1.GetRequest{Object: w.run.object(system.Durable), Key: w.run.data.key()})
	if err == nil && len(resp.GetValue()) != len(w.run.data.val) {
		return fmt.Errorf("the value has %d bytes; %d were put", len(resp.GetValue()), len(w.run.data.val))
	}
	return err
}

func (w *way) put(d system.Durability) call {
	object := w.run.object(d)
	return func(ctx context.Context) error {
		_, err := w.kv.Put(ctx, &apiv1.PutRequest{Object: object, Key: w.run.data.key(), Value: w.run.data.val})
		return err
	}
}

// joined are puts that the client library sends together.
func (w *way) joined(d system.Durability) call {
	kv := w.objects[d]
	return func(ctx context.Context) error { return kv.Put(ctx, w.run.data.key(), w.run.data.val) }
}

// calls are a get and puts beside calls of nothing.
func (w *way) calls(depth int) *group {
	cell := func(name string, f call) *measured { return w.cell(name, depth, "calls", loop(1, times(depth, f)...)) }
	return &group{
		name: fmt.Sprintf("calls over %s, depth %d", w.over, depth), echo: true, rounds: w.run.o.Rounds, window: w.run.o.Window,
		cells: []*measured{
			cell("Echo", w.echo), cell("Get", w.get), cell("Put", w.put(system.Durable)), cell("Put relaxed", w.put(system.Relaxed)),
			cell("Put joined", w.joined(system.Durable)), cell("Echo again", w.echo),
		},
	}
}

const batchKeys = 100

func (w *way) batchPut(d system.Durability) call {
	object, data := w.run.object(d), w.run.data
	return func(ctx context.Context) error {
		req := &apiv1.BatchPutRequest{Object: object}
		for _, key := range data.some(batchKeys) {
			req.Entries = append(req.Entries, &apiv1.PutEntry{Key: key, Value: data.val})
		}
		resp, err := w.kv.BatchPut(ctx, req)
		for _, r := range resp.GetResults() {
			if r.GetError() != nil {
				return errors.New(r.GetError().GetMessage())
			}
		}
		return err
	}
}

func (w *way) batchGet(ctx context.Context) error {
	resp, err := w.kv.BatchGet(ctx, &apiv1.BatchGetRequest{Object: w.run.object(system.Durable), Keys: w.run.data.some(batchKeys)})
	for _, r := range resp.GetResults() {
		if r.GetError() != nil {
			return errors.New(r.GetError().GetMessage())
		}
	}
	return err
}

// scan lists all keys with their values.
func (w *way) scan(ctx context.Context) error {
	stream, err := w.kv.Scan(ctx, &apiv1.ScanRequest{Object: w.run.object(system.Durable)})
	if err != nil {
		return err
	}
	n := 0
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		n += len(msg.GetEntries())
	}
	if n < len(w.run.data.keys) {
		return fmt.Errorf("the scan has %d entries of %d", n, len(w.run.data.keys))
	}
	return nil
}

func (w *way) batches() *group {
	n := min(batchKeys, len(w.run.data.keys))
	cell := func(name string, depth, keys int, f call) *measured {
		return w.cell(name, depth, "keys", loop(keys, times(depth, f)...))
	}
	return w.run.longer("batches and scans",
		cell("BatchPut of 100", 1, n, w.batchPut(system.Durable)), cell("BatchPut of 100", 16, n, w.batchPut(system.Durable)),
		cell("BatchPut of 100, relaxed", 16, n, w.batchPut(system.Relaxed)),
		cell("BatchGet of 100", 1, n, w.batchGet), cell("BatchGet of 100", 16, n, w.batchGet),
		cell("Scan", 1, len(w.run.data.keys), w.scan))
}

// streams are values of many MiB, through the client library, which sums what it sends and what comes.
func (w *way) streams() *group {
	val := make([]byte, w.run.o.StreamMiB<<20)
	for i := range val {
		val[i] = byte(i >> 4)
	}
	key := []byte("large")
	put := func(kv system.KV) call {
		return func(ctx context.Context) error { return kv.Put(ctx, key, val) }
	}
	get := func(ctx context.Context) error {
		r, err := w.objects[system.Durable].Reader(ctx, key)
		if err != nil {
			return err
		}
		defer r.Close()
		n, err := io.CopyBuffer(onlyWriter{io.Discard}, r, make([]byte, 1<<20))
		if err == nil && n != int64(len(val)) {
			err = fmt.Errorf("%d bytes came of %d", n, len(val))
		}
		return err
	}
	cell := func(name string, f call) *measured {
		c := w.cell(name, 1, "MiB", loop(len(val), f))
		c.scale = 1 << 20
		return c
	}
	g := w.run.longer(fmt.Sprintf("streams of %d MiB", w.run.o.StreamMiB), cell("PutStream", put(w.objects[system.Durable])),
		cell("PutStream relaxed", put(w.objects[system.Relaxed])), cell("GetStream", get))
	g.rounds, g.window = min(g.rounds, 3), time.Millisecond // one call each
	g.before = put(w.objects[system.Durable])               // GetStream may be alone
	return g
}

type onlyWriter struct{ io.Writer }
