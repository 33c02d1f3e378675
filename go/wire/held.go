// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Held is a message to send, and what is called once when grpc does not hold its bytes any more: they were given to the connection, or the
// stream has ended. When a connection breaks grpc may forget them without a word: then Free is not called.
type Held struct {
	Message proto.Message
	Free    func()
	Few     bool // Free is so called for a message of few bytes too, for which it is else called at once
}

func (h *Held) marshal() (mem.BufferSlice, error) {
	if m, ok := h.Message.(*apiv1.GetResponse); ok && isLent(m) {
		value := m.GetValue()
		return join(valueTag, mem.NewBuffer(&value, freed{Pool, h.Free, false})), nil
	}
	if h.Few {
		return h.few()
	}
	data, err := h.data(freed{Pool, h.Free, true})
	if err != nil || mem.IsBelowBufferPoolingThreshold(data.Len()) {
		h.Free() // nothing is held
	}
	return data, err
}

// few is the message in memory that is large enough for grpc to give it back.
func (h *Held) few() (mem.BufferSlice, error) {
	size := max(proto.Size(h.Message), 1)
	buf := Pool.Get(max(size, fewBytes))
	b, err := proto.MarshalOptions{}.MarshalAppend((*buf)[:0], h.Message)
	if err != nil {
		Pool.Put(buf)
		return nil, err
	}
	*buf = b
	return mem.BufferSlice{mem.NewBuffer(buf, freed{Pool, h.Free, true})}, nil
}

// fewBytes is above what grpc takes for little.
const fewBytes = 2 << 10

func (h *Held) data(to mem.BufferPool) (mem.BufferSlice, error) {
	if size := sizeOf(h.Message); size >= 0 {
		return write(h.Message, size, to), nil
	}
	return marshal(h.Message, to)
}

// Told is the chunk, and what is called once when grpc does not hold its bytes any more, as Held says.
func (c *Chunk) Told(free func()) *Chunk {
	data := c.Data.ReadOnlyData()
	if mem.IsBelowBufferPoolingThreshold(cap(data)) {
		free() // little is held
		return c
	}
	whole := c.Data
	return &Chunk{mem.NewBuffer(&data, freed{Pool, func() { whole.Free(); free() }, false})}
}

// freed is a pool that tells when memory comes back, and keeps it only when it is its own.
type freed struct {
	mem.BufferPool
	tell func()
	keep bool
}

// Put implements mem.BufferPool.
func (f freed) Put(b *[]byte) {
	if f.keep {
		f.BufferPool.Put(b)
	}
	f.tell()
}
