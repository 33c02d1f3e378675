// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/attack"
)

// bare is a connection of HTTP/2 whose answers are read one by one.
type bare struct {
	*attack.Attacker
	frames *http2.Framer
}

func bareTo(t *testing.T, addr string, settings ...http2.Setting) *bare {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	b := &bare{attack.New(conn, time.Now().Add(time.Minute), &atomic.Int64{}), http2.NewFramer(conn, conn)}
	b.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	b.Greet(settings...)
	return b
}

// ended reads until so many calls have ended, and returns the headers with which each did.
func (b *bare) ended(t *testing.T, n int) map[uint32]map[string]string {
	t.Helper()
	all := map[uint32]map[string]string{}
	for len(all) < n {
		f, err := b.frames.ReadFrame()
		if err != nil {
			t.Fatalf("%d of %d calls have ended: %v", len(all), n, err)
		}
		if m, ok := f.(*http2.MetaHeadersFrame); ok && m.StreamEnded() {
			all[m.StreamID] = map[string]string{}
			for _, f := range m.Fields {
				all[m.StreamID][f.Name] = f.Value
			}
		}
	}
	return all
}

// put sends puts; with deadlines each has one of its own, which changes HPACK's table, as grpc-go's do.
func (b *bare) put(n int, deadlines bool) {
	req := attack.Message(&apiv1.PutRequest{Object: object, Key: []byte("k"), Value: make([]byte, 100)})
	for range n {
		var more []hpack.HeaderField
		if deadlines {
			more = []hpack.HeaderField{{Name: "grpc-timeout", Value: strconv.Itoa(60_000_000-rand.IntN(1_000_000)) + "u"}}
		}
		b.Did(b.Framer.WriteData(b.Open(attack.PathPut, more...), true, req))
	}
	b.Flush()
}

// TestRefusedEarly: calls beyond what there is room for are refused before grpc sees them, with the same words, also when each has
// a deadline of its own; and when there is room calls on the same connection are served.
func TestRefusedEarly(t *testing.T) {
	for _, deadlines := range []bool{false, true} {
		t.Run(fmt.Sprint("deadlines ", deadlines), func(t *testing.T) { refusedEarly(t, deadlines) })
	}
}

func refusedEarly(t *testing.T, deadlines bool) {
	wait := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(wait) })
	s := start(t, Config{Calls: 5, System: newDouble(func(ctx context.Context, op string) error {
		if op == "put" {
			<-wait
		}
		return nil
	})})
	t.Cleanup(goOn)
	b := bareTo(t, s.Addr())
	b.put(4, deadlines)
	stays(t, s, 4)
	const excess, rounds = 100, 5
	for range rounds { // a connection has 128 calls at most
		b.put(excess, deadlines)
		for id, header := range b.ended(t, excess) {
			refusedAs(t, id, header)
		}
	}
	if n := s.gate.State().Refused; n != excess*rounds || s.gate.State().Calls != 4 {
		t.Errorf("%d calls were refused and %d run", n, s.gate.State().Calls)
	}
	if n := s.conns.Early.Load(); n < excess*(rounds-2) { // the first are up to the tap
		t.Errorf("%d calls were refused before grpc saw them", n)
	}
	goOn()
	b.ended(t, 4)
	b.put(1, deadlines)
	for id, header := range b.ended(t, 1) {
		if header["grpc-status"] != "0" {
			t.Errorf("call %d, for which there is room: %v", id, header)
		}
	}
}

func refusedAs(t *testing.T, id uint32, header map[string]string) {
	t.Helper()
	raw, err := base64.RawStdEncoding.DecodeString(header["grpc-status-details-bin"])
	var st spb.Status
	if err == nil {
		err = proto.Unmarshal(raw, &st)
	}
	info, other := detailsOf(status.FromProto(&st))
	if err != nil || header["grpc-status"] != "8" || header["grpc-message"] != st.GetMessage() || header["content-type"] != "application/grpc" ||
		info.GetReason() != "DER_OVERLOAD_RETRY" || other != "RetryInfo" {
		t.Fatalf("call %d: %v, %v", id, header, err)
	}
}
