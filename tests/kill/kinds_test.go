// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync/atomic"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// kind is one way to change keys, in a container: "neo", or "lax", where durability is relaxed. work makes one call, or one stream of
// them, until the first error.
type kind struct {
	name string
	cont string
	work func(w *worker, stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error
}

var kinds = []kind{
	{"put", "neo", (*worker).put},
	{"put", "neo", (*worker).put},
	{"batch", "neo", (*worker).batch},
	{"apply", "neo", (*worker).applyBatch},
	{"transact", "neo", (*worker).transact},
	{"session", "neo", (*worker).session},
	{"stream", "neo", (*worker).stream},
	{"load", "neo", (*worker).load},
	{"relaxed", "lax", (*worker).put},
	{"relaxed batch", "lax", (*worker).applyBatch},
}

func (k kind) object() string { return "tank/" + k.cont + "/acked" }

// put puts or deletes one key.
func (w *worker) put(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) (err error) {
	key, ctx := w.key(40), context.Background()
	p := w.begin(part{key: nil})
	if w.random.IntN(4) == 0 {
		_, err = stub.Delete(ctx, &apiv1.DeleteRequest{Object: w.kind.object(), Key: []byte(key)})
	} else {
		p[key] = w.value(2000)
		_, err = stub.Put(ctx, &apiv1.PutRequest{Object: w.kind.object(), Key: []byte(key), Value: []byte(*p[key])})
	}
	return w.answered(p, calls, err)
}

func (w *worker) answered(p part, calls *atomic.Int64, err error) error {
	if err == nil {
		w.done(p)
		calls.Add(1)
	}
	return err
}

// some are a few puts of different keys.
func (w *worker) some(n, size int) part {
	p := part{}
	for range 1 + w.random.IntN(n) {
		p[w.key(3*n)] = w.value(size)
	}
	return p
}

// batch puts keys that are independent of each other.
func (w *worker) batch(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	req := &apiv1.BatchPutRequest{Object: w.kind.object()}
	var parts []part
	for key, val := range w.some(30, 500) {
		parts = append(parts, w.begin(part{key: val}))
		req.Entries = append(req.Entries, &apiv1.PutEntry{Key: []byte(key), Value: []byte(*val)})
	}
	resp, err := stub.BatchPut(context.Background(), req)
	if err != nil {
		return err
	}
	for i, r := range resp.GetResults() {
		if r.GetError() != nil {
			return fmt.Errorf("an entry of a batch: %v", r.GetError())
		}
		w.done(parts[i])
	}
	calls.Add(1)
	return nil
}

// applyBatch makes changes that happen together.
func (w *worker) applyBatch(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	p := w.some(10, 1000)
	req := &apiv1.ApplyBatchRequest{Object: w.kind.object()}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		m := &apiv1.Mutation{Key: []byte(key), Change: &apiv1.Mutation_Put{Put: []byte(*p[key])}}
		if w.random.IntN(5) == 0 {
			p[key], m.Change = nil, &apiv1.Mutation_Delete{Delete: true}
		}
		req.Mutations = append(req.Mutations, m)
	}
	w.begin(p)
	_, err := stub.ApplyBatch(context.Background(), req)
	return w.answered(p, calls, err)
}

// transact compares a key with what it must have, and changes it with others.
func (w *worker) transact(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	p := w.some(5, 500)
	req := &apiv1.TransactRequest{Object: w.kind.object()}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		compare := &apiv1.Compare{Key: []byte(key), Comparison: apiv1.Comparison_COMPARISON_EQUAL, Target: &apiv1.Compare_Exists{}}
		if val, there := w.have[key]; there {
			compare.Target = &apiv1.Compare_Value{Value: []byte(val)}
		}
		req.Compares = append(req.Compares, compare)
		change := &apiv1.Mutation{Key: []byte(key), Change: &apiv1.Mutation_Put{Put: []byte(*p[key])}}
		req.Success = append(req.Success, &apiv1.Step{Step: &apiv1.Step_Change{Change: change}})
	}
	w.begin(p)
	resp, err := stub.Transact(context.Background(), req)
	if err == nil && !resp.GetSucceeded() {
		return fmt.Errorf("a key has not what was acknowledged: %v", slices.Sorted(maps.Keys(p)))
	}
	return w.answered(p, calls, err)
}

// session makes many calls on one stream, some at a time.
func (w *worker) session(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := stub.Session(ctx)
	if err != nil {
		return err
	}
	for {
		msg, parts := w.sessionCalls()
		if err := stream.Send(msg); err != nil {
			_, err = stream.Recv() // which says why
			return err
		}
		if err := w.sessionAnswers(stream, parts, calls); err != nil {
			return err
		}
	}
}

// sessionAnswers takes the answers of all calls of a message.
func (w *worker) sessionAnswers(stream apiv1.KeyValueService_SessionClient, parts []part, calls *atomic.Int64) error {
	for left := len(parts); left > 0; {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, r := range resp.GetResults() {
			if r.GetError() != nil {
				return fmt.Errorf("a call of a session: %v", r.GetError())
			}
			w.done(parts[r.GetTag()])
			left--
			calls.Add(1)
		}
	}
	return nil
}

func (w *worker) sessionCalls() (*apiv1.SessionRequest, []part) {
	msg, parts := &apiv1.SessionRequest{}, []part{}
	for key, val := range w.some(16, 800) {
		call := &apiv1.SessionCall{Tag: uint64(len(parts)), Object: w.kind.object()}
		if w.random.IntN(4) == 0 {
			val, call.Call = nil, &apiv1.SessionCall_Delete{Delete: &apiv1.DeleteRequest{Key: []byte(key)}}
		} else {
			call.Call = &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: []byte(key), Value: []byte(*val)}}
		}
		msg.Calls, parts = append(msg.Calls, call), append(parts, w.begin(part{key: val}))
	}
	return msg, parts
}

// stream puts a value that is larger than most, in pieces.
func (w *worker) stream(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	key, val := w.key(6), w.value(400_000)
	p := w.begin(part{key: val})
	stream, err := stub.PutStream(context.Background())
	if err != nil {
		return err
	}
	header := &apiv1.PutStreamHeader{Object: w.kind.object(), Key: []byte(key), ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}
	msgs := []*apiv1.PutStreamRequest{{Part: &apiv1.PutStreamRequest_Header{Header: header}}}
	for piece := range slices.Chunk([]byte(*val), 60_000) {
		msgs = append(msgs, &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Data{Data: piece}})
	}
	sum := crc32.Checksum([]byte(*val), crc32.MakeTable(crc32.Castagnoli))
	commit := &apiv1.PutStreamCommit{Checksum: []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}}
	for _, msg := range append(msgs, &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Commit{Commit: commit}}) {
		if stream.Send(msg) != nil {
			break // the answer says why
		}
	}
	_, err = stream.CloseAndRecv()
	return w.answered(p, calls, err)
}

// load stores entries by stream: those of one message together, and messages in order.
func (w *worker) load(stub apiv1.KeyValueServiceClient, calls *atomic.Int64) error {
	stream, err := stub.BulkLoad(context.Background())
	if err != nil {
		return err
	}
	var parts []part
	for key, val := range w.some(30, 500) {
		msg := &apiv1.BulkLoadRequest{Entries: []*apiv1.PutEntry{{Key: []byte(key), Value: []byte(*val)}}}
		if len(parts) == 0 {
			msg.Header = &apiv1.BulkLoadHeader{Object: w.kind.object()}
		}
		parts = append(parts, w.begin(part{key: val}))
		if stream.Send(msg) != nil {
			break // the answer says why
		}
	}
	if _, err = stream.CloseAndRecv(); err != nil {
		return err
	}
	for _, p := range parts {
		w.done(p)
	}
	calls.Add(1)
	return nil
}
