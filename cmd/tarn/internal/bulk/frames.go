// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
)

// The binary form is the magic, then frames without anything between them:
//
//	offset  bytes
//	0       1      kind: H A O E L P Z
//	1       4      n, little-endian: bytes of the payload, at most frameMax
//	5       n      payload
//	5+n     4      CRC-32C, little-endian, of the magic and of all frames up to this one, without their checksums
//
// Payloads: H is the header and Z the total as JSON; O the name of the object; E an unsigned varint, the length of the key, then key and value; A
// the same of an attribute's name and value;
// L an unsigned varint, the length of the value, then the key; P bytes of that value.
const (
	magic    = "\x89TARNBULK\r\n\x1a\n"
	headLen  = 5
	sumLen   = 4
	frameMax = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameWriter writes the binary form.
type frameWriter struct {
	w   io.Writer
	sum uint32 // never over a checksum: behind its own checksum a CRC is a constant, and the chain would be cut
	buf []byte
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	_, err := io.WriteString(w, magic)
	return &frameWriter{w: w, sum: crc32.Checksum([]byte(magic), castagnoli)}, err
}

func (f *frameWriter) put(r record) error {
	f.buf = append(f.buf[:0], byte(r.kind), 0, 0, 0, 0)
	if err := f.payload(r); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(f.buf[1:], uint32(len(f.buf)-headLen))
	f.sum = crc32.Update(f.sum, castagnoli, f.buf)
	f.buf = binary.LittleEndian.AppendUint32(f.buf, f.sum)
	_, err := f.w.Write(f.buf)
	return err
}

func (f *frameWriter) payload(r record) error {
	switch r.kind {
	case kindHeader:
		return f.json(r.header)
	case kindEnd:
		return f.json(r.total)
	case kindObject:
		f.buf = append(f.buf, r.name...)
	case kindEntry, kindAttr:
		f.buf = binary.AppendUvarint(f.buf, uint64(len(r.key)))
		f.buf = append(append(f.buf, r.key...), r.value...)
	case kindLarge:
		f.buf = binary.AppendUvarint(f.buf, r.size)
		f.buf = append(f.buf, r.key...)
	case kindPiece:
		f.buf = append(f.buf, r.value...)
	}
	return nil
}

func (f *frameWriter) json(v any) error {
	data, err := json.Marshal(v)
	f.buf = append(f.buf, data...)
	return err
}

// counter reads, and knows how far it is.
type counter struct {
	*bufio.Reader
	at uint64
}

func newCounter(r io.Reader) *counter { return &counter{Reader: bufio.NewReaderSize(r, 256<<10)} }

// full fills p. io.EOF when there is nothing more, io.ErrUnexpectedEOF when there is less.
func (c *counter) full(p []byte) error {
	n, err := io.ReadFull(c.Reader, p)
	c.at += uint64(n)
	return err
}

// frameReader reads the binary form.
type frameReader struct {
	in      *counter
	sum     uint32
	began   uint64
	grammar grammar
}

func newFrameReader(in *counter) (*frameReader, error) {
	head := make([]byte, len(magic))
	if err := in.full(head); err != nil && !short(err) {
		return nil, err
	}
	if string(head) != magic {
		return nil, damaged(0, "it is not one of 'tarn bulk export', or was changed by a program that takes it for text")
	}
	return &frameReader{in: in, sum: crc32.Update(0, castagnoli, head)}, nil
}

func short(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func (f *frameReader) offset() uint64 { return f.began }

func (f *frameReader) next() (record, error) {
	f.began = f.in.at
	frame, err := f.frame()
	if err != nil {
		return record{}, err
	}
	r, err := parseFrame(frame)
	if err != nil {
		return record{}, damaged(f.began, "%v", err)
	}
	if r.kind == kindHeader {
		if err := checkHeader(r.header); err != nil {
			return record{}, err
		}
	}
	if err := f.grammar.step(r); err != nil {
		return record{}, damaged(f.began, "%v", err)
	}
	return r, nil
}

// frame reads a frame and verifies it: its kind and payload.
func (f *frameReader) frame() ([]byte, error) {
	var head [headLen]byte
	err := f.in.full(head[:])
	switch {
	case err == io.EOF && f.grammar.end:
		return nil, io.EOF
	case err != nil && short(err):
		return nil, damaged(f.began, "it ends there, before its end")
	case err != nil:
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n > frameMax {
		return nil, damaged(f.began, "a frame says that it has %d bytes", n)
	}
	frame := make([]byte, headLen+n+sumLen)
	copy(frame, head[:])
	if err := f.in.full(frame[headLen:]); err != nil {
		if short(err) {
			return nil, damaged(f.began, "it ends within this frame")
		}
		return nil, err
	}
	body := frame[:headLen+n]
	want := binary.LittleEndian.Uint32(frame[headLen+n:])
	f.sum = crc32.Update(f.sum, castagnoli, body)
	if f.sum != want {
		return nil, damaged(f.began, "the checksum of this frame is %08x, and it should be %08x", f.sum, want)
	}
	return body, nil
}

var errForm = errors.New("a frame has not the form of its kind")

func parseFrame(frame []byte) (r record, err error) {
	r.kind = kind(frame[0])
	body := frame[headLen:]
	switch r.kind {
	case kindHeader:
		err = json.Unmarshal(body, &r.header)
	case kindEnd:
		err = json.Unmarshal(body, &r.total)
	case kindObject:
		r.name = string(body)
	case kindEntry, kindAttr:
		n, used := binary.Uvarint(body)
		if used <= 0 || n > uint64(len(body)-used) {
			return r, errForm
		}
		r.key, r.value = body[used:used+int(n):used+int(n)], body[used+int(n):]
	case kindLarge:
		size, used := binary.Uvarint(body)
		if used <= 0 {
			return r, errForm
		}
		r.size, r.key = size, body[used:]
	case kindPiece:
		r.value = body
	default:
		return r, errForm
	}
	return r, err
}
