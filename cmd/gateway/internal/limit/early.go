// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// early refuses calls of a connection before grpc sees them, at a small part of the cost: ten times of what is carried can be refused only so.
//
// Always true: what grpc sees is what the client sent, less whole frames of calls that were refused here, whose bytes the window of the
// connection gets back. A call is refused here only when its headers are, byte for byte, those of a call that the tap has refused, and
// nothing has changed since what they mean (they add nothing to HPACK's table, and none between them did), and the gate has no place for that
// caller now. Everything else is up to grpc and the tap. Of headers grpc sees one at a time: so the tap speaks of the last.
//
// Only the goroutine that reads the connection uses it.
type early struct {
	buf, in []byte // what was read, and what is left of it
	err     error  // behind that
	pass    int    // bytes that grpc sees as they are
	drop    int    // bytes that it does not see
	stop    bool   // when pass has passed: grpc decides about a call
	started frames // the frame in which it began

	last    []byte // the headers about which the tap will speak; nil: they cannot be compared
	refused [earlyKinds]template
	oldest  int             // of them, the one to be replaced
	mine    map[uint32]bool // calls that were refused here, and whose ends have not come
	out     []byte          // answers
	window  int             // bytes that the client has not back yet
	n       int             // what was refused since the pace was asked has cost so much
}

// template is a call that was refused.
type template struct {
	block []byte // its headers, as they came; nil: none
	who   Caller
	bytes int64
	gate  *Gate
}

const (
	earlyBuffer = 16 << 10
	earlyKinds  = 4   // different calls of a connection
	earlyBlock  = 512 // bytes of headers
	earlyMine   = 256 // calls whose ends have not come; more are grpc's
	earlyOut    = 16 << 10
	earlyWindow = 32 << 10
	earlyCost   = refusalCost / earlyShare
	earlyShare  = 32 // of them cost as much as one that grpc refuses,
	earlyAnswer = 16 // and reading and answering some as so many
)

// learn lets calls like the one that the tap refuses now be refused early, if they can be. The first only begins it: which one that was is not known.
func (c *Conn) learn(g *Gate, who Caller, n int64) {
	switch e := c.early; {
	case e == nil:
		c.early = &early{buf: make([]byte, earlyBuffer), mine: map[uint32]bool{}, started: c.incoming}
	case e.last != nil:
		e.refused[e.oldest] = template{e.last, who, n, g}
		e.oldest = (e.oldest + 1) % earlyKinds
		e.last = nil
	}
}

// read implements Conn.Read.
func (e *early) read(c *Conn, p []byte) (int, error) {
	for {
		if n := e.next(c, p); n > 0 || len(p) == 0 {
			return n, nil
		}
		if err := e.answer(c); err != nil {
			return 0, err
		}
		if e.err != nil {
			return 0, e.err
		}
		rest := copy(e.buf, e.in)
		n, err := c.pull(e.buf[rest:])
		e.in, e.err = e.buf[:rest+n], err
	}
}

// next gives grpc what it is to see of what was read, up to the first call.
func (e *early) next(c *Conn, p []byte) (n int) {
	for n < len(p) && len(e.in) > 0 {
		switch {
		case e.drop > 0:
			k := min(e.drop, len(e.in))
			e.drop, e.in = e.drop-k, e.in[k:]
		case e.pass > 0:
			k := copy(p[n:], e.in[:min(e.pass, len(e.in))])
			e.pass, e.in, n = e.pass-k, e.in[k:], n+k
			if e.pass == 0 && e.stop {
				e.stop = false
				return n
			}
		case !e.started.between():
			e.begin()
		case !e.frame(c):
			return n
		}
	}
	return n
}

// begin passes the rest of the frame in which it began.
func (e *early) begin() {
	if e.started.skip == 0 { // within its head
		k := min(frameHead-e.started.got, len(e.in))
		e.pass = k
		e.started.scan(e.in[:k], func(http2.FrameType, http2.Flags, int) {})
		return
	}
	e.pass, e.started = e.started.skip, frames{}
}

// frame decides about the next frame. False: not enough of it has come.
func (e *early) frame(c *Conn) bool {
	if len(e.in) < frameHead {
		return false
	}
	kind, flags, length, id := headOf(e.in)
	switch {
	case kind == http2.FrameHeaders:
		if len(e.in) < frameHead+length && length <= earlyBlock {
			return false
		}
		if e.call(c, flags, length, id) {
			return true
		}
		e.stop = true
	case kind == http2.FrameContinuation, kind == http2.FramePushPromise:
		e.forget()
	case e.mine[id]:
		e.rest(c, kind, flags, length, id)
		e.drop = frameHead + length
		return true
	}
	e.pass = frameHead + length
	return true
}

// call is whether a call is refused here.
func (e *early) call(c *Conn, flags http2.Flags, length int, id uint32) bool {
	e.last = nil
	if flags&^http2.FlagHeadersEndStream != http2.FlagHeadersEndHeaders || length > earlyBlock || id == 0 {
		e.forget()
		return false
	}
	block := e.in[frameHead : frameHead+length]
	if !changesNothing(block) {
		e.forget()
		return false
	}
	ended := flags.Has(http2.FlagHeadersEndStream)
	if !e.full(block) || e.mine[id] || !ended && len(e.mine) >= earlyMine {
		e.last = bytes.Clone(block)
		return false
	}
	e.refuse(c, id, ended)
	e.drop = frameHead + length
	return true
}

// full is whether a call with such headers was refused before, and would be now.
func (e *early) full(block []byte) bool {
	for i := range e.refused {
		if t := &e.refused[i]; t.block != nil && bytes.Equal(t.block, block) {
			return t.gate.refuses(t.who, t.bytes)
		}
	}
	return false
}

// forget forgets what was learned, because the same bytes may mean something else now.
func (e *early) forget() { e.refused, e.last = [earlyKinds]template{}, nil }

func (e *early) refuse(c *Conn, id uint32, ended bool) {
	c.credit -= earlyCost
	c.soon.Add(1)
	e.n++
	e.out = appendHead(e.out, len(refusalBlock()), http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id)
	e.out = append(e.out, refusalBlock()...)
	if !ended {
		e.mine[id] = true
		e.out = appendHead(e.out, 4, http2.FrameRSTStream, 0, id)
		e.out = binary.BigEndian.AppendUint32(e.out, uint32(http2.ErrCodeNo)) // that no more need be sent
	}
}

// rest is a frame of a call that was refused here.
func (e *early) rest(c *Conn, kind http2.FrameType, flags http2.Flags, length int, id uint32) {
	c.count(kind, flags, length)
	if kind == http2.FrameData {
		e.window += length
	}
	if kind == http2.FrameRSTStream || kind == http2.FrameData && flags.Has(http2.FlagDataEndStream) {
		delete(e.mine, id)
	}
}

// answer sends the answers, and what the window gets back. Then the connection may rest.
func (e *early) answer(c *Conn) error {
	if e.window >= earlyWindow {
		e.out = appendHead(e.out, 4, http2.FrameWindowUpdate, 0, 0)
		e.out = binary.BigEndian.AppendUint32(e.out, uint32(e.window))
		e.window = 0
	}
	if len(e.out) == 0 {
		return nil
	}
	err := c.outgoing.insert(c.Conn, e.out)
	e.out = e.out[:0]
	c.late.Add(time.Duration(c.touch() - c.came))
	if e.n += earlyAnswer; e.n >= earlyShare {
		e.n -= earlyShare
		if g := e.refused[0].gate; g != nil {
			c.hold(g)
		}
	}
	return err
}

func appendHead(b []byte, length int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(length)<<8|uint32(kind))
	return binary.BigEndian.AppendUint32(append(b, byte(flags)), id)
}

// refusalBlock are the headers of the answer of a call that is refused. They add nothing to HPACK's table, which is grpc's.
var refusalBlock = sync.OnceValue(func() []byte {
	var block bytes.Buffer
	st := status.Convert(errFull())
	details, err := proto.Marshal(st.Proto())
	if err != nil {
		panic(err) // of a message of our own
	}
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc", Sensitive: true},
		{Name: "grpc-status", Value: strconv.Itoa(int(st.Code())), Sensitive: true}, {Name: "grpc-message", Value: st.Message(), Sensitive: true},
		{Name: "grpc-status-details-bin", Value: base64.RawStdEncoding.EncodeToString(details), Sensitive: true}} {
		_ = enc.WriteField(f) // of a bytes.Buffer
	}
	return block.Bytes()
})

// changesNothing is whether a block of headers is well-formed, and leaves HPACK's table as it is (RFC 7541, 6).
func changesNothing(b []byte) bool {
	for len(b) > 0 {
		var ok bool
		switch first := b[0]; {
		case first&0x80 != 0: // indexed
			_, b, ok = number(b, 7)
		case first&0xe0 == 0: // a literal that is not added
			var index uint64
			if index, b, ok = number(b, 4); ok && index == 0 {
				b, ok = skipText(b)
			}
			if ok {
				b, ok = skipText(b)
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func skipText(b []byte) (rest []byte, ok bool) {
	n, b, ok := number(b, 7)
	if !ok || n > uint64(len(b)) {
		return nil, false
	}
	return b[n:], true
}

// number reads a number whose first bits are the last of a byte (RFC 7541, 5.1).
func number(b []byte, bits int) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	most := uint64(1)<<bits - 1
	if n = uint64(b[0]) & most; n < most {
		return n, b[1:], true
	}
	for i, c := range b[1:] {
		if i > 3 {
			break
		}
		n += uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, b[2+i:], true
		}
	}
	return 0, nil, false
}
