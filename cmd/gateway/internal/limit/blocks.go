// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bytes"
	"errors"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// blocks are the headers of the calls of a connection, as its client and HPACK's table mean them.
//
// Always true: dec has seen all headers that have come, so what it makes of the next is what the client means. As long as own is nil grpc has
// seen the same bytes. From begin on grpc sees only what write has made: each says what the client's does, and the first empties grpc's table,
// so that it holds what own has put there and nothing else.
type blocks struct {
	dec    *hpack.Decoder
	own    *hpack.Encoder // writes to out; nil: grpc sees what the client sends
	out    bytes.Buffer
	broken bool // nothing is known any more; grpc has seen why, and ends the connection

	kept    bool                // fields are wanted
	fields  []hpack.HeaderField // of the last, up to the first for which grpc has no room
	size    uint32              // of fields, as HTTP/2 counts it
	over    bool                // there were more
	raw     []byte              // the last as it came, when that is short, of one frame, and changes nothing in the table; else empty
	flags   http2.Flags         // of the frame in which it began
	call    uint32              // whose they are
	open    uint32              // it, while its headers have not come wholly; 0: none
	last    bool                // fields are known, and all
	changed bool                // the last may have changed the table
	state   uint64              // counts these
}

const (
	// HeadersMost is how large the headers of a call may be, as HTTP/2 counts it. grpc must be told the same.
	HeadersMost = 16 << 10

	frameMost   = 16 << 10 // bytes of a frame; grpc has not allowed more
	tableSize   = 4096     // of HPACK, unless said otherwise
	shortBlock  = 512
	fieldExtra  = 32 // of a header, beyond its bytes (RFC 7541, 4.1)
	priorityLen = 5
)

var errBlock = errors.New("the headers of a call are malformed")

func newBlocks() blocks {
	dec := hpack.NewDecoder(tableSize, nil)
	dec.SetMaxStringLength(HeadersMost)
	dec.SetEmitEnabled(false) // then only what goes to the table is decoded
	return blocks{dec: dec}
}

// keep makes fields known from the next on.
func (b *blocks) keep() {
	b.kept = true
	b.dec.SetEmitFunc(b.add)
	b.dec.SetEmitEnabled(true)
}

// add is a header. The first for which there is no room is kept in part, so that grpc, too, finds that there is none.
func (b *blocks) add(f hpack.HeaderField) {
	if b.over {
		return
	}
	if b.over = b.size+f.Size() > HeadersMost; b.over {
		most := max(int(HeadersMost-b.size)+1-fieldExtra, 1)
		f.Name = f.Name[:min(len(f.Name), most)]
		f.Value = f.Value[:min(len(f.Value), most-len(f.Name))]
	}
	b.size += f.Size()
	b.fields = append(b.fields, f)
}

// takes is whether a frame of that kind is for read.
func (b *blocks) takes(kind http2.FrameType) bool {
	return !b.broken && (kind == http2.FrameHeaders || kind == http2.FrameContinuation || b.open != 0)
}

// read reads a frame of headers. False: it is malformed, or comes when it may not.
func (b *blocks) read(kind http2.FrameType, flags http2.Flags, id uint32, body []byte) bool {
	body, ok := fragment(kind, flags, body)
	first := kind == http2.FrameHeaders
	if !ok || first != (b.open == 0) || !first && (kind != http2.FrameContinuation || id != b.open) {
		return false
	}
	if first {
		b.flags, b.call, b.fields, b.raw, b.size = flags, id, b.fields[:0], b.raw[:0], 0
		b.over, b.last, b.changed = false, false, false
	}
	b.changed = b.changed || !changesNothing(body) // what ends within a header, too
	if _, err := b.dec.Write(body); err != nil {
		return false
	}
	if !flags.Has(http2.FlagHeadersEndHeaders) { // the same bit in both kinds
		b.open = id
		return id != 0
	}
	b.open = 0
	if b.dec.Close() != nil {
		return false
	}
	b.ended(first, body)
	return true
}

// ended notes that the headers of a call have come.
func (b *blocks) ended(whole bool, body []byte) {
	b.last = b.kept && !b.over
	if b.changed {
		b.state++
	} else if b.kept && whole && len(body) <= shortBlock && b.flags&^http2.FlagHeadersEndStream == http2.FlagHeadersEndHeaders {
		b.raw = append(b.raw, body...)
	}
}

// fragment is what a frame has of headers.
func fragment(kind http2.FrameType, flags http2.Flags, body []byte) (_ []byte, ok bool) {
	if kind != http2.FrameHeaders {
		return body, true
	}
	pad := 0
	if flags.Has(http2.FlagHeadersPadded) {
		if len(body) == 0 {
			return nil, false
		}
		pad, body = int(body[0]), body[1:]
	}
	if flags.Has(http2.FlagHeadersPriority) {
		if len(body) < priorityLen {
			return nil, false
		}
		body = body[priorityLen:]
	}
	if pad > len(body) {
		return nil, false
	}
	return body[:len(body)-pad], true
}

// begin is called before grpc misses something that changes the table.
func (b *blocks) begin() {
	if b.own != nil {
		return
	}
	b.own = hpack.NewEncoder(&b.out)
	b.own.SetMaxDynamicTableSize(0) // what it says first
	b.own.SetMaxDynamicTableSize(tableSize)
}

// write is a frame with the last headers, for grpc. It is good until the next.
func (b *blocks) write() []byte {
	b.out.Reset()
	var head [frameHead]byte
	b.out.Write(head[:])
	for _, f := range b.fields {
		f.Sensitive = f.Sensitive || varies(f.Name) // it needs no place in the table
		_ = b.own.WriteField(f)                     // of a bytes.Buffer
	}
	frame := b.out.Bytes()
	appendHead(frame[:0], len(frame)-frameHead, http2.FrameHeaders, b.flags&http2.FlagHeadersEndStream|http2.FlagHeadersEndHeaders, b.call)
	return frame
}

// template is the last call, as one that was refused.
func (b *blocks) template(g *Gate, who Caller, n int64) template {
	t := template{fields: []hpack.HeaderField{}, state: b.state, who: who, bytes: n, gate: g}
	for _, f := range b.fields {
		if !varies(f.Name) {
			t.fields = append(t.fields, f)
		}
	}
	if len(b.raw) > 0 {
		t.block = bytes.Clone(b.raw)
	}
	return t
}

// says is whether the last call has these headers, and else only what varies.
func (b *blocks) says(fields []hpack.HeaderField) bool {
	for _, f := range b.fields {
		if varies(f.Name) {
			if f.Name == timeoutHeader && !isTimeout(f.Value) {
				return false // which grpc says
			}
			continue
		}
		if len(fields) == 0 || f.Name != fields[0].Name || f.Value != fields[0].Value {
			return false
		}
		fields = fields[1:]
	}
	return len(fields) == 0
}

const timeoutHeader = "grpc-timeout"

// varies is whether a header differs from call to call of one client, and decides nothing about whether a call is let in.
func varies(name string) bool {
	switch name {
	case timeoutHeader, "grpc-previous-rpc-attempts", "traceparent", "tracestate", "baggage", requestID:
		return true
	}
	return false
}

// isTimeout is whether a deadline is well-formed: up to eight digits, and a unit.
func isTimeout(s string) bool {
	if len(s) < 2 || len(s) > 9 {
		return false
	}
	for _, c := range s[:len(s)-1] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return bytes.IndexByte([]byte("HMSmun"), s[len(s)-1]) >= 0
}

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
