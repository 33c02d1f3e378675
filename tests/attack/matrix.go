// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"io"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// All is the matrix. What the attacks send is in part legal, and in part what no client would.
var All = []Attack{
	{Name: "half-open", Bare: true, Run: func(a *Attacker) { a.Wait() }},
	{Name: "one byte at a time", Bare: true, Run: func(a *Attacker) {
		for _, b := range []byte(http2.ClientPreface) {
			a.Did(a.out.WriteByte(b))
			a.Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}},
	{Name: "garbage", Bare: true, Run: func(a *Attacker) {
		_, err := io.WriteString(a.out, strings.Repeat("GET / HTTP/1.1\r\n\r\n\x00\xff", 1000))
		a.Did(err)
		a.Flush()
	}},
	{Name: "churn", Bare: true, Run: func(a *Attacker) { a.Greet() }},
	{Name: "idle", Run: func(a *Attacker) { a.Wait() }},
	{Name: "settings flood", Run: func(a *Attacker) {
		a.Did(a.Framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384}))
	}},
	{Name: "settings flood, not read", Mute: true, Run: func(a *Attacker) { a.Did(a.Framer.WriteSettings()) }},
	{Name: "ping flood", Run: func(a *Attacker) { a.Did(a.Framer.WritePing(false, [8]byte{1})) }},
	{Name: "ping ack flood", Run: func(a *Attacker) { a.Did(a.Framer.WritePing(true, [8]byte{1})) }},
	{Name: "priority flood", Run: func(a *Attacker) { a.Did(a.Framer.WritePriority(a.stream, http2.PriorityParam{Weight: 7})) }},
	{Name: "window flood", Mute: true, Run: func(a *Attacker) { a.Did(a.Framer.WriteWindowUpdate(0, 1)) }},
	{Name: "window overflow", Run: func(a *Attacker) { a.Did(a.Framer.WriteWindowUpdate(0, 1<<31-1)) }},
	{Name: "goaway flood", Run: func(a *Attacker) { a.Did(a.Framer.WriteGoAway(0, http2.ErrCodeNo, nil)) }},
	{Name: "unknown frames", Run: func(a *Attacker) { a.Did(a.Framer.WriteRawFrame(0x77, 0, 0, make([]byte, 8))) }},
	{Name: "reset flood", Run: func(a *Attacker) { a.Did(a.Framer.WriteRSTStream(1, http2.ErrCodeCancel)) }},
	{Name: "frame too large", Run: func(a *Attacker) { a.Did(a.Framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20))) }},
	{Name: "rapid reset", Run: func(a *Attacker) {
		id := a.Open(PathGet)
		a.Did(a.Framer.WriteData(id, true, GetBig))
		a.Did(a.Framer.WriteRSTStream(id, http2.ErrCodeCancel))
	}},
	{Name: "rapid reset of headers", Mute: true, Run: func(a *Attacker) {
		a.Did(a.Framer.WriteRSTStream(a.Open(PathPut), http2.ErrCodeCancel))
	}},
	{Name: "stream flood", Run: func(a *Attacker) { a.Open(PathPut) }},
	{Name: "refusals with far deadlines", Run: func(a *Attacker) { a.Open(PathPut, hpack.HeaderField{Name: "grpc-timeout", Value: "99999999H"}) }},
	{Name: "unknown methods", Run: func(a *Attacker) { a.Open("/none/None") }},
	{Name: "huge header", Run: func(a *Attacker) {
		a.Open(PathPut, hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 15<<10), Sensitive: true}, hpack.HeaderField{Name: "y", Value: strings.Repeat("y", 900)})
	}},
	{Name: "header list bomb", Run: func(a *Attacker) { // small on the wire: one entry of the dynamic table, again and again
		field := hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("x", 3000)}
		a.Open(PathPut, field, field, field, field, field, field, field, field, field, field, field, field)
	}},
	{Name: "continuation flood", Run: func(a *Attacker) {
		a.Did(a.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.headers(PathPut)}))
		for range 2000 {
			a.block.Reset()
			_ = a.hp.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 500), Sensitive: true})
			a.Did(a.Framer.WriteContinuation(a.stream, false, a.block.Bytes()))
		}
		a.stream += 2
	}},
	{Name: "data of no call", Run: func(a *Attacker) { a.Did(a.Framer.WriteData(1, false, make([]byte, 16<<10))) }},
	{Name: "empty data flood", Run: func(a *Attacker) {
		id := a.Open(PathPut)
		for range 2000 {
			a.Did(a.Framer.WriteData(id, false, nil))
		}
	}},
	{Name: "padding flood", Run: func(a *Attacker) {
		id, pad := a.Open(PathPut), make([]byte, 255)
		for range 200 {
			a.Did(a.Framer.WriteDataPadded(id, false, nil, pad))
		}
	}},
	{Name: "claims 4 GiB", Run: func(a *Attacker) {
		a.Did(a.Framer.WriteData(a.Open(PathPut), false, []byte{0, 0xff, 0xff, 0xff, 0xff}))
	}},
	{Name: "stalled writer", Run: func(a *Attacker) {
		for range 100 { // 4 MiB are claimed, and 48 KiB come
			a.Did(a.Framer.WriteData(a.Open(PathPut), false, []byte{0, 0, 0x40, 0, 0}))
			for range 3 {
				a.Did(a.Framer.WriteData(a.stream-2, false, make([]byte, 16000)))
			}
		}
		a.Wait()
	}},
	{Name: "zero window", Bare: true, Run: func(a *Attacker) {
		a.Greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 120 {
			a.Did(a.Framer.WriteData(a.Open(PathGet), true, GetBig))
		}
		a.Wait()
	}},
	{Name: "zero window streams", Bare: true, Mute: true, Run: func(a *Attacker) {
		a.Greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 120 {
			a.Did(a.Framer.WriteData(a.Open("/tarn.v1.KeyValueService/GetStream"), true, GetBig))
		}
		a.Wait()
	}},
}
