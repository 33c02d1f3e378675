// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/attack"
)

// stays waits until the gate has that many calls, and looks whether it still has them when a handler would have returned.
func stays(t *testing.T, s *Server, calls int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.gate.State().Calls != calls; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls, want %d", s.gate.State().Calls, calls)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if n := s.gate.State().Calls; n != calls {
		t.Errorf("%d calls, want %d", n, calls)
	}
}

// TestUnopenedStreams: of a value whose client has no room even for the header nothing is read; when it has, all of it comes.
func TestUnopenedStreams(t *testing.T) {
	const streams = 20
	s, _ := attacked(t, Config{})
	conns := s.conns.Open()
	before := holds(t)
	b := bareTo(t, s.Addr(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for range streams {
		b.Did(b.Framer.WriteData(b.Open("/tarn.v1.KeyValueService/GetStream"), true, attack.GetBig))
	}
	b.Flush()
	stays(t, s, streams)
	if used, _ := s.gate.Used(); used > streams*64<<10 {
		t.Errorf("%d streams that nobody reads hold %d bytes", streams, used)
	}
	b.Did(b.Framer.WriteWindowUpdate(1, 1<<20))
	b.Did(b.Framer.WriteWindowUpdate(0, 1<<20))
	b.Flush()
	if end := b.ended(t, 1)[1]; end["grpc-status"] != "0" {
		t.Errorf("the one that has room: %v", end)
	}
	_ = b.Close()
	settles(t, s, before, conns)
}

// TestReturnedStreams: a stream whose handler has returned keeps its place until what it sent has left.
func TestReturnedStreams(t *testing.T) {
	s, p := attacked(t, Config{})
	_, err := p.stub.Put(t.Context(), &apiv1.PutRequest{Object: object, Key: []byte("less"), Value: make([]byte, 50<<10)})
	if err != nil {
		t.Fatal(err)
	}
	b := bareTo(t, s.Addr(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 200}) // the header fits
	get := attack.Message(&apiv1.GetStreamRequest{Object: object, Key: []byte("less")})
	for range 10 {
		b.Did(b.Framer.WriteData(b.Open("/tarn.v1.KeyValueService/GetStream"), true, get))
	}
	b.Flush()
	stays(t, s, 10)
	if used, _ := s.gate.Used(); used < 10*50<<10 {
		t.Errorf("the gate counts %d bytes for 10 answers of 50 KiB", used)
	}
	for id := uint32(1); id < 20; id += 2 {
		b.Did(b.Framer.WriteWindowUpdate(id, 1<<20))
	}
	b.Did(b.Framer.WriteWindowUpdate(0, 1<<20))
	b.Flush()
	b.ended(t, 10)
	stays(t, s, 0)
}
