// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Puts is a SessionRequest with puts that were made one after the other, as bytes from the beginning on. It is sent once. One goroutine
// at a time uses it; the zero value is empty.
type Puts struct{ bytes *[]byte }

// Add adds a put. The name of the object is UTF-8; key and value are copied.
func (p *Puts) Add(tag uint64, object string, key, val []byte) {
	put := blob(key) + blob(val)
	call := number(tag) + inner(put) + 1 + protowire.SizeBytes(len(object))
	b := p.room(1 + protowire.SizeBytes(call))
	b = addText(addNumber(addHead(b, 1, call), 1, tag), 2, object)
	*p.bytes = addBytes(addBytes(addHead(b, 5, put), 2, key), 3, val)
}

// room is what is there, with a capacity for n bytes more.
func (p *Puts) room(n int) []byte {
	if p.bytes == nil {
		p.bytes = Pool.Get(4 << 10)
		*p.bytes = (*p.bytes)[:0]
	}
	b := *p.bytes
	if len(b)+n > cap(b) {
		larger := Pool.Get(2 * (len(b) + n))
		*larger = append((*larger)[:0], b...)
		Pool.Put(p.bytes)
		p.bytes = larger
	}
	return *p.bytes
}

// Len is the size of the message so far.
func (p *Puts) Len() int {
	if p.bytes == nil {
		return 0
	}
	return len(*p.bytes)
}

// message gives the bytes to grpc, which frees them.
func (p *Puts) message() mem.BufferSlice {
	b := p.bytes
	if p.bytes = nil; b == nil {
		return nil
	}
	return mem.BufferSlice{mem.NewBuffer(b, Pool)}
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

// add adds one result.
func (r *PutResults) add(b []byte) bool {
	var tag uint64
	put := false
	plain := fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val == nil:
			tag = n
			return true
		case field == 5 && val != nil && len(val) == 0:
			put = true
			return true
		}
		return false
	})
	if plain && put {
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
