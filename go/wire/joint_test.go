// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestPuts: puts that are added one by one are the request that they are together.
func TestPuts(t *testing.T) {
	r := random(t)
	for range 300 {
		var puts Puts
		want := &apiv1.SessionRequest{}
		for range r.IntN(60) {
			tag, key, val := r.Uint64()>>r.IntN(64), filled(r, r.IntN(200)), filled(r, r.IntN(1+r.IntN(20000)))
			puts.Add(tag, "tank/neo/stadium", key, val)
			put := &apiv1.PutRequest{Key: key, Value: val}
			want.Calls = append(want.Calls, &apiv1.SessionCall{Tag: tag, Object: "tank/neo/stadium", Call: &apiv1.SessionCall_Put{Put: put}})
		}
		if n := puts.Len(); n != proto.Size(want) {
			t.Fatalf("%d bytes, want %d", n, proto.Size(want))
		}
		if got := bytesOf(t, Codec{}, &puts); !bytes.Equal(got, bytesOf(t, standard, want)) || puts.Len() != 0 {
			t.Fatalf("%d puts differ", len(want.Calls))
		}
	}
}

// TestPutResults: answers are sorted into puts that were made and others, also when their bytes are not quite right.
func TestPutResults(t *testing.T) {
	r := random(t)
	var got PutResults
	for range 5000 {
		b, err := proto.Marshal(anyOf(r, &apiv1.SessionResponse{}))
		if err != nil {
			continue // a text that is not UTF-8
		}
		for range r.IntN(3) * r.IntN(2) {
			b = spoil(r, b)
		}
		var want apiv1.SessionResponse
		wantErr := proto.Unmarshal(b, &want)
		err = Codec{}.Unmarshal(cut(r, b), &got)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, want %v", b, err, wantErr)
		}
		if err == nil {
			compareResults(t, b, &got, want.GetResults())
		}
	}
}

func compareResults(t *testing.T, b []byte, got *PutResults, want []*apiv1.SessionResult) {
	t.Helper()
	var done []uint64
	var others []*apiv1.SessionResult
	for _, result := range want {
		if result.GetPut() != nil {
			done = append(done, result.GetTag())
		} else {
			others = append(others, result)
		}
	}
	same := func(a, b *apiv1.SessionResult) bool { return proto.Equal(a, b) }
	if !slices.Equal(got.Done, done) || !slices.EqualFunc(got.Others, others, same) {
		t.Fatalf("%x: %v and %v, want %v and %v", b, got.Done, got.Others, done, others)
	}
}

// TestPutResultsAgain: results do not keep what they had before.
func TestPutResultsAgain(t *testing.T) {
	got := PutResults{Done: []uint64{1}, Others: []*apiv1.SessionResult{{}}}
	if err := (Codec{}).Unmarshal(mem.BufferSlice{}, &got); err != nil || len(got.Done)+len(got.Others) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
