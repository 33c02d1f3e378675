// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// begun is a watch that has begun: its first answer has come.
func begun(t *testing.T, stub apiv1.KeyValueServiceClient, req *apiv1.WatchRequest) grpc.ServerStreamingClient[apiv1.WatchResponse] {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := stub.Watch(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || len(first.GetChanges()) > 0 {
		t.Fatalf("the first answer is %v, %v", first, err)
	}
	return stream
}

// wantEnd reads a stream to its end, which must be that.
func wantEnd(t *testing.T, stream grpc.ServerStreamingClient[apiv1.WatchResponse], code codes.Code) {
	t.Helper()
	for {
		if _, err := stream.Recv(); err != nil {
			if status.Code(err) != code {
				t.Errorf("the watch ends with %v, want %v", err, code)
			}
			return
		}
	}
}

// TestWatchEnds: watches do not hold up a deletion, of an object or of a pool, nor a stop of the gateway.
func TestWatchEnds(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	stub, objects := apiv1.NewKeyValueServiceClient(connect(t, s.Addr())), apiv1.NewObjectServiceClient(connect(t, s.Addr()))
	if err := kv.Put(t.Context(), []byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	stream := begun(t, stub, &apiv1.WatchRequest{Object: object})
	if _, err := objects.DeleteObject(t.Context(), &apiv1.DeleteObjectRequest{Object: object}); err != nil {
		t.Errorf("DeleteObject beside a watch: %v", err)
	}
	wantEnd(t, stream, codes.NotFound)

	if _, err := objects.CreateObject(t.Context(), &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "stadium"}); err != nil {
		t.Fatal(err)
	}
	stream = begun(t, stub, &apiv1.WatchRequest{Object: object})
	pools := apiv1.NewPoolServiceClient(connect(t, s.Addr()))
	if _, err := pools.DeletePool(t.Context(), &apiv1.DeletePoolRequest{Pool: "tank", Force: true}); err != nil {
		t.Errorf("DeletePool beside a watch: %v", err)
	}
	wantEnd(t, stream, codes.Unavailable)
}

// narrow is a connection of a client that takes little before it reads.
func narrow(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// stalled is a watch whose client does not read, and for which the gateway has no room any more.
func stalled(t *testing.T, s *Server, kv system.KV) grpc.ServerStreamingClient[apiv1.WatchResponse] {
	t.Helper()
	stream := begun(t, apiv1.NewKeyValueServiceClient(narrow(t, s)), &apiv1.WatchRequest{Object: object})
	batch := make([]system.Mutation, 200)
	for i := range batch {
		batch[i] = system.Mutation{Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte("v"), 2000)}
	}
	if err := kv.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // until it waits in a Send
	return stream
}

// TestWatchStalledEnds: a watch whose client does not read does not hold up the deletion of a pool.
func TestWatchStalledEnds(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Patience: time.Minute})
	stream := stalled(t, s, openKV(t, dial(t, s.Addr())))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := apiv1.NewPoolServiceClient(connect(t, s.Addr())).DeletePool(ctx, &apiv1.DeletePoolRequest{Pool: "tank", Force: true}); err != nil {
		t.Errorf("DeletePool beside a watch that is not read: %v", err)
	}
	wantEnd(t, stream, codes.Unavailable)
}

// TestWatchDrain: a stop ends watches at once, with what a client takes for "try again".
func TestWatchDrain(t *testing.T) {
	s := begin(t, Config{System: engine(t, t.TempDir())})
	openKV(t, dial(t, s.Addr()))
	stream := begun(t, apiv1.NewKeyValueServiceClient(connect(t, s.Addr())), &apiv1.WatchRequest{Object: object})
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	wantEnd(t, stream, codes.Unavailable)
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestWatchLimit: one watch too many is refused, and when another has ended it is not.
func TestWatchLimit(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Watches: 2})
	openKV(t, dial(t, s.Addr()))
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		stream, err := stub.Watch(ctx, &apiv1.WatchRequest{Object: object})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	third, err := stub.Watch(t.Context(), &apiv1.WatchRequest{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	wantEnd(t, third, codes.ResourceExhausted)
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		again, err := stub.Watch(t.Context(), &apiv1.WatchRequest{Object: object})
		if err == nil {
			_, err = again.Recv()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("watches whose client went away still count: %v", err)
		}
	}
}

// TestWatchMessages: a batch that is larger than a message comes in several, and is whole when the stream's revision has reached it.
func TestWatchMessages(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	stream := begun(t, apiv1.NewKeyValueServiceClient(connect(t, s.Addr())), &apiv1.WatchRequest{Object: object})
	batch := make([]system.Mutation, 100)
	for i := range batch {
		batch[i] = system.Mutation{Key: fmt.Appendf(nil, "%03d", i), Value: bytes.Repeat([]byte("v"), 2000)}
	}
	if err := kv.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got, messages := 0, 0
	for got < len(batch) {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		n, size := len(msg.GetChanges()), 0
		for _, c := range msg.GetChanges() {
			if string(c.GetKey()) != fmt.Sprintf("%03d", got) || len(c.GetValue()) != 2000 {
				t.Fatalf("change %d is of %q with %d bytes", got, c.GetKey(), len(c.GetValue()))
			}
			got, size = got+1, size+len(c.GetValue())
		}
		if n > 0 && (msg.GetChanges()[0].GetRevision() <= msg.GetRevision()) != (got == len(batch)) || size > 31<<10 {
			t.Errorf("a message with %d bytes to change %d has revision %d, its changes %d", size, got, msg.GetRevision(), msg.GetChanges()[0].GetRevision())
		}
		messages++
	}
	if messages < 7 {
		t.Errorf("200,000 bytes came in %d messages", messages)
	}
}

// TestWatchSlow: a client that does not read holds no memory for what it misses; it is told that it has missed it, and from where it can go on.
func TestWatchSlow(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	kv := openKV(t, dial(t, s.Addr()))
	conn := narrow(t, s)
	stream := begun(t, apiv1.NewKeyValueServiceClient(conn), &apiv1.WatchRequest{Object: object})
	before := heap()
	batch := make([]system.Mutation, 200)
	for i := range batch {
		batch[i] = system.Mutation{Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte("v"), 2000)}
	}
	for range 60 { // 24 MB; the log has 4 MiB
		if err := kv.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heap() - before); grown > 8<<20 {
		t.Errorf("a watch that nobody reads holds %d MiB", grown>>20)
	}
	for at := uint64(0); ; {
		msg, err := stream.Recv()
		if err != nil {
			checkGone(t, conn, kv, err, at)
			return
		}
		for _, c := range msg.GetChanges() {
			if at != 0 && c.GetRevision() != at && c.GetRevision() != at+1 {
				t.Fatalf("revision %d comes after %d", c.GetRevision(), at)
			}
			at = c.GetRevision()
		}
	}
}

// checkGone: the error says what can be asked for.
func checkGone(t *testing.T, conn *grpc.ClientConn, kv system.KV, err error, at uint64) {
	t.Helper()
	oldest := uint64(0)
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(interface{ GetMetadata() map[string]string }); ok {
			_, _ = fmt.Sscan(info.GetMetadata()["oldest"], &oldest)
		}
	}
	if status.Code(err) != codes.OutOfRange || oldest <= at {
		t.Fatalf("after revision %d the watch ends with %v, oldest %d", at, err, oldest)
	}
	begun(t, apiv1.NewKeyValueServiceClient(conn), &apiv1.WatchRequest{Object: object, StartRevision: oldest})
	_, err = system.OpenWatch(t.Context(), kv, system.WatchOptions{Start: at + 1})
	var e *errno.Error
	if !errors.As(err, &e) || e.Code != errno.EPOld || e.Oldest != oldest {
		t.Errorf("OpenWatch(%d) = %#v", at+1, err)
	}
}
