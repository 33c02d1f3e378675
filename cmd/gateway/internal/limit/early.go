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

// early is what stands between the connection and grpc. It refuses calls before grpc sees them, at a small part of the cost: ten times of what
// is carried can be refused only so.
//
// Always true: what grpc sees is what the client sent, less whole frames of calls that were refused here, whose bytes the window of the
// connection gets back. A call is refused here only when its headers are those of a call that the tap has refused on this connection, but for
// what differs from call to call and decides nothing (see varies), and the gate has no place for that caller now. Everything else is up to grpc
// and the tap. When the headers of a call that is refused here change HPACK's table, grpc does not learn of it: from then on it gets all headers
// in our own words (see blocks), which mean the same. Of headers grpc sees one at a time: so the tap speaks of the last, and calls behind it
// can be refused here.
//
// Only the goroutine that reads the connection uses it.
type early struct {
	buf  *[]byte // where in is kept from one read to the next; nil: in is empty
	in   []byte  // what was read, and is left of it
	err  error   // behind that
	made []byte  // headers in our own words that grpc is to see before anything else
	pass int     // bytes that grpc sees as they are
	drop int     // bytes that it does not see
	stop bool    // when these have passed: grpc decides about a call

	blocks  blocks
	refused [earlyKinds]template
	oldest  int             // of them, the one to be replaced
	mine    map[uint32]bool // calls that were refused here, and whose ends have not come
	out     []byte          // answers
	told    uint64          // how many are in it
	window  int             // bytes that the client has not back yet
	n       int             // what was refused since the pace was asked has cost so much
}

// template is a call that was refused.
type template struct {
	fields []hpack.HeaderField // its headers, but for what varies; nil: none
	block  []byte              // as they came, when they change nothing in HPACK's table
	state  uint64              // of that table, in which they mean this
	who    Caller
	bytes  int64
	gate   *Gate
}

const (
	earlyBuffer = 32 << 10
	earlyKinds  = 4   // different calls of a connection
	earlyMine   = 256 // calls whose ends have not come; more are grpc's
	earlyOut    = 16 << 10
	earlyWindow = 32 << 10
	earlyCost   = refusalCost / earlyShare
	earlyShare  = 32 // of them cost as much as one that grpc refuses,
	earlyAnswer = 16 // and reading and answering some as so many
	earlyRead   = 4  // one whose headers had to be read as so many
	earlyLate   = 2 * time.Millisecond
)

var earlyBuffers = sync.Pool{New: func() any {
	b := make([]byte, earlyBuffer)
	return &b
}}

func newEarly() early { return early{pass: len(http2.ClientPreface), blocks: newBlocks()} }

// learn lets calls like the one that the tap refuses now be refused early. The first only begins it: what its headers were is not known.
func (c *Conn) learn(g *Gate, who Caller, n int64) {
	switch e := &c.early; {
	case !e.blocks.kept:
		e.blocks.keep()
	case e.blocks.last:
		e.refused[e.oldest] = e.blocks.template(g, who, n)
		e.oldest = (e.oldest + 1) % earlyKinds
	}
}

// read implements Conn.Read.
func (e *early) read(c *Conn, p []byte) (int, error) {
	for {
		n := e.next(c, p)
		if n == 0 || e.late(c) {
			if err := e.answer(c); err != nil {
				return 0, err
			}
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if e.err != nil {
			return 0, e.err
		}
		n, err := e.pull(c, p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// pull reads more. When nothing is left of what was read before that is read to where grpc wants it, and what grpc is to see of it stays there.
func (e *early) pull(c *Conn, p []byte) (int, error) {
	if len(e.in) > 0 || e.blocks.own != nil || len(p) < frameHead+frameMost {
		e.save()
		rest := len(e.in)
		n, err := c.pull((*e.buf)[rest:])
		e.in, e.err = (*e.buf)[:rest+n], err
		return 0, nil
	}
	e.free()
	n, err := c.pull(p)
	e.in, e.err = p[:n], err
	n = e.next(c, p)
	if len(e.in) > 0 {
		e.save()
	}
	if n == 0 || !e.late(c) {
		return n, nil
	}
	return n, e.answer(c)
}

// save puts what is left to the beginning of a buffer of its own.
func (e *early) save() {
	if e.buf == nil {
		e.buf = earlyBuffers.Get().(*[]byte)
	}
	e.in = (*e.buf)[:copy(*e.buf, e.in)]
}

func (e *early) free() {
	if e.buf != nil {
		earlyBuffers.Put(e.buf)
		e.buf, e.in = nil, nil
	}
}

// late is whether there are answers that have waited for long.
func (e *early) late(c *Conn) bool {
	return len(e.out) > 0 && (len(e.out) > earlyOut || time.Now().UnixNano()-c.came > int64(earlyLate))
}

// next gives grpc what it is to see of what was read, up to the first call. What was read may begin where p does.
func (e *early) next(c *Conn, p []byte) (n int) {
	for n < len(p) {
		switch {
		case len(e.made) > 0:
			k := copy(p[n:], e.made)
			e.made, n = e.made[k:], n+k
		case len(e.in) == 0:
			return n
		case e.drop > 0:
			k := min(e.drop, len(e.in))
			e.drop, e.in = e.drop-k, e.in[k:]
		case e.pass > 0:
			k := min(e.pass, len(e.in), len(p)-n)
			if &p[n] != &e.in[0] { // else it is there already
				copy(p[n:n+k], e.in)
			}
			e.pass, e.in, n = e.pass-k, e.in[k:], n+k
		case !e.frame(c):
			return n
		}
		if e.stop && e.pass == 0 && len(e.made) == 0 {
			e.stop = false
			return n
		}
	}
	return n
}

// frame decides about the next frame. False: not enough of it has come.
func (e *early) frame(c *Conn) bool {
	if len(e.in) < frameHead {
		return false
	}
	kind, flags, length, id := headOf(e.in)
	whole := frameHead + length
	switch {
	case e.err == errBlock:
		return false
	case e.blocks.takes(kind) && length <= frameMost:
		if len(e.in) < whole {
			return false
		}
		return e.headers(c, kind, flags, id, e.in[frameHead:whole])
	case e.mine[id]:
		e.rest(c, kind, flags, length, id)
		e.drop = whole
		return true
	}
	c.count(kind, flags, length)
	e.pass = whole
	return true
}

// headers decides about headers, or a part of them. False: there is no way to go on.
func (e *early) headers(c *Conn, kind http2.FrameType, flags http2.Flags, id uint32, body []byte) bool {
	whole := frameHead + len(body)
	if t := e.same(body, kind, flags); t != nil && e.may(t, flags, id) {
		e.refuse(c, id, flags, 1)
		e.drop = whole
		return true
	}
	if !e.blocks.read(kind, flags, id, body) {
		return e.odd(c, kind, flags, whole)
	}
	if t := e.alike(); t != nil && e.may(t, e.blocks.flags, id) && (kind == http2.FrameHeaders || e.blocks.own != nil) {
		if e.blocks.changed {
			e.blocks.begin()
			e.save() // what grpc sees may become longer than what was read
		}
		c.spend(float64(max(whole-headersFree, 0)) * headersCost)
		e.refuse(c, id, e.blocks.flags, earlyRead)
		e.drop = whole
		return true
	}
	c.count(kind, flags, len(body))
	e.stop = e.blocks.open == 0
	if e.blocks.own == nil {
		e.pass = whole
		return true
	}
	e.drop = whole
	if e.stop {
		e.made = e.blocks.write()
	}
	return true
}

// odd is a frame for which grpc ends the connection.
func (e *early) odd(c *Conn, kind http2.FrameType, flags http2.Flags, whole int) bool {
	if e.blocks.own != nil {
		e.err = errBlock // what grpc knows of the table is not what the client does
		return false
	}
	e.blocks.broken = true
	c.count(kind, flags, whole-frameHead)
	e.pass, e.stop = whole, true
	return true
}

// same is a call that was refused whose headers were, byte for byte, the same, and meant the same.
func (e *early) same(body []byte, kind http2.FrameType, flags http2.Flags) *template {
	if kind != http2.FrameHeaders || flags&^http2.FlagHeadersEndStream != http2.FlagHeadersEndHeaders || e.blocks.open != 0 {
		return nil
	}
	for i := range e.refused {
		if t := &e.refused[i]; t.block != nil && t.state == e.blocks.state && bytes.Equal(t.block, body) {
			return t
		}
	}
	return nil
}

// alike is a call that was refused whose headers say what those that were read say.
func (e *early) alike() *template {
	if !e.blocks.last {
		return nil
	}
	for i := range e.refused {
		if t := &e.refused[i]; t.fields != nil && e.blocks.says(t.fields) {
			return t
		}
	}
	return nil
}

// may is whether a call like that may be refused here, and is to be.
func (e *early) may(t *template, flags http2.Flags, id uint32) bool {
	if id == 0 || e.mine[id] || !flags.Has(http2.FlagHeadersEndStream) && len(e.mine) >= earlyMine {
		return false
	}
	return t.gate.refuses(t.who, t.bytes)
}

func (e *early) refuse(c *Conn, id uint32, flags http2.Flags, cost int) {
	c.credit -= earlyCost * float64(cost)
	c.conns.Early.Add(1)
	e.n += cost
	e.told++
	e.out = appendHead(e.out, len(refusalBlock()), http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id)
	e.out = append(e.out, refusalBlock()...)
	if !flags.Has(http2.FlagHeadersEndStream) {
		if e.mine == nil {
			e.mine = map[uint32]bool{}
		}
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
	if e.out = e.out[:0]; cap(e.out) > 4*earlyOut {
		e.out = nil
	}
	c.conns.Refusals.AddMany(time.Duration(c.touch()-c.came), e.told)
	e.told = 0
	if e.n += earlyAnswer; e.n >= earlyShare {
		e.n %= earlyShare
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
