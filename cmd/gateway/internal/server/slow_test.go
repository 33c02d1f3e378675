// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/wire"
)

// heap is the memory in use, without what pools keep.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSlowReaders: a client that does not read costs what the gate counts for a stream, whatever the value has; and one that reads
// slowly gets all of it.
func TestSlowReaders(t *testing.T) {
	const readers, each = 16, 64<<10 + 1<<20 + wire.ChunkBytes // of one piece, and what of another has not left
	d := newDouble(func(context.Context, string) error { return nil })
	val := bytes.Repeat([]byte("stadium."), 64<<20/8)
	d.put([]byte("k"), val)
	s := start(t, Config{System: d})
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(readers*64<<10)) // else this client buffers more than the server
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	stub := apiv1.NewKeyValueServiceClient(conn)
	before := heap()
	var streams []grpc.ServerStreamingClient[apiv1.GetStreamResponse]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range readers {
		stream, err := stub.GetStream(ctx, &apiv1.GetStreamRequest{Object: object, Key: []byte("k")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil { // the header
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	time.Sleep(300 * time.Millisecond) // the server sends as far as it will
	if grown := int64(heap() - before); grown > readers*each+8<<20 {
		t.Errorf("%d streams that nobody reads hold %d MiB; the gate counts %d", readers, grown>>20, readers*each>>20)
	}
	if used, _ := s.gate.Used(); used != readers*each {
		t.Errorf("the gate counts %d bytes for %d streams, want %d each", used, readers, each)
	}
	slowly(t, streams[0], val)
	cancel()
	for deadline := time.Now().Add(10 * time.Second); s.gate.Free() != s.cfg.InFlight; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("streams whose client went away are still held")
		}
	}
}

// slowly reads a value with pauses, and compares it.
func slowly(t *testing.T, stream grpc.ServerStreamingClient[apiv1.GetStreamResponse], want []byte) {
	t.Helper()
	for n := 0; len(want) > 0; n++ {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		got := msg.GetData()
		if len(got) == 0 || len(got) > len(want) || !bytes.Equal(got, want[:len(got)]) {
			t.Fatalf("message %d has %d bytes that are not those of the value", n, len(got))
		}
		want = want[len(got):]
		if n%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if msg, err := stream.Recv(); err != nil || msg.GetTrailer() == nil {
		t.Fatalf("behind the value comes %v, %v; want the trailer", msg, err)
	}
}
