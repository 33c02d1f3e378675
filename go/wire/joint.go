// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// growing is a message that is written part by part, in memory of the Pool. It is sent once. One goroutine at a time uses it; the zero value
// is empty.
type growing struct{ bytes *[]byte }

// room is what is there, with a capacity for n bytes more.
func (g *growing) room(n int) []byte {
	if g.bytes == nil {
		g.bytes = Pool.Get(4 << 10)
		*g.bytes = (*g.bytes)[:0]
	}
	b := *g.bytes
	if len(b)+n > cap(b) {
		larger := Pool.Get(2 * (len(b) + n))
		*larger = append((*larger)[:0], b...)
		Pool.Put(g.bytes)
		g.bytes = larger
	}
	return *g.bytes
}

// Len is the size of the message so far.
func (g *growing) Len() int {
	if g.bytes == nil {
		return 0
	}
	return len(*g.bytes)
}

// message gives the bytes to grpc, which frees them.
func (g *growing) message() mem.BufferSlice {
	b := g.bytes
	if g.bytes = nil; b == nil {
		return nil
	}
	return mem.BufferSlice{mem.NewBuffer(b, Pool)}
}

// Puts is a SessionRequest with puts that were made one after the other, as bytes from the beginning on. It is sent once. One goroutine
// at a time uses it; the zero value is empty.
type Puts struct {
	growing
	object string // of the put before
}

// Add adds a put. The name of the object is UTF-8, and written when it is not that of the put before; key and value are copied.
func (p *Puts) Add(tag uint64, object string, key, val []byte) {
	name := object
	if object == p.object {
		name = ""
	}
	p.object = object
	put := blob(key) + blob(val)
	call := number(tag) + inner(put)
	if name != "" {
		call += 1 + protowire.SizeBytes(len(name))
	}
	b := p.room(1 + protowire.SizeBytes(call))
	b = addText(addNumber(addHead(b, 1, call), 1, tag), 2, name)
	*p.bytes = addBytes(addBytes(addHead(b, 5, put), 2, key), 3, val)
}

// Results is a SessionResponse that is written answer by answer. It is sent once. One goroutine at a time uses it; the zero value is empty.
type Results struct{ growing }

// AddPut adds the answer of a put that was made.
func (r *Results) AddPut(tag uint64) {
	size := number(tag) + inner(0)
	b := r.room(2 + size) // which is less than 128
	*r.bytes = addHead(addNumber(addHead(b, 1, size), 1, tag), 5, 0)
}

// Add adds any answer.
func (r *Results) Add(result *apiv1.SessionResult) error {
	if size := sessionResultSize(result); size >= 0 {
		b := r.room(1 + protowire.SizeBytes(size))
		*r.bytes = addSessionResult(addHead(b, 1, size), result)
		return nil
	}
	size := proto.Size(result)
	b := r.room(1 + protowire.SizeBytes(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(addHead(b, 1, size), result)
	if err == nil {
		*r.bytes = b
	}
	return err
}

// PutResults is a SessionResponse, as who has only made puts wants it. It can be used again.
type PutResults struct {
	Done   []uint64               // the tags of puts that were made
	Others []*apiv1.SessionResult // what had another answer
}

func (r *PutResults) unmarshal(data mem.BufferSlice) error {
	buf := data.MaterializeToBuffer(Pool)
	defer buf.Free()
	r.Done, r.Others = r.Done[:0], nil
	if fields(buf.ReadOnlyData(), func(field protowire.Number, val []byte, _ uint64) bool {
		return field == 1 && val != nil && r.add(val)
	}) {
		return nil
	}
	var resp apiv1.SessionResponse
	r.Done, r.Others = r.Done[:0], nil
	err := proto.Unmarshal(buf.ReadOnlyData(), &resp)
	for _, other := range resp.GetResults() {
		r.sort(other)
	}
	return err
}

// made is the tag of an answer that is written as AddPut writes it.
func made(b []byte) (tag uint64, ok bool) {
	const tagHead, putHead = 1<<3 | 0, 5<<3 | 2
	n := len(b)
	if n < 4 || b[0] != tagHead || b[n-2] != putHead || b[n-1] != 0 {
		return 0, false
	}
	tag, size := protowire.ConsumeVarint(b[1:])
	return tag, size == n-3
}

// add adds one result.
func (r *PutResults) add(b []byte) bool {
	if tag, ok := made(b); ok {
		r.Done = append(r.Done, tag)
		return true
	}
	other := &apiv1.SessionResult{}
	if proto.Unmarshal(b, other) != nil {
		return false
	}
	r.sort(other)
	return true
}

func (r *PutResults) sort(result *apiv1.SessionResult) {
	if result.GetPut() != nil {
		r.Done = append(r.Done, result.GetTag())
		return
	}
	r.Others = append(r.Others, result)
}
