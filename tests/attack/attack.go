// SPDX-License-Identifier: Apache-2.0

// Package attack is what a gateway must withstand: connections on which anything is sent, legal or not. It is for tests, and for those who
// measure what an attack costs, on a gateway of their own.
package attack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Object is what the attacks ask for, and BigKey the key of a large value in it.
const (
	Object = "tank/neo/stadium"
	BigKey = "big"
)

// The methods that are called.
const (
	PathPut = "/tarn.v1.KeyValueService/Put"
	PathGet = "/tarn.v1.KeyValueService/Get"
)

// GetBig is a request for the large value, as it stands in a data frame.
var GetBig = Message(&apiv1.GetRequest{Object: Object, Key: []byte(BigKey)})

// Attack is what an attacker does, again and again until its time is over.
type Attack struct {
	Name string
	Mute bool // it does not read what the server says
	Bare bool // it does not begin HTTP/2
	Many int  // connections of each attacker at once; 0: one
	Run  func(a *Attacker)
}

// Attacker is a connection on which anything can be sent. A write that fails ends its attack; the next one dials anew. It is for one goroutine.
type Attacker struct {
	net.Conn
	Framer *http2.Framer // writes to a buffer: Flush sends it
	out    *bufio.Writer
	block  bytes.Buffer // of headers
	hp     *hpack.Encoder
	stream uint32
	end    time.Time
	frames *atomic.Int64
	err    error
}

// New makes an attacker of a connection. Whatever blocks ends at the given time; frames counts what was sent.
func New(conn net.Conn, end time.Time, frames *atomic.Int64) *Attacker {
	a := &Attacker{Conn: conn, out: bufio.NewWriterSize(conn, 16<<10), stream: 1, end: end, frames: frames}
	a.Framer = http2.NewFramer(a.out, nil)
	a.Framer.AllowIllegalWrites = true
	a.hp = hpack.NewEncoder(&a.block)
	_ = conn.SetDeadline(end) // fails when it is closed already, as the next write does
	return a
}

// Greet begins HTTP/2.
func (a *Attacker) Greet(settings ...http2.Setting) {
	_, a.err = a.out.WriteString(http2.ClientPreface)
	a.Did(a.Framer.WriteSettings(settings...))
	a.Flush()
}

// Flush sends what was written.
func (a *Attacker) Flush() { a.Did(a.out.Flush()) }

// Did counts a frame that was written, and keeps the first error.
func (a *Attacker) Did(err error) {
	switch {
	case err == nil:
		a.frames.Add(1)
	case a.err == nil:
		a.err = err
	}
}

func (a *Attacker) ok() bool { return a.err == nil && time.Now().Before(a.end) }

// Wait keeps the connection as it is until the end.
func (a *Attacker) Wait() {
	a.Flush()
	for a.ok() {
		time.Sleep(5 * time.Millisecond)
	}
}

func (a *Attacker) headers(path string, more ...hpack.HeaderField) []byte {
	a.block.Reset()
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: "x"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}}, more...) {
		_ = a.hp.WriteField(f) // of a bytes.Buffer
	}
	return a.block.Bytes()
}

// Open begins a call, and returns its stream.
func (a *Attacker) Open(path string, more ...hpack.HeaderField) uint32 {
	id := a.stream
	a.stream += 2
	a.Did(a.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.headers(path, more...), EndHeaders: true}))
	return id
}

// Message is a request as it stands in data frames.
func Message(m proto.Message) []byte {
	body, err := proto.Marshal(m)
	if err != nil {
		panic(err) // of a test's own request
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
}

// Find returns the attack of that name.
func Find(name string) (Attack, bool) {
	for _, k := range slices.Concat(All, Handshakes) {
		if k.Name == name {
			return k, true
		}
	}
	return Attack{}, false
}

// Strike makes one attack until the end, over as many connections as it takes. It fails when it cannot connect; who is not let in until the end has
// tried, that is all.
func (k Attack) Strike(dial func() (net.Conn, error), end time.Time, frames *atomic.Int64) error {
	errs := make([]error, max(k.Many, 1))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = k.strike(dial, end, frames) })
	}
	wg.Wait()
	return errs[0]
}

// strike attacks over one connection after another.
func (k Attack) strike(dial func() (net.Conn, error), end time.Time, frames *atomic.Int64) error {
	for time.Now().Before(end) {
		conn, err := dial()
		if err != nil {
			if !time.Now().Before(end) {
				return nil
			}
			return err
		}
		k.once(New(conn, end, frames))
		_ = conn.Close() // half of what it sent is lost, as it may be
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (k Attack) once(a *Attacker) {
	if !k.Mute {
		go io.Copy(io.Discard, a.Conn) // until it is closed
	}
	if k.Bare {
		k.Run(a)
		return
	}
	a.Greet()
	for a.ok() {
		k.Run(a)
	}
}
