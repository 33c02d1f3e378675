// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// KV is an open key-value object.
type KV struct {
	handle
	sys  *System
	name string // "pool/container/object", the first two as UUIDs
}

// Close closes the handle. BUSY while a reader or a writer of it is open.
func (kv *KV) Close() error { return kv.close("kv close", nil) }

// Get reads a value.
func (kv *KV) Get(ctx context.Context, key []byte) ([]byte, error) {
	const op = "kv get"
	if err := kv.check(ctx, op); err != nil {
		return nil, err
	}
	val, err := kv.get(ctx, op, key)
	if !errors.Is(err, errno.Rec2Big) {
		return val, err
	}
	r, err := kv.open(ctx, op, key) // too large for a unary call
	if err != nil {
		return nil, err
	}
	defer r.Close()
	val = make([]byte, r.stat.Size)
	_, err = io.ReadFull(r, val)
	return val, r.whole(err)
}

func (kv *KV) get(ctx context.Context, op string, key []byte) ([]byte, error) {
	resp, err := kv.sys.keyValues.Get(ctx, &apiv1.GetRequest{Object: kv.name, Key: key})
	if err != nil {
		return nil, fromStatus(ctx, op, kv.ref, err)
	}
	return resp.GetValue(), nil
}

// GetMany reads many values, each with its own result, in the order of the keys. They are not one view.
func (kv *KV) GetMany(ctx context.Context, keys [][]byte) ([]system.Value, error) {
	const op = "kv get many"
	if err := kv.check(ctx, op); err != nil {
		return nil, err
	}
	if len(keys) > system.BatchMax {
		return nil, errno.New(op, kv.ref, errno.Inval, "a call takes at most 65536 keys: split it")
	}
	values := make([]system.Value, 0, len(keys))
	for len(keys) > 0 {
		part := kv.batchOf(keys)
		got, err := kv.getBatch(ctx, op, part)
		if err != nil {
			return nil, err
		}
		values, keys = append(values, got...), keys[len(part):]
	}
	return values, nil
}

// batchOf is as many of the keys, one at least, as one request takes.
func (kv *KV) batchOf(keys [][]byte) [][]byte {
	room, n := kv.sys.limits.GetMessageBytes()/2, 1
	for size := uint64(len(keys[0])); n < min(len(keys), int(kv.sys.limits.GetBatchKeys())); n++ {
		if size += uint64(len(keys[n])) + 8; size > room {
			break
		}
	}
	return keys[:n]
}

// getBatch is one answer of the gateway. What found no room in it is asked for again, alone.
func (kv *KV) getBatch(ctx context.Context, op string, keys [][]byte) ([]system.Value, error) {
	resp, err := kv.sys.keyValues.BatchGet(ctx, &apiv1.BatchGetRequest{Object: kv.name, Keys: keys})
	if err != nil {
		return nil, fromStatus(ctx, op, kv.ref, err)
	}
	if len(resp.GetResults()) != len(keys) {
		return nil, errno.New(op, kv.ref, errno.Proto, fmt.Sprintf("the gateway answered %d of %d keys", len(resp.GetResults()), len(keys)))
	}
	values := make([]system.Value, len(keys))
	for i, r := range resp.GetResults() {
		switch code := errno.Code(r.GetError().GetRc()); code {
		case 0:
			values[i].Data = r.GetValue()
		case errno.Trunc, errno.Rec2Big:
			values[i].Data, values[i].Err = kv.Get(ctx, keys[i])
		default:
			values[i].Err = errno.New(op, kv.ref, code, r.GetError().GetMessage())
		}
	}
	return values, nil
}

// GetInto copies the value into dst and returns its size. When dst is too small the error is REC2BIG, with the size.
func (kv *KV) GetInto(ctx context.Context, key, dst []byte) (int, error) {
	const op = "kv get"
	if err := kv.check(ctx, op); err != nil {
		return 0, err
	}
	val, err := kv.get(ctx, op, key)
	if errors.Is(err, errno.Rec2Big) {
		return kv.streamInto(ctx, op, key, dst)
	}
	if err != nil {
		return 0, err
	}
	if len(val) > len(dst) {
		return 0, kv.tooSmall(op, uint64(len(val)), dst)
	}
	return copy(dst, val), nil
}

func (kv *KV) streamInto(ctx context.Context, op string, key, dst []byte) (int, error) {
	r, err := kv.open(ctx, op, key)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if r.stat.Size > uint64(len(dst)) {
		return 0, kv.tooSmall(op, r.stat.Size, dst)
	}
	n, err := io.ReadFull(r, dst[:r.stat.Size])
	return n, r.whole(err)
}

func (kv *KV) tooSmall(op string, size uint64, dst []byte) error {
	e := errno.New(op, kv.ref, errno.Rec2Big, fmt.Sprintf("the value has %d bytes and the buffer has room for %d", size, len(dst)))
	e.Size = size
	return e
}

// conditions are the conditions, in the system and on the wire.
var conditions = map[system.Cond]apiv1.Condition{
	system.CondNone:     apiv1.Condition_CONDITION_UNSPECIFIED,
	system.CondInsert:   apiv1.Condition_CONDITION_INSERT,
	system.CondUpdate:   apiv1.Condition_CONDITION_UPDATE,
	system.CondRevision: apiv1.Condition_CONDITION_REVISION,
}

// condition is that of a single change, which knows no revision.
func (kv *KV) condition(op string, cond []system.Cond) (apiv1.Condition, error) {
	if len(cond) == 0 {
		return apiv1.Condition_CONDITION_UNSPECIFIED, nil
	}
	c, ok := conditions[cond[0]]
	switch {
	case len(cond) > 1:
		return c, errno.New(op, kv.ref, errno.Inval, fmt.Sprintf("%d conditions are given; a change has one at most", len(cond)))
	case !ok || c == apiv1.Condition_CONDITION_REVISION:
		return c, errno.New(op, kv.ref, errno.Inval,
			fmt.Sprintf("the condition %d is not one of a single change; use Apply for revisions", cond[0]))
	}
	return c, nil
}

// Put stores a value: durable when Put returns. Without a condition it goes with what other goroutines put at the same time, see
// [Options.SeparatePuts].
func (kv *KV) Put(ctx context.Context, key, val []byte, cond ...system.Cond) error {
	const op = "kv put"
	if err := kv.check(ctx, op); err != nil {
		return err
	}
	c, err := kv.condition(op, cond)
	if err != nil {
		return err
	}
	if uint64(len(val)) > kv.sys.limits.GetUnaryValueBytes() {
		return kv.putStream(ctx, op, key, val, c)
	}
	if j := kv.sys.joint; c == apiv1.Condition_CONDITION_UNSPECIFIED && j.takes(ctx, len(key)+len(val)) {
		if err = j.put(ctx, op, kv.ref, kv.name, key, val); !errors.Is(err, errUnsent) {
			return err
		}
	}
	_, err = kv.sys.keyValues.Put(ctx, &apiv1.PutRequest{Object: kv.name, Key: key, Value: val, Condition: c})
	return fromStatus(ctx, op, kv.ref, err)
}

func (kv *KV) putStream(ctx context.Context, op string, key, val []byte, c apiv1.Condition) error {
	w, err := kv.create(ctx, op, &apiv1.PutStreamHeader{Object: kv.name, Key: key, Condition: c, Size: proto.Uint64(uint64(len(val)))})
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(val); err != nil {
		return err
	}
	return w.Commit(ctx)
}

// Delete removes a key.
func (kv *KV) Delete(ctx context.Context, key []byte, cond ...system.Cond) error {
	const op = "kv delete"
	if err := kv.check(ctx, op); err != nil {
		return err
	}
	c, err := kv.condition(op, cond)
	if err != nil {
		return err
	}
	_, err = kv.sys.keyValues.Delete(ctx, &apiv1.DeleteRequest{Object: kv.name, Key: key, Condition: c})
	return fromStatus(ctx, op, kv.ref, err)
}

// Exists reports whether the key is there.
func (kv *KV) Exists(ctx context.Context, key []byte) (bool, error) {
	const op = "kv exists"
	if err := kv.check(ctx, op); err != nil {
		return false, err
	}
	_, err := kv.sys.keyValues.Head(ctx, &apiv1.HeadRequest{Object: kv.name, Key: key})
	if isAboutKey(err) {
		return false, nil
	}
	return err == nil, fromStatus(ctx, op, kv.ref, err)
}

// Stat is the size and revision of a value. NONEXIST when the key is absent.
func (kv *KV) Stat(ctx context.Context, key []byte) (system.Stat, error) {
	const op = "kv stat"
	if err := kv.check(ctx, op); err != nil {
		return system.Stat{}, err
	}
	resp, err := kv.sys.keyValues.Head(ctx, &apiv1.HeadRequest{Object: kv.name, Key: key})
	if err != nil {
		return system.Stat{}, fromStatus(ctx, op, kv.ref, err)
	}
	return system.Stat{Size: resp.GetSize(), Revision: resp.GetRevision()}, nil
}

func wireRange(r system.Range) *apiv1.KeyRange {
	return &apiv1.KeyRange{Prefix: r.Prefix, Start: r.Start, End: r.End, After: r.After}
}

// Count is the number of keys in a range.
func (kv *KV) Count(ctx context.Context, r system.Range) (uint64, error) {
	const op = "kv count"
	if err := kv.check(ctx, op); err != nil {
		return 0, err
	}
	resp, err := kv.sys.keyValues.Count(ctx, &apiv1.CountRequest{Object: kv.name, Range: wireRange(r)})
	if err != nil {
		return 0, fromStatus(ctx, op, kv.ref, err)
	}
	return limited(resp.GetCount(), r), nil
}

// limited is how many of n entries a listing of r has.
func limited(n uint64, r system.Range) uint64 {
	if r.Limit > 0 {
		return min(n, r.Limit)
	}
	return n
}

// List lists a range in order. The stream behind it ends with the loop.
func (kv *KV) List(ctx context.Context, r system.Range) iter.Seq2[system.Entry, error] {
	const op = "kv list"
	return func(yield func(system.Entry, error) bool) {
		if err := kv.check(ctx, op); err != nil {
			yield(system.Entry{}, err)
			return
		}
		sctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := kv.sys.keyValues.Scan(sctx, &apiv1.ScanRequest{
			Object: kv.name, Range: wireRange(r), Reverse: r.Reverse, KeysOnly: r.KeysOnly, Limit: r.Limit,
		})
		for err == nil {
			var msg *apiv1.ScanResponse
			if msg, err = stream.Recv(); err != nil {
				break
			}
			for _, e := range msg.GetEntries() {
				if !yield(entryOf(e), nil) {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(system.Entry{}, fromStatus(ctx, op, kv.ref, err))
		}
	}
}

func entryOf(e *apiv1.ScanEntry) system.Entry {
	return system.Entry{Key: e.Key, Value: e.Value, Size: e.Size, Revision: e.Revision, Omitted: e.Value == nil}
}

// DeleteRange removes every key in a range, or the first of them up to a Limit (the last, with Reverse), and returns their number.
func (kv *KV) DeleteRange(ctx context.Context, r system.Range) (uint64, error) {
	const op = "kv delete range"
	if err := kv.check(ctx, op); err != nil {
		return 0, err
	}
	resp, err := kv.sys.keyValues.DeleteRange(ctx, &apiv1.DeleteRangeRequest{
		Object: kv.name, Range: wireRange(r), Limit: r.Limit, Reverse: r.Reverse,
	})
	if err != nil {
		return 0, fromStatus(ctx, op, kv.ref, err)
	}
	return resp.GetDeleted(), nil
}

// Apply makes all the changes or none. The batch is one message: REC2BIG when it is larger than the gateway takes.
func (kv *KV) Apply(ctx context.Context, batch []system.Mutation) error {
	const op = "kv apply"
	if err := kv.check(ctx, op); err != nil {
		return err
	}
	if len(batch) == 0 || len(batch) > system.BatchMax {
		return errno.New(op, kv.ref, errno.Inval, fmt.Sprintf("the batch has %d changes; it must have 1 to %d", len(batch), system.BatchMax))
	}
	req := &apiv1.ApplyBatchRequest{Object: kv.name, Mutations: make([]*apiv1.Mutation, len(batch))}
	for i, m := range batch {
		c, ok := conditions[m.Cond]
		if !ok {
			return errno.New(op, kv.ref, errno.Inval, fmt.Sprintf("change %d has the condition %d, which there is not", i, m.Cond))
		}
		if m.Note {
			return errno.New(op, kv.ref, errno.NotSupported, "the gateway keeps the notes of a container for itself")
		}
		req.Mutations[i] = wireMutation(m, c)
	}
	if size := uint64(proto.Size(req)); size > kv.sys.limits.GetMessageBytes() {
		return errno.New(op, kv.ref, errno.Rec2Big, fmt.Sprintf("the batch has %d bytes and the gateway takes %d in one; make it smaller",
			size, kv.sys.limits.GetMessageBytes()))
	}
	_, err := kv.sys.keyValues.ApplyBatch(ctx, req)
	return fromStatus(ctx, op, kv.ref, err)
}

func wireMutation(m system.Mutation, c apiv1.Condition) *apiv1.Mutation {
	wire := &apiv1.Mutation{Key: m.Key, Condition: c, Revision: m.Revision}
	switch {
	case m.Check:
		wire.Change = &apiv1.Mutation_Check{Check: true}
	case m.Delete:
		wire.Change = &apiv1.Mutation_Delete{Delete: true}
	default:
		wire.Change = &apiv1.Mutation_Put{Put: m.Value}
	}
	return wire
}
