// SPDX-License-Identifier: Apache-2.0

// Package bulk writes the objects of a container to one stream and stores them from one, in any system.
//
// A stream is a header, the container's attributes, then each object with its entries, then an end that counts them. There are two forms. The binary one (frames.go) is
// made of frames whose checksums are chained: a byte that changed, and a frame that is missing, doubled or in another place, is found where it
// stands, and nothing behind it is used. The other one is lines of JSON for people (jsonl.go), which have no checksums. A value of more than
// ValueMax bytes stands in pieces, so that memory is bounded whatever the size of a value.
package bulk

import (
	"fmt"
	"io"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Version is that of both forms. A reader refuses a later one. A stream without attributes says 1, which has none, so that it is the same to all.
const Version = 2

const (
	// ValueMax is the largest value that stands in an entry, in bytes.
	ValueMax = system.ListValueMax
	// pieceMax is the largest piece of a larger value, in bytes.
	pieceMax = 256 << 10
	// attributesMax bounds the attributes of a container, each with attributeCost bytes more than its name and its value: see tarn/attr.h.
	attributesMax = 1 << 20
	attributeCost = 64
)

// Header says what is in a stream. It has no time: two exports of the same are the same bytes.
type Header struct {
	Version    int                  `json:"version"`
	Source     string               `json:"source"` // "tank/neo"
	Type       system.ContainerType `json:"type"`
	Properties system.Properties    `json:"properties"`
}

// Total counts what is in a stream.
type Total struct {
	Objects uint64 `json:"objects"`
	Entries uint64 `json:"entries"`
	Bytes   uint64 `json:"bytes"` // of keys and values
	// Attributes are the container's.
	Attributes uint64 `json:"attributes,omitempty"`
}

// kind is what a record is.
type kind byte

const (
	kindHeader kind = 'H'
	kindAttr   kind = 'A' // key: its name; value
	kindObject kind = 'O' // name: what follows is in that object
	kindEntry  kind = 'E' // key, value
	kindLarge  kind = 'L' // key, size: the value follows in pieces
	kindPiece  kind = 'P' // value
	kindEnd    kind = 'Z' // total
)

// record is one step of a stream. Which fields count is said beside the kinds. What a source gives is the caller's.
type record struct {
	kind   kind
	header Header
	name   string
	key    []byte
	value  []byte
	size   uint64
	total  Total
}

// sink takes records in the order of a stream.
type sink interface{ put(record) error }

// source gives records, and io.EOF behind the end of a whole stream. offset is where the last record began, in bytes.
type source interface {
	next() (record, error)
	offset() uint64
}

// damaged is the error of a stream that cannot be trusted from an offset on.
func damaged(offset uint64, format string, args ...any) error {
	return errno.New("", "", errno.Csum, fmt.Sprintf("the stream is damaged at byte %d: %s", offset, fmt.Sprintf(format, args...)))
}

// checkHeader refuses what this version does not know.
func checkHeader(h Header) error {
	if h.Version < 1 || h.Version > Version {
		return errno.New("", "", errno.DFIncompt, fmt.Sprintf("the stream has version %d and this program reads version %d", h.Version, Version))
	}
	return nil
}

// grammar checks the order of records, and counts.
type grammar struct {
	total      Total
	begun, end bool
	inObject   bool
	left       uint64 // bytes of a large value that are to come
	attributes int    // bytes of those that have come
}

// step takes the next record. An error says what is wrong with it.
func (g *grammar) step(r record) error {
	switch {
	case g.end:
		return fmt.Errorf("something stands behind the end")
	case !g.begun && r.kind != kindHeader:
		return fmt.Errorf("it does not begin with a header")
	case g.left > 0 && r.kind != kindPiece:
		return fmt.Errorf("%d bytes of a value are missing", g.left)
	case r.kind == kindAttr && g.inObject:
		return fmt.Errorf("an attribute stands behind an object")
	case r.kind == kindAttr && (len(r.key) == 0 || len(r.value) == 0):
		return fmt.Errorf("an attribute has no name or no value")
	case (r.kind == kindEntry || r.kind == kindLarge) && !g.inObject:
		return fmt.Errorf("an entry stands before the first object")
	case (r.kind == kindEntry || r.kind == kindLarge) && (len(r.key) == 0 || len(r.key) > system.KeyMax):
		return fmt.Errorf("a key has %d bytes", len(r.key))
	}
	return g.count(r)
}

func (g *grammar) count(r record) error {
	switch r.kind {
	case kindHeader:
		if g.begun {
			return fmt.Errorf("there is a second header")
		}
		g.begun = true
	case kindAttr:
		if g.attributes += len(r.key) + len(r.value) + attributeCost; g.attributes > attributesMax {
			return fmt.Errorf("there are attributes of more than %d bytes", attributesMax)
		}
		g.total.Attributes++
	case kindObject:
		g.inObject = true
		g.total.Objects++
	case kindEntry:
		g.total.Entries++
		g.total.Bytes += uint64(len(r.key) + len(r.value))
	case kindLarge:
		if r.size == 0 || r.size > system.ValueMax {
			return fmt.Errorf("a value in pieces has %d bytes", r.size)
		}
		g.left = r.size
		g.total.Entries++
		g.total.Bytes += uint64(len(r.key)) + r.size
	case kindPiece:
		if n := uint64(len(r.value)); n == 0 || n > g.left {
			return fmt.Errorf("a piece of %d bytes stands where %d are missing", n, g.left)
		}
		g.left -= uint64(len(r.value))
	case kindEnd:
		if r.total != g.total {
			return fmt.Errorf("it counts %+v, and there are %+v", r.total, g.total)
		}
		g.end = true
	}
	return nil
}

// open finds out which form a stream has.
func open(r io.Reader) (source, error) {
	in := newCounter(r)
	first, err := in.Peek(1)
	if err == io.EOF {
		return nil, damaged(0, "it is empty")
	}
	if err != nil {
		return nil, err
	}
	if first[0] == magic[0] {
		return newFrameReader(in)
	}
	return &lineReader{in: in}, nil
}

// Verify reads a stream to its end, and says what is in it. Errors: CSUM (damaged or cut off, with the offset), DF_INCOMPT (of a later
// version), those of r.
func Verify(r io.Reader, progress func(bytes uint64)) (Header, Total, error) {
	src, err := open(r)
	if err != nil {
		return Header{}, Total{}, err
	}
	var h Header
	var total Total
	for {
		rec, err := src.next()
		if err == io.EOF {
			return h, total, nil
		}
		if err != nil {
			return h, total, err
		}
		switch rec.kind {
		case kindHeader:
			h = rec.header
		case kindEnd:
			total = rec.total
		}
		progress(src.offset())
	}
}
