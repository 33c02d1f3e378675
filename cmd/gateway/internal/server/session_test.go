// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

func sessionPut(tag uint64, key, val string, cond apiv1.Condition) *apiv1.SessionCall {
	return &apiv1.SessionCall{Tag: tag, Call: &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: []byte(key), Value: []byte(val), Condition: cond}}}
}

func sessionGet(tag uint64, key string) *apiv1.SessionCall {
	return &apiv1.SessionCall{Tag: tag, Call: &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: []byte(key)}}}
}

// take receives answers until there are n, by tag.
func take(t *testing.T, stream apiv1.KeyValueService_SessionClient, n int) map[uint64]*apiv1.SessionResult {
	t.Helper()
	all := map[uint64]*apiv1.SessionResult{}
	for len(all) < n {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d of %d answers: %v", len(all), n, err)
		}
		for _, r := range msg.GetResults() {
			if all[r.GetTag()] != nil {
				t.Fatalf("tag %d has two answers", r.GetTag())
			}
			all[r.GetTag()] = r
		}
	}
	return all
}

func session(t *testing.T, stub apiv1.KeyValueServiceClient) apiv1.KeyValueService_SessionClient {
	t.Helper()
	stream, err := stub.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func send(t *testing.T, stream apiv1.KeyValueService_SessionClient, calls ...*apiv1.SessionCall) {
	t.Helper()
	if err := stream.Send(&apiv1.SessionRequest{Calls: calls}); err != nil {
		t.Fatal(err)
	}
}

// TestSession: every call has its own answer, under its tag.
func TestSession(t *testing.T) {
	s, kv, stub := real(t, Config{})
	stream := session(t, stub)
	first := sessionPut(1, "a", "1", 0)
	first.Object = object
	other := sessionPut(5, "a", "1", 0)
	other.Object = "tank/neo/none"
	again := sessionPut(6, "c", "3", 0)
	again.Object = object
	send(t, stream, first, sessionPut(2, "", "empty", 0), sessionPut(3, "b", "2", 0), sessionPut(4, "z", "z", apiv1.Condition_CONDITION_UPDATE), other, again)
	all := take(t, stream, 6)
	for tag, want := range map[uint64]string{1: "", 2: "DER_INVAL", 3: "", 4: "DER_NONEXIST", 5: "DER_NONEXIST", 6: ""} {
		if got := all[tag].GetError().GetReason(); got != want || want == "" && all[tag].GetPut() == nil {
			t.Errorf("call %d: %v; want %q", tag, all[tag], want)
		}
	}
	del := &apiv1.SessionCall{Tag: 8, Call: &apiv1.SessionCall_Delete{Delete: &apiv1.DeleteRequest{Key: []byte("c")}}}
	head := &apiv1.SessionCall{Tag: 9, Call: &apiv1.SessionCall_Head{Head: &apiv1.HeadRequest{Key: []byte("b")}}}
	send(t, stream, sessionGet(7, "a"), del, head, sessionGet(10, "none"), &apiv1.SessionCall{Tag: 11})
	all = take(t, stream, 5)
	if string(all[7].GetGet().GetValue()) != "1" || all[8].GetDelete() == nil || all[9].GetHead().GetSize() != 1 ||
		all[10].GetError().GetReason() != "DER_NONEXIST" || all[11].GetError().GetReason() != "DER_INVAL" {
		t.Errorf("answers: %v", all)
	}
	if open, waiting := s.services.Sessions(); open != 1 || waiting != 0 {
		t.Errorf("%d sessions are open, and %d calls wait", open, waiting)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != 2 || err != nil {
		t.Errorf("%d keys, %v; want a and b", n, err)
	}
}

// TestSessionMany: as many calls as it takes to fill every bound, from a client that reads its answers late.
func TestSessionMany(t *testing.T) {
	const messages, each = 100, 200
	_, kv, stub := real(t, Config{})
	stream := session(t, stub)
	go func() {
		for m := range messages {
			calls := make([]*apiv1.SessionCall, each)
			for i := range calls {
				n := uint64(m*each + i)
				calls[i] = sessionPut(n, fmt.Sprint("key ", n), fmt.Sprint(n), 0)
				calls[i].Object = object
			}
			if err := stream.Send(&apiv1.SessionRequest{Calls: calls}); err != nil {
				t.Errorf("message %d: %v", m, err)
				return
			}
		}
		_ = stream.CloseSend()
	}()
	time.Sleep(50 * time.Millisecond)
	for tag, r := range take(t, stream, messages*each) {
		if r.GetPut() == nil {
			t.Errorf("call %d: %v", tag, r)
		}
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != messages*each || err != nil {
		t.Errorf("%d keys, %v; want %d", n, err, messages*each)
	}
}

// TestSessionDrain: a server that goes down answers what was called, and ends the session with UNAVAILABLE.
func TestSessionDrain(t *testing.T) {
	s := begin(t, Config{System: engine(t, t.TempDir())})
	openKV(t, dial(t, s.Addr()))
	stream := session(t, apiv1.NewKeyValueServiceClient(connect(t, s.Addr())))
	call := sessionPut(1, "a", "1", 0)
	call.Object = object
	send(t, stream, call)
	if r := take(t, stream, 1)[1]; r.GetPut() == nil {
		t.Fatalf("answer: %v", r)
	}
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- s.Stop() }()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the session ended with %v", err)
	}
	if err := <-stopped; err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("Stop: %v after %v", err, time.Since(began))
	}
}

// TestSessionTwice: calls of one session that change the same key at the same time are all made, and gets of any length are answered.
func TestSessionTwice(t *testing.T) {
	const messages = 300
	_, kv, stub := real(t, Config{})
	for _, n := range []int{0, 1, 5000, 1 << 20} {
		if err := kv.Put(t.Context(), fmt.Append(nil, "long ", n), make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	stream := session(t, stub)
	go func() {
		for m := range messages {
			all := []*apiv1.SessionCall{sessionPut(uint64(4*m), "same", fmt.Sprint(m), 0), sessionPut(uint64(4*m+1), fmt.Sprint("own ", m), "v", 0),
				sessionPut(uint64(4*m+2), "same", fmt.Sprint(m), 0), sessionGet(uint64(4*m+3), []string{"long 0", "long 1", "long 5000", "none"}[m%4])}
			all[0].Object = object
			if err := stream.Send(&apiv1.SessionRequest{Calls: all}); err != nil {
				t.Errorf("message %d: %v", m, err)
				return
			}
		}
	}()
	for tag, r := range take(t, stream, 4*messages) {
		want := []int{0, 1, 5000, -1}[tag/4%4]
		switch {
		case tag%4 != 3 && r.GetPut() == nil:
			t.Errorf("put %d: %v", tag, r)
		case tag%4 == 3 && want >= 0 && (r.GetGet() == nil || len(r.GetGet().GetValue()) != want):
			t.Errorf("get %d: %v", tag, r)
		case tag%4 == 3 && want < 0 && r.GetError().GetReason() != "DER_NONEXIST":
			t.Errorf("get %d of what is not there: %v", tag, r)
		}
	}
	send(t, stream, sessionGet(1, "long 1048576"), sessionGet(2, "same"), sessionGet(3, "long 1048576"))
	if all := take(t, stream, 3); len(all[1].GetGet().GetValue()) != 1<<20 || len(all[3].GetGet().GetValue()) != 1<<20 || all[2].GetGet() == nil {
		t.Error("long values did not come")
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != messages+5 || err != nil {
		t.Errorf("%d keys, %v; want %d", n, err, messages+5)
	}
}
