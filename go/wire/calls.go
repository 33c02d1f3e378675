// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// Calls is a SessionRequest as it arrived: puts of one object without a condition, ready to be applied, or any calls in Message. Keys and values
// share the memory in which they came.
type Calls struct {
	Message *apiv1.SessionRequest // nil: the message is the puts
	Object  string                // of the first put; "": it has no name
	Tags    []uint64              // of the puts
	Puts    []system.Mutation
	Size    int // of the message in bytes
}

func (c *Calls) unmarshal(data mem.BufferSlice) error {
	b := owned(data)
	*c = Calls{Size: len(b)}
	if c.puts(b) {
		return nil
	}
	*c = Calls{Size: len(b), Message: &apiv1.SessionRequest{}}
	return unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, c.Message, c.Message)
}

// puts reads a message of nothing but puts of one object.
func (c *Calls) puts(b []byte) bool {
	n := count(b, 1)
	if n <= 0 {
		return false
	}
	c.Tags, c.Puts = make([]uint64, 0, n), make([]system.Mutation, 0, n)
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		return field == 1 && val != nil && c.put(val)
	})
}

// put reads a call. What stands twice in it would have to be merged.
func (c *Calls) put(b []byte) bool {
	var object, put []byte
	var tag uint64
	ok := fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val == nil:
			tag = n
		case field == 2 && val != nil && object == nil:
			object = val
		case field == 5 && val != nil && put == nil:
			put = val
		default:
			return false
		}
		return true
	})
	if !ok || put == nil || !c.names(object) {
		return false
	}
	m, ok := putOf(put)
	c.Tags, c.Puts = append(c.Tags, tag), append(c.Puts, m)
	return ok
}

// names takes the name that a call has. All calls have the same: the first one's.
func (c *Calls) names(object []byte) bool {
	switch {
	case len(object) == 0:
		return true
	case len(c.Puts) == 0:
		return name(&c.Object, object)
	}
	return c.Object == string(object)
}

func putOf(b []byte) (m system.Mutation, ok bool) {
	ok = fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		switch {
		case field == 2 && val != nil:
			m.Key = keep(val)
		case field == 3 && val != nil:
			m.Value = keep(val)
		default:
			return false // a condition, or the name of an object, which a call has for itself
		}
		return true
	})
	return m, ok
}
