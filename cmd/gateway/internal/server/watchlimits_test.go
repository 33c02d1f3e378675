// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// watchesOf begins watches until one is refused, which must be for want of room. How many there are, until ctx ends.
func watchesOf(t *testing.T, ctx context.Context, conn *grpc.ClientConn) (n int) {
	t.Helper()
	for ; ; n++ {
		stream, err := apiv1.NewKeyValueServiceClient(conn).Watch(ctx, &apiv1.WatchRequest{Object: object})
		if err == nil {
			_, err = stream.Recv()
		}
		if err == nil {
			continue
		}
		if info, other := detailsOf(status.Convert(err)); status.Code(err) != codes.ResourceExhausted || info.GetReason() != "DER_OVERLOAD_RETRY" || other != "RetryInfo" {
			t.Fatalf("watch %d: %v", n+1, err)
		}
		return n
	}
}

// metricOf is the value of a metric without labels.
func metricOf(t *testing.T, s *Server, name string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + s.Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("there is no metric %s", name)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestWatchShares: one caller gets 4/5 of the watches, and then there is room for another; when they have ended nothing is counted.
func TestWatchShares(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "sock")
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", Socket: socket, Admin: "127.0.0.1:0", Watches: 20})
	openKV(t, dial(t, s.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n := watchesOf(t, ctx, connect(t, s.Addr())); n != 16 {
		t.Errorf("one caller has %d of 20 watches", n)
	}
	if n := watchesOf(t, ctx, connect(t, "unix:"+socket)); n < 1 || n > 4 {
		t.Errorf("beside it another has %d", n)
	}
	now := map[string]float64{"tarn_gateway_watches": metricOf(t, s, "tarn_gateway_watches"), "tarn_gateway_watches_limit": metricOf(t, s, "tarn_gateway_watches_limit"),
		"tarn_gateway_watches_refused_total": metricOf(t, s, "tarn_gateway_watches_refused_total")}
	if now["tarn_gateway_watches"] < 17 || now["tarn_gateway_watches_limit"] != 20 || now["tarn_gateway_watches_refused_total"] < 2 {
		t.Errorf("the metrics say %v", now)
	}
	cancel()
	for deadline := time.Now().Add(10 * time.Second); metricOf(t, s, "tarn_gateway_watches") > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v watches still run", metricOf(t, s, "tarn_gateway_watches"))
		}
	}
}

// TestWatchRoom: a large value takes room before it is read; without room the watch ends, nothing is lost, and it goes on from there.
func TestWatchRoom(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dialSeparate(t, s.Addr()))
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	value := bytes.Repeat([]byte("value"), system.WatchValueMax/5)
	stream := begun(t, stub, &apiv1.WatchRequest{Object: object})
	taken := s.gate.Free() - 800<<10
	if err := s.gate.Take(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(t.Context(), []byte("small"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	msg, err := stream.Recv()
	if err != nil || len(msg.GetChanges()) != 1 {
		t.Fatalf("a small change: %v, %v", msg, err)
	}
	at := msg.GetRevision()
	s.gate.Give(t.Context(), taken)
	if err := kv.Put(t.Context(), []byte("large"), value); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // there was room
		t.Fatal(err)
	}
	if err := s.gate.Take(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, begun(t, stub, &apiv1.WatchRequest{Object: object, StartRevision: at + 1}), codes.ResourceExhausted)
	s.gate.Give(t.Context(), taken)
	stream = begun(t, stub, &apiv1.WatchRequest{Object: object, StartRevision: at + 1})
	msg, err = stream.Recv()
	if err != nil || len(msg.GetChanges()) != 1 || !bytes.Equal(msg.GetChanges()[0].GetValue(), value) {
		t.Errorf("with room: %d changes, %v", len(msg.GetChanges()), err)
	}
	if err := kv.Put(t.Context(), []byte("small"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // after it what was sent holds nothing
		t.Fatal(err)
	}
	if state := s.gate.State(); state.Bytes > 800<<10 {
		t.Errorf("a watch that has sent a large value still holds %d bytes", state.Bytes)
	}
}

// TestWatchGoneValue: a value whose space is used again is gone, and no other stands in its place.
func TestWatchGoneValue(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	sys := dial(t, s.Addr())
	kv := openKV(t, sys)
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, pool)
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	stream := begun(t, stub, &apiv1.WatchRequest{Object: object})
	large := bytes.Repeat([]byte("v"), 1<<20)
	put := func(key string, value []byte) {
		if err := kv.Put(t.Context(), []byte(key), value); err != nil {
			t.Fatal(err)
		}
	}
	put("k", large[:100000])
	msg, err := stream.Recv()
	if err != nil || len(msg.GetChanges()) != 1 || !bytes.Equal(msg.GetChanges()[0].GetValue(), large[:100000]) {
		t.Fatalf("at once: %v", err)
	}
	first := msg.GetChanges()[0].GetRevision()
	put("k", nil)
	for rounds := 0; ; rounds++ {
		msg, err := begun(t, stub, &apiv1.WatchRequest{Object: object, StartRevision: first, ValueMax: 100000}).Recv()
		if err != nil {
			t.Fatal(err)
		}
		c := msg.GetChanges()[0]
		if c.GetRevision() != first || c.GetSize() != 100000 || c.GetGone() == (c.Value != nil) {
			t.Fatalf("the change is %d, %d bytes, gone %v, %d there", c.GetRevision(), c.GetSize(), c.GetGone(), len(c.GetValue()))
		}
		if c.GetGone() {
			return
		}
		if !bytes.Equal(c.GetValue(), large[:100000]) {
			t.Fatal("another value stands there")
		}
		if rounds == 200 {
			t.Fatal("its space is never used again")
		}
		for range 8 {
			put("x", large)
		}
		if err := pool.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
