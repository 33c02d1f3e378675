// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is one connection that makes unary calls at a fraction of what a gRPC library costs, so that one processor can offer more than a
// gateway on another can carry. It keeps to the gateway's limits: calls at once, and the window of the connection.
//
// One goroutine calls send, another receive.
type wire struct {
	net.Conn
	out    *bufio.Writer
	fr     *http2.Framer
	header []byte // of a call: the gateway knows all its fields
	vary   bool   // each call has a deadline of its own, which changes HPACK's table, as grpc-go's does
	hp     *hpack.Encoder
	block  bytes.Buffer
	fields []hpack.HeaderField
	wake   chan struct{}

	mu     sync.Mutex
	calls  map[uint32]call
	next   uint32
	window int64 // bytes that may be sent
	acks   []func() error
}

// call is when a call was due and when it was sent.
type call struct{ due, sent time.Time }

// answer is how a call ended.
type answer struct {
	call
	status string // of gRPC, a number; "": the call was cut
	end    time.Time
}

const (
	callsMost     = 100     // a little less than a connection of the gateway may have
	receiveWindow = 1 << 30 // more than is received
	deadline      = "10S"

	deadlineMicros = 10_000_000
)

func dialWire(from, addr, path string) (*wire, error) {
	conn, err := dialFrom(from, addr, time.Now().Add(10*time.Second))
	if err != nil {
		return nil, err
	}
	c := &wire{Conn: conn, out: bufio.NewWriterSize(conn, 64<<10), wake: make(chan struct{}, 1), calls: map[uint32]call{}, next: 1, window: 65535}
	c.fr = http2.NewFramer(c.out, bufio.NewReaderSize(conn, 64<<10))
	c.fr.SetReuseFrames()
	_, err = c.out.WriteString(http2.ClientPreface)
	for _, step := range []func() error{
		func() error { return err },
		func() error { return c.fr.WriteSettings() },
		func() error { return c.fr.WriteWindowUpdate(0, receiveWindow) },
		func() error { return c.teach(path) },
		c.out.Flush,
	} {
		if err := step(); err != nil {
			_ = conn.Close() // the first error matters
			return nil, err
		}
	}
	return c, nil
}

// dialFrom connects, until then, from an address of this machine; "" is any.
func dialFrom(from, addr string, until time.Time) (net.Conn, error) {
	if path, ok := bytes.CutPrefix([]byte(addr), []byte("unix:")); ok {
		return net.Dial("unix", string(path))
	}
	d := net.Dialer{Deadline: until}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return d.Dial("tcp", addr)
}

// teach sends the fields of a call once, in a call that is reset, so that from now on each is one byte or two.
func (c *wire) teach(path string) error {
	c.hp = hpack.NewEncoder(&c.block)
	c.fields = []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: "tarn"}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}}
	if err := c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.headers(deadline), EndHeaders: true}); err != nil {
		return err
	}
	c.header = bytes.Clone(c.headers(deadline))
	err := c.fr.WriteRSTStream(c.next, http2.ErrCodeCancel)
	c.next += 2
	return err
}

// headers are those of a call with that deadline.
func (c *wire) headers(deadline string) []byte {
	c.block.Reset()
	for _, f := range c.fields {
		_ = c.hp.WriteField(f) // of a bytes.Buffer
	}
	_ = c.hp.WriteField(hpack.HeaderField{Name: "grpc-timeout", Value: deadline}) // likewise
	return c.block.Bytes()
}

// room is whether one more call of n bytes may be sent.
func (c *wire) room(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls) < callsMost && c.window >= int64(n)
}

// send writes a call to the buffer.
func (c *wire) send(due time.Time, body []byte) error {
	c.mu.Lock()
	id := c.next
	c.next += 2
	c.window -= int64(len(body))
	c.calls[id] = call{due, time.Now()}
	c.mu.Unlock()
	header := c.header
	if c.vary {
		header = c.headers(strconv.Itoa(deadlineMicros-int(id)) + "u")
	}
	if err := c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header, EndHeaders: true}); err != nil {
		return err
	}
	return c.fr.WriteData(id, true, body)
}

// flush sends the buffer, and what the gateway is owed.
func (c *wire) flush() error {
	c.mu.Lock()
	acks := c.acks
	c.acks = nil
	c.mu.Unlock()
	for _, ack := range acks {
		if err := ack(); err != nil {
			return err
		}
	}
	return c.out.Flush()
}

// receive tells each answer, until the connection ends.
func (c *wire) receive(tell func(answer)) {
	var status string
	dec := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			status = f.Value
		}
	})
	for {
		frame, err := c.fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			status = ""
			if _, err := dec.Write(f.HeaderBlockFragment()); err != nil || !f.HeadersEnded() {
				return
			}
			if f.StreamEnded() {
				c.ended(f.StreamID, status, tell)
			}
		case *http2.RSTStreamFrame:
			c.ended(f.StreamID, "", tell)
		case *http2.WindowUpdateFrame:
			c.grow(f)
		case *http2.SettingsFrame:
			c.owe(!f.IsAck(), c.fr.WriteSettingsAck)
		case *http2.PingFrame:
			data := f.Data
			c.owe(!f.IsAck(), func() error { return c.fr.WritePing(true, data) })
		}
	}
}

func (c *wire) ended(id uint32, status string, tell func(answer)) {
	c.mu.Lock()
	made, ok := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if ok {
		tell(answer{made, status, time.Now()})
		c.woken()
	}
}

func (c *wire) grow(f *http2.WindowUpdateFrame) {
	if f.StreamID != 0 {
		return
	}
	c.mu.Lock()
	c.window += int64(f.Increment)
	c.mu.Unlock()
	c.woken()
}

func (c *wire) owe(is bool, ack func() error) {
	if !is {
		return
	}
	c.mu.Lock()
	c.acks = append(c.acks, ack)
	c.mu.Unlock()
	c.woken()
}

func (c *wire) woken() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// unanswered is how many calls have no answer yet.
func (c *wire) unanswered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}
