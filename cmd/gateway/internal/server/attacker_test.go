// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// attacker is a connection on which anything can be sent. A write that fails ends its attack; the next one dials anew.
type attacker struct {
	net.Conn
	out    *bufio.Writer
	fr     *http2.Framer
	block  bytes.Buffer // of headers
	hp     *hpack.Encoder
	stream uint32
	end    time.Time
	frames *atomic.Int64
	err    error
}

// attack is what an attacker does, again and again until ok is false.
type attack struct {
	name string
	mute bool // it does not read what the server says
	bare bool // it does not begin HTTP/2
	run  func(a *attacker)
}

func (a *attacker) start() {
	a.out = bufio.NewWriterSize(a.Conn, 16<<10)
	a.fr = http2.NewFramer(a.out, nil)
	a.fr.AllowIllegalWrites = true
	a.hp = hpack.NewEncoder(&a.block)
	a.stream = 1
	_ = a.SetDeadline(a.end) // whatever blocks ends then
}

func (a *attacker) greet(settings ...http2.Setting) {
	_, a.err = a.out.WriteString(http2.ClientPreface)
	a.did(a.fr.WriteSettings(settings...))
	a.flush()
}

func (a *attacker) flush() { a.did(a.out.Flush()) }

func (a *attacker) did(err error) {
	a.frames.Add(1)
	if a.err == nil {
		a.err = err
	}
}

func (a *attacker) ok() bool { return a.err == nil && time.Now().Before(a.end) }

// wait keeps the connection as it is until the end.
func (a *attacker) wait() {
	a.flush()
	for a.ok() {
		time.Sleep(5 * time.Millisecond)
	}
}

const pathPut, pathGet = "/tarn.v1.KeyValueService/Put", "/tarn.v1.KeyValueService/Get"

func (a *attacker) headers(path string, more ...hpack.HeaderField) []byte {
	a.block.Reset()
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: "x"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}}, more...) {
		_ = a.hp.WriteField(f) // of a bytes.Buffer
	}
	return a.block.Bytes()
}

// open begins a call, and returns its stream.
func (a *attacker) open(path string, more ...hpack.HeaderField) uint32 {
	id := a.stream
	a.stream += 2
	a.did(a.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.headers(path, more...), EndHeaders: true}))
	return id
}

// message is a request as it stands in data frames.
func message(m proto.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err) // of a test's own request
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
}

var getBig = message(&apiv1.GetRequest{Object: object, Key: []byte("big")})

// attacks are the matrix. What they send is in part legal, and in part what no client would.
var attacks = []attack{
	{name: "half-open", bare: true, run: func(a *attacker) { a.wait() }},
	{name: "one byte at a time", bare: true, run: func(a *attacker) {
		for _, b := range []byte(http2.ClientPreface) {
			a.did(a.out.WriteByte(b))
			a.flush()
			time.Sleep(20 * time.Millisecond)
		}
	}},
	{name: "garbage", bare: true, run: func(a *attacker) {
		_, err := io.WriteString(a.out, strings.Repeat("GET / HTTP/1.1\r\n\r\n\x00\xff", 1000))
		a.did(err)
		a.flush()
	}},
	{name: "churn", bare: true, run: func(a *attacker) { a.greet() }},
	{name: "idle", run: func(a *attacker) { a.wait() }},
	{name: "settings flood", run: func(a *attacker) { a.did(a.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384})) }},
	{name: "settings flood, not read", mute: true, run: func(a *attacker) { a.did(a.fr.WriteSettings()) }},
	{name: "ping flood", run: func(a *attacker) { a.did(a.fr.WritePing(false, [8]byte{1})) }},
	{name: "ping ack flood", run: func(a *attacker) { a.did(a.fr.WritePing(true, [8]byte{1})) }},
	{name: "priority flood", run: func(a *attacker) { a.did(a.fr.WritePriority(a.stream, http2.PriorityParam{Weight: 7})) }},
	{name: "window flood", mute: true, run: func(a *attacker) { a.did(a.fr.WriteWindowUpdate(0, 1)) }},
	{name: "window overflow", run: func(a *attacker) { a.did(a.fr.WriteWindowUpdate(0, 1<<31-1)) }},
	{name: "goaway flood", run: func(a *attacker) { a.did(a.fr.WriteGoAway(0, http2.ErrCodeNo, nil)) }},
	{name: "unknown frames", run: func(a *attacker) { a.did(a.fr.WriteRawFrame(0x77, 0, 0, make([]byte, 8))) }},
	{name: "reset flood", run: func(a *attacker) { a.did(a.fr.WriteRSTStream(1, http2.ErrCodeCancel)) }},
	{name: "frame too large", run: func(a *attacker) { a.did(a.fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20))) }},
	{name: "rapid reset", run: func(a *attacker) {
		id := a.open(pathGet)
		a.did(a.fr.WriteData(id, true, getBig))
		a.did(a.fr.WriteRSTStream(id, http2.ErrCodeCancel))
	}},
	{name: "rapid reset of headers", mute: true, run: func(a *attacker) {
		a.did(a.fr.WriteRSTStream(a.open(pathPut), http2.ErrCodeCancel))
	}},
	{name: "stream flood", run: func(a *attacker) { a.open(pathPut) }},
	{name: "refusals with far deadlines", run: func(a *attacker) { a.open(pathPut, hpack.HeaderField{Name: "grpc-timeout", Value: "99999999H"}) }},
	{name: "unknown methods", run: func(a *attacker) { a.open("/none/None") }},
	{name: "huge header", run: func(a *attacker) {
		a.open(pathPut, hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 15<<10), Sensitive: true}, hpack.HeaderField{Name: "y", Value: strings.Repeat("y", 900)})
	}},
	{name: "header list bomb", run: func(a *attacker) { // small on the wire: one entry of the dynamic table, again and again
		field := hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("x", 3000)}
		a.open(pathPut, field, field, field, field, field, field, field, field, field, field, field, field)
	}},
	{name: "continuation flood", run: func(a *attacker) {
		a.did(a.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.headers(pathPut)}))
		for range 2000 {
			a.block.Reset()
			_ = a.hp.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 500), Sensitive: true})
			a.did(a.fr.WriteContinuation(a.stream, false, a.block.Bytes()))
		}
		a.stream += 2
	}},
	{name: "empty data flood", run: func(a *attacker) {
		id := a.open(pathPut)
		for range 2000 {
			a.did(a.fr.WriteData(id, false, nil))
		}
	}},
	{name: "padding flood", run: func(a *attacker) {
		id, pad := a.open(pathPut), make([]byte, 255)
		for range 200 {
			a.did(a.fr.WriteDataPadded(id, false, nil, pad))
		}
	}},
	{name: "claims 4 GiB", run: func(a *attacker) { a.did(a.fr.WriteData(a.open(pathPut), false, []byte{0, 0xff, 0xff, 0xff, 0xff})) }},
	{name: "stalled writer", run: func(a *attacker) {
		for range 100 { // 4 MiB are claimed, and 48 KiB come
			a.did(a.fr.WriteData(a.open(pathPut), false, []byte{0, 0, 0x40, 0, 0}))
			for range 3 {
				a.did(a.fr.WriteData(a.stream-2, false, make([]byte, 16000)))
			}
		}
		a.wait()
	}},
	{name: "zero window", bare: true, run: func(a *attacker) {
		a.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 120 {
			a.did(a.fr.WriteData(a.open(pathGet), true, getBig))
		}
		a.wait()
	}},
	{name: "zero window streams", bare: true, mute: true, run: func(a *attacker) {
		a.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 120 {
			a.did(a.fr.WriteData(a.open("/tarn.v1.KeyValueService/GetStream"), true, getBig))
		}
		a.wait()
	}},
}

// strike makes one attack until the end.
func strike(t *testing.T, k attack, addr string, secure *tls.Config, end time.Time, frames *atomic.Int64) {
	for time.Now().Before(end) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		if secure != nil {
			conn = tls.Client(conn, secure)
		}
		a := &attacker{Conn: conn, end: end, frames: frames}
		a.start()
		if !k.mute {
			go io.Copy(io.Discard, conn) // until it is closed
		}
		if k.bare {
			k.run(a)
		} else {
			a.greet()
			for a.ok() {
				k.run(a)
			}
		}
		_ = conn.Close() // half of what it sent is lost, as it may be
		time.Sleep(time.Millisecond)
	}
}
