// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// reasons are the results of a batch in short: "" for what was done.
func reasons(results []*apiv1.KeyResult) (all []string) {
	for _, r := range results {
		all = append(all, r.GetError().GetReason())
	}
	return all
}

func wantReasons(t *testing.T, what string, got []*apiv1.KeyResult, err error, want ...string) {
	t.Helper()
	if err != nil || fmt.Sprintf("%q", reasons(got)) != fmt.Sprintf("%q", want) {
		t.Errorf("%s: %q, %v; want %q", what, reasons(got), err, want)
	}
}

// TestBatchResults: each key has its own result, in the order asked.
func TestBatchResults(t *testing.T) {
	_, kv, stub := real(t, Config{})
	ctx := t.Context()
	entries := func(keys ...string) (all []*apiv1.PutEntry) {
		for i, k := range keys {
			all = append(all, &apiv1.PutEntry{Key: []byte(k), Value: fmt.Appendf(nil, "%s-%d", k, i)})
		}
		return all
	}
	long := string(make([]byte, system.KeyMax+1))
	put, err := stub.BatchPut(ctx, &apiv1.BatchPutRequest{Object: object, Entries: entries("a", "", "b", long, "a", "c")})
	wantReasons(t, "BatchPut", put.GetResults(), err, "", "DER_INVAL", "", "DER_KEY2BIG", "", "")
	if got, err := kv.Get(ctx, []byte("a")); string(got) != "a-4" || err != nil {
		t.Errorf("a key that stands twice has %q, %v", got, err)
	}
	put, err = stub.BatchPut(ctx, &apiv1.BatchPutRequest{Object: object, Entries: entries("a", "d", "b", "e"),
		Condition: apiv1.Condition_CONDITION_INSERT})
	wantReasons(t, "BatchPut with INSERT", put.GetResults(), err, "DER_EXIST", "", "DER_EXIST", "")
	get, err := stub.BatchGet(ctx, &apiv1.BatchGetRequest{Object: object, Keys: [][]byte{[]byte("d"), []byte("none"), nil, []byte("c")}})
	if err != nil || string(get.Results[0].GetValue()) != "d-1" || get.Results[1].GetError().GetReason() != "DER_NONEXIST" ||
		get.Results[1].GetError().GetCode() != int32(codes.NotFound) || get.Results[2].GetError().GetReason() != "DER_INVAL" ||
		string(get.Results[3].GetValue()) != "c-5" {
		t.Errorf("BatchGet: %v, %v", get, err)
	}
	del, err := stub.BatchDelete(ctx, &apiv1.BatchDeleteRequest{Object: object, Keys: [][]byte{[]byte("a"), []byte("none"), []byte("b")},
		Condition: apiv1.Condition_CONDITION_UPDATE})
	wantReasons(t, "BatchDelete", del.GetResults(), err, "", "DER_NONEXIST", "")
	if n, err := kv.Count(ctx, system.Range{}); n != 3 || err != nil {
		t.Errorf("%d keys are left, %v; want c, d, e", n, err)
	}
}

// TestBatchGetRoom: an answer has 1 MiB of values; what finds no room is told from what never does.
func TestBatchGetRoom(t *testing.T) {
	_, kv, stub := real(t, Config{})
	ctx := t.Context()
	vals := map[string]int{"a": 600 << 10, "b": 600 << 10, "c": 2000, "d": 1<<20 + 1, "e": 0, "f": 1 << 20}
	for k, n := range vals {
		if err := kv.Put(ctx, []byte(k), make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	var keys [][]byte
	for _, k := range []string{"a", "b", "c", "d", "e", "f"} {
		keys = append(keys, []byte(k))
	}
	resp, err := stub.BatchGet(ctx, &apiv1.BatchGetRequest{Object: object, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "DER_TRUNC", "", "DER_REC2BIG", "", "DER_TRUNC"} {
		r, n := resp.Results[i], vals[string(keys[i])]
		if r.GetError().GetReason() != want || want == "" && len(r.GetValue()) != n || want != "" && r.GetError().GetSize() != uint64(n) {
			t.Errorf("%s: %q, size %d, %d bytes; want %q", keys[i], r.GetError().GetReason(), r.GetError().GetSize(), len(r.GetValue()), want)
		}
	}
	resp, err = stub.BatchGet(ctx, &apiv1.BatchGetRequest{Object: object, Keys: [][]byte{[]byte("f")}})
	if err != nil || len(resp.Results[0].GetValue()) != 1<<20 {
		t.Errorf("1 MiB alone: %v", err)
	}
}

// TestRevision: the way of a compare-and-set over the wire.
func TestRevision(t *testing.T) {
	_, kv, stub := real(t, Config{})
	ctx, key := t.Context(), []byte("k")
	put := func(val string, rev uint64) error {
		_, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Value: []byte(val),
			Condition: apiv1.Condition_CONDITION_REVISION, Revision: rev})
		return err
	}
	if err := put("first", 0); err != nil {
		t.Fatalf("a key that must be absent: %v", err)
	}
	want(t, "a key that must be absent and is not", put("second", 0), codes.Aborted, "DER_TX_RESTART")
	head, err := stub.Head(ctx, &apiv1.HeadRequest{Object: object, Key: key})
	if err != nil || head.GetSize() != 5 || head.GetRevision() == 0 {
		t.Fatalf("Head: %v, %v", head, err)
	}
	if err := put("second", head.GetRevision()); err != nil {
		t.Errorf("the right revision: %v", err)
	}
	want(t, "an old revision", put("third", head.GetRevision()), codes.Aborted, "DER_TX_RESTART")
	_, err = stub.Delete(ctx, &apiv1.DeleteRequest{Object: object, Key: key, Condition: apiv1.Condition_CONDITION_REVISION,
		Revision: head.GetRevision()})
	want(t, "Delete of an old revision", err, codes.Aborted, "DER_TX_RESTART")
	if got, err := kv.Get(ctx, key); string(got) != "second" || err != nil {
		t.Errorf("the value is %q, %v", got, err)
	}
}

// TestReplay: a repeated call with a request_id gets the first answer, and changes nothing.
func TestReplay(t *testing.T) {
	s, kv, stub := real(t, Config{})
	ctx, key := t.Context(), []byte("k")
	const id, other = "0b8ae3b2-7cf0-4a6b-9a37-1d6c1c3f6a01", "0b8ae3b2-7cf0-4a6b-9a37-1d6c1c3f6a02"
	apply := func(id, val string, cond apiv1.Condition) error {
		_, err := stub.ApplyBatch(ctx, &apiv1.ApplyBatchRequest{Object: object, RequestId: id, Mutations: []*apiv1.Mutation{
			{Key: key, Change: &apiv1.Mutation_Put{Put: []byte(val)}, Condition: cond}}})
		return err
	}
	const insert, none = apiv1.Condition_CONDITION_INSERT, apiv1.Condition_CONDITION_UNSPECIFIED
	if err := apply(id, "first", insert); err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(ctx, key, []byte("meanwhile")); err != nil {
		t.Fatal(err)
	}
	if err := apply(id, "first", insert); err != nil {
		t.Errorf("the repetition: %v", err)
	}
	want(t, "another request under the same id", apply(id, "second", none), codes.InvalidArgument, "DER_INVAL")
	want(t, "another id", apply(other, "first", insert), codes.AlreadyExists, "DER_EXIST")
	want(t, "a failed call is tried anew", apply(other, "first", insert), codes.AlreadyExists, "DER_EXIST")
	if got, err := kv.Get(ctx, key); !bytes.Equal(got, []byte("meanwhile")) || err != nil {
		t.Errorf("the value is %q, %v", got, err)
	}
	pools := apiv1.NewPoolServiceClient(connect(t, s.Addr()))
	first, err := pools.CreatePool(ctx, &apiv1.CreatePoolRequest{Label: "pond", Size: 16 << 20, RequestId: id})
	if err != nil {
		t.Fatal(err)
	}
	again, err := pools.CreatePool(ctx, &apiv1.CreatePoolRequest{Label: "pond", Size: 16 << 20, RequestId: id})
	if err != nil || again.GetPool().GetUuid() != first.GetPool().GetUuid() {
		t.Errorf("CreatePool again: %v, %v; want %v", again, err, first)
	}
	_, err = pools.CreatePool(ctx, &apiv1.CreatePoolRequest{Label: "pond", Size: 16 << 20})
	want(t, "CreatePool without an id", err, codes.AlreadyExists, "DER_EXIST")
}
