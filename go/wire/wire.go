// SPDX-License-Identifier: Apache-2.0

// Package wire turns the messages of tarn.v1 into bytes and back, as grpc's own codec does, and copies less.
//
// Always true: the bytes are those of protocol buffers, so each side may use this codec or any other. A message that has nothing but a
// piece of a value is a [Chunk] when it is sent and a [Received] when it arrives: its bytes are not copied here. They belong to whoever
// holds the message, until Free. The requests that come most often, and answers with many parts, share the memory in which they came, and what
// has many parts is written by hand. Everything else is marshalled and unmarshalled by package proto.
package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/protoadapt"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

const (
	// ChunkBytes is how much of a value goes in one message: with its header it stays within a tier of the pool.
	ChunkBytes = 256<<10 - 64

	lent = 8 << 10 // a value of GetResponse from so many bytes on is sent from where it is

	valueTag = 1<<3 | 2 // of GetResponse.value
	dataTag  = 2<<3 | 2 // of data in GetStreamResponse and in PutStreamRequest
)

// Codec is a grpc codec (encoding.CodecV2) under the name of the standard one, which it replaces.
type Codec struct{}

// Name is "proto".
func (Codec) Name() string { return "proto" }

// Marshal takes a *Chunk, a *Puts or a *Results, whose bytes it gives to grpc, a *Held, or any message. A GetResponse must not be changed afterwards.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *Chunk:
		return join(dataTag, m.Data), nil
	case *Held:
		return m.marshal()
	case *Puts:
		return m.message(), nil
	case *Results:
		return m.message(), nil
	case *apiv1.GetResponse:
		if isLent(m) {
			return join(valueTag, mem.SliceBuffer(m.GetValue())), nil
		}
	}
	if size := sizeOf(v); size >= 0 {
		return write(v, size, Pool), nil
	}
	m, err := messageOf(v)
	if err != nil {
		return nil, err
	}
	return marshal(m, Pool)
}

// isLent is whether the value is sent from where it is.
func isLent(m *apiv1.GetResponse) bool {
	return len(m.GetValue()) >= lent && len(m.ProtoReflect().GetUnknown()) == 0
}

// write is a message that has a size. Its memory goes back to the given pool.
func write(v any, size int, to mem.BufferPool) mem.BufferSlice {
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.BufferSlice{mem.SliceBuffer(writeTo(make([]byte, 0, size), v))}
	}
	buf := Pool.Get(size)
	*buf = writeTo((*buf)[:0], v)
	return mem.BufferSlice{mem.NewBuffer(buf, to)}
}

// join is a message that has one field of bytes.
func join(tag byte, b mem.Buffer) mem.BufferSlice {
	head := binary.AppendUvarint(append(make([]byte, 0, 1+binary.MaxVarintLen32), tag), uint64(b.Len()))
	return mem.BufferSlice{mem.SliceBuffer(head), b}
}

// marshal makes the bytes of a message in memory of the Pool, which goes back to the given one.
func marshal(m proto.Message, to mem.BufferPool) (mem.BufferSlice, error) {
	options := proto.MarshalOptions{UseCachedSize: true} // that of the next line: nobody changes a message that is being sent
	size := proto.Size(m)
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := options.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	buf := Pool.Get(size)
	b, err := options.MarshalAppend((*buf)[:0], m)
	if err != nil {
		Pool.Put(buf)
		return nil, err
	}
	*buf = b
	return mem.BufferSlice{mem.NewBuffer(buf, to)}, nil
}

// Unmarshal fills a *Received, which shares the bytes until Free, a *Calls, a *PutResults, or any message, which is empty before.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch r := v.(type) {
	case *Received:
		return r.unmarshal(data)
	case *Calls:
		return r.unmarshal(data)
	case *PutResults:
		return r.unmarshal(data)
	}
	m, err := messageOf(v)
	if err != nil {
		return err
	}
	return unmarshal(data, v, m)
}

func messageOf(v any) (proto.Message, error) {
	switch m := v.(type) {
	case proto.Message:
		return m, nil
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m), nil
	}
	return nil, fmt.Errorf("%T is not a message", v)
}

// Chunk is a GetStreamResponse or a PutStreamRequest with a piece of a value. It is sent once: then Data is grpc's, which frees it.
type Chunk struct{ Data mem.Buffer }

// NewChunk returns a chunk with a copy of data.
func NewChunk(data []byte) *Chunk { return &Chunk{mem.Copy(data, Pool)} }

// Received is a message of GetStream or PutStream as it arrived: a piece of a value in Data, or Message. One goroutine at a time
// uses it.
type Received struct {
	Message proto.Message   // a GetStreamResponse or a PutStreamRequest, from the caller
	IsData  bool            // the message is Data; Message is not set
	Data    mem.BufferSlice // not to be changed; until Free
}

func (r *Received) unmarshal(data mem.BufferSlice) error {
	r.Free()
	var head [1 + binary.MaxVarintLen64]byte
	n := data.CopyTo(head[:])
	if n > 1 && head[0] == dataTag {
		size, m := binary.Uvarint(head[1:n])
		if m > 0 && size == uint64(data.Len()-1-m) {
			r.share(data, 1+m)
			return nil
		}
	}
	return unmarshal(data, nil, r.Message)
}

// share takes a part in all bytes but the first skip.
func (r *Received) share(data mem.BufferSlice, skip int) {
	r.IsData = true
	for _, b := range data {
		if n := b.Len(); skip >= n {
			skip -= n
			continue
		}
		r.Data = append(r.Data, b.Slice(skip, b.Len()))
		skip = 0
	}
}

// Free gives the bytes of Data back.
func (r *Received) Free() {
	r.Data.Free()
	clear(r.Data)
	r.Data, r.IsData = r.Data[:0], false
}

// Pool is the memory of messages: tiers of powers of two. Unlike grpc's own it does not clear what it gives, which nobody reads before
// it is written.
var Pool mem.BufferPool = &pool{}

const (
	leastBits = 8
	mostBits  = 22
)

type pool struct {
	tiers [mostBits - leastBits + 1]sync.Pool
} // of *[]byte, with a capacity of 1<<(leastBits+i)

// Get returns a buffer of that length.
func (p *pool) Get(n int) *[]byte {
	tier := max(bits.Len(uint(max(n, 1)-1)), leastBits)
	if tier > mostBits {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p.tiers[tier-leastBits].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<tier)
	return &b
}

// Put takes a buffer back. One that is not of a tier is left to the garbage collector.
func (p *pool) Put(b *[]byte) {
	size := cap(*b)
	if size < 1<<leastBits || size > 1<<mostBits || size&(size-1) != 0 {
		return
	}
	p.tiers[bits.Len(uint(size))-1-leastBits].Put(b)
}
