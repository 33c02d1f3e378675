// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/go/system"
)

// source makes decisions of bytes; when they are used up, always the first.
type source struct{ rest []byte }

func (s *source) byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

func (s *source) pick(n int) int { return int(s.byte()) % n }

func (s *source) number() uint64 {
	var b [8]byte
	for i := range b {
		b[i] = s.byte()
	}
	return binary.LittleEndian.Uint64(b[:])
}

// names are what strings name, or nearly.
var names = []string{"tank/neo/stadium", "tank/neo", "tank", "", "neo", "stadium", "snap", "tank/neo@snap", "tank/neo@snap/stadium", "tank/neo@@1",
	"tank/neo@@", "tank/none/stadium", "none", "a/b/c/d", "tank//stadium", "/", "@", "block:/dev/fuzz", "/dev/fuzz", "mem:1M", "../../etc",
	"operations/1", "00000000-0000-4000-8000-000000000001", "owner", "tank/neo/", "stadium2", "\u00e9\u0000\n",
	strings.Repeat("x", system.ObjectNameMax), strings.Repeat("x", system.ObjectNameMax+1), strings.Repeat("a/", 5000), "bmVv", "%"}

// keys and values are short, or of the sizes where something ends.
var (
	sizes  = []int{1, 1, 1, 0, 2, 16, system.KeyMax, system.KeyMax + 1, 5000}
	values = []int{0, 1, 100, 5000, system.ListValueMax + 1, service.UnaryValueMax, service.UnaryValueMax + 1}
	edges  = []uint64{0, 1, 2, 100, 512, 4096, 1 << 20, 16 << 20, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64}
)

// right is what is there, by the fields that name it.
var right = map[protoreflect.Name]string{"pool": "tank", "container": "tank/neo", "object": "tank/neo/stadium", "snapshot": "tank/neo@snap", "name": "snap",
	"device": "block:/dev/fuzz", "request_id": "00000000-0000-4000-8000-000000000001", "page_token": ""}

// text is of a field of that name: mostly what is there.
func (s *source) text(field protoreflect.Name) string {
	if text, ok := right[field]; ok && s.pick(4) < 3 {
		return text
	}
	if n := s.pick(len(names) + 2); n < len(names) {
		return names[n]
	}
	return strings.ToValidUTF8(string(s.blob(sizes)), "?")
}

func (s *source) blob(of []int) []byte {
	n := of[s.pick(len(of))]
	return bytes.Repeat([]byte{'a' + s.byte()%4}, n)
}

func (s *source) integer() uint64 {
	if n := s.pick(len(edges) + 1); n < len(edges) {
		return edges[n]
	}
	return s.number()
}

// fill sets the fields of a message, or some of them.
func (s *source) fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case s.pick(5) == 4 || f.IsMap() || depth == 0:
			continue
		case f.ContainingOneof() != nil && m.WhichOneof(f.ContainingOneof()) != nil && s.pick(2) == 0:
			continue
		case f.IsList():
			list := m.Mutable(f).List()
			for range s.length() {
				list.Append(s.value(f, list.NewElement(), depth))
			}
		default:
			m.Set(f, s.value(f, m.NewField(f), depth))
		}
	}
}

// length is that of a list: mostly short, sometimes one more than a batch may have.
func (s *source) length() int {
	if n := s.pick(64); n < 63 {
		return n % 5
	}
	return service.BatchMax + 1
}

// value is one of the kind that a field has.
func (s *source) value(f protoreflect.FieldDescriptor, empty protoreflect.Value, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s.text(f.Name()))
	case protoreflect.BytesKind:
		if f.Name() == "value" || f.Name() == "put" || f.Name() == "data" {
			return protoreflect.ValueOfBytes(s.blob(values))
		}
		return protoreflect.ValueOfBytes(s.blob(sizes))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(s.pick(2) == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(s.pick(f.Enum().Values().Len()+2) - 1))
	case protoreflect.MessageKind:
		s.fill(empty.Message(), depth-1)
		return empty
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(s.integer()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(s.integer()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(s.integer()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(s.integer())
	}
	return empty // a kind that no request has yet
}
