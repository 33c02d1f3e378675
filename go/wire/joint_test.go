// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestPuts: puts that are added one by one are the request that they are together, where each call that follows another of its object has no name.
func TestPuts(t *testing.T) {
	r := random(t)
	for range 300 {
		var puts Puts
		want, before := &apiv1.SessionRequest{}, ""
		for range r.IntN(60) {
			tag, key, val := r.Uint64()>>r.IntN(64), filled(r, r.IntN(200)), filled(r, r.IntN(1+r.IntN(20000)))
			object := []string{"tank/neo/stadium", "tank/neo/other"}[r.IntN(8)/7]
			puts.Add(tag, object, key, val)
			call := &apiv1.SessionCall{Tag: tag, Call: &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: key, Value: val}}}
			if object != before {
				call.Object, before = object, object
			}
			want.Calls = append(want.Calls, call)
		}
		if n := puts.Len(); n != proto.Size(want) {
			t.Fatalf("%d bytes, want %d", n, proto.Size(want))
		}
		if got := bytesOf(t, Codec{}, &puts); !bytes.Equal(got, bytesOf(t, standard, want)) || puts.Len() != 0 {
			t.Fatalf("%d puts differ", len(want.Calls))
		}
	}
}

// TestResults: answers that are added one by one are the response that they are together.
func TestResults(t *testing.T) {
	r := random(t)
	for range 300 {
		var results Results
		want := &apiv1.SessionResponse{}
		for range r.IntN(60) {
			one := &apiv1.SessionResult{Tag: r.Uint64() >> r.IntN(65), Result: &apiv1.SessionResult_Put{Put: &apiv1.PutResponse{}}}
			switch r.IntN(4) {
			case 0:
				one.Result = &apiv1.SessionResult_Get{Get: &apiv1.GetResponse{Value: filled(r, r.IntN(5000))}}
			case 1:
				one.Result = &apiv1.SessionResult_Error{Error: &apiv1.KeyError{Rc: -1003, Reason: "DER_INVAL", Message: "why"}}
			}
			if want.Results = append(want.Results, one); one.GetPut() != nil {
				results.AddPut(one.GetTag())
			} else if err := results.Add(one); err != nil {
				t.Fatal(err)
			}
		}
		if n := results.Len(); n != proto.Size(want) {
			t.Fatalf("%d bytes, want %d", n, proto.Size(want))
		}
		if got := bytesOf(t, Codec{}, &results); !bytes.Equal(got, bytesOf(t, standard, want)) || results.Len() != 0 {
			t.Fatalf("%d answers differ", len(want.Results))
		}
	}
	var results Results
	if err := results.Add(&apiv1.SessionResult{Result: &apiv1.SessionResult_Error{Error: &apiv1.KeyError{Message: "\xff"}}}); err == nil || results.Len() != 0 {
		t.Errorf("a text that is not UTF-8: %v, %d bytes", err, results.Len())
	}
}

// TestCalls: a message of puts is read as the calls that it has, and any other as it is, whatever its bytes.
func TestCalls(t *testing.T) {
	r := random(t)
	plain := 0
	for range 5000 {
		msg := anyOf(r, &apiv1.SessionRequest{}).(*apiv1.SessionRequest)
		if r.IntN(2) == 0 {
			msg = putsOf(r)
		}
		b, err := proto.Marshal(msg)
		if err != nil {
			continue // a text that is not UTF-8
		}
		for range r.IntN(3) * r.IntN(2) {
			b = spoil(r, b)
		}
		var got Calls
		var want apiv1.SessionRequest
		wantErr := proto.Unmarshal(b, &want)
		if err = (Codec{}).Unmarshal(cut(r, b), &got); (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, want %v", b, err, wantErr)
		}
		if err == nil && got.Message == nil {
			plain++
			compareCalls(t, b, &got, want.GetCalls())
		} else if err == nil && !proto.Equal(got.Message, &want) {
			t.Fatalf("%x: %v, want %v", b, got.Message, &want)
		}
		if err == nil && got.Size != len(b) {
			t.Fatalf("%d bytes, want %d", got.Size, len(b))
		}
	}
	if plain < 500 {
		t.Errorf("only %d of 5000 messages were read as puts", plain)
	}
}

// putsOf are plain puts, mostly.
func putsOf(r *rand.Rand) *apiv1.SessionRequest {
	msg := &apiv1.SessionRequest{}
	for i := range 1 + r.IntN(5) {
		put := &apiv1.PutRequest{Key: filled(r, r.IntN(20)), Value: filled(r, r.IntN(50)), Revision: uint64(r.IntN(20) / 19)}
		c := &apiv1.SessionCall{Tag: r.Uint64() >> r.IntN(65), Call: &apiv1.SessionCall_Put{Put: put}}
		if i == 0 || r.IntN(10) == 0 {
			c.Object = []string{"o", "", "other"}[r.IntN(20)%3]
		}
		msg.Calls = append(msg.Calls, c)
	}
	return msg
}

func compareCalls(t *testing.T, b []byte, got *Calls, want []*apiv1.SessionCall) {
	t.Helper()
	if len(got.Puts) != len(want) || len(got.Tags) != len(want) {
		t.Fatalf("%x: %d puts, want %d", b, len(got.Puts), len(want))
	}
	for i, c := range want {
		m, put := got.Puts[i], c.GetPut()
		named := c.GetObject() == got.Object || i > 0 && c.GetObject() == ""
		if got.Tags[i] != c.GetTag() || !named || !bytes.Equal(m.Key, put.GetKey()) || !bytes.Equal(m.Value, put.GetValue()) ||
			put.GetCondition() != 0 || put.GetRevision() != 0 || m.Delete || m.Revision != 0 {
			t.Fatalf("%x: put %d is %v of %q, want %v", b, i, m, got.Object, c)
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
