// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/tarn-storage/tarn/tests/attack"
)

// TestUnreadOfOne: one connection that reads no answers has a part of the bytes and no more, however many calls it opens; when it reads, all of
// them are answered, and none was refused.
func TestUnreadOfOne(t *testing.T) {
	const bytes, calls, value = 64 << 20, 100, 512 << 10
	s, p := attacked(t, Config{InFlight: bytes})
	b := bareTo(t, s.Addr(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for range calls {
		b.Did(b.Framer.WriteData(b.Open(attack.PathGet), true, attack.GetBig))
	}
	b.Flush()
	stays(t, s, calls)
	if used, _ := s.gate.Used(); used < bytes/8-value || used > bytes/8+calls*8<<10 {
		t.Errorf("%d calls that nobody reads the answers of hold %d bytes of %d", calls, used, bytes)
	}
	p.call(t, time.Now())
	for id := uint32(1); id < 2*calls; id += 2 {
		b.Did(b.Framer.WriteWindowUpdate(id, 1<<20))
	}
	b.Did(b.Framer.WriteWindowUpdate(0, calls*(value+1024)))
	b.Flush()
	for id, end := range b.ended(t, calls) {
		if end["grpc-status"] != "0" {
			t.Errorf("call %d, which is read: %v", id, end)
		}
	}
	stays(t, s, 0)
}

// TestUnreadGone: calls that wait because answers before them are not read end with their connection, and leave nothing.
func TestUnreadGone(t *testing.T) {
	s, _ := attacked(t, Config{InFlight: 64 << 20})
	conns, before := s.conns.Open(), holds(t)
	b := bareTo(t, s.Addr(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for range 100 {
		b.Did(b.Framer.WriteData(b.Open(attack.PathGet), true, attack.GetBig))
	}
	b.Flush()
	stays(t, s, 100)
	_ = b.Close()
	settles(t, s, before, conns)
}
