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
}

func (h *Held) marshal() (mem.BufferSlice, error) {
	if m, ok := h.Message.(*apiv1.GetResponse); ok && isLent(m) {
		value := m.GetValue()
		return join(valueTag, mem.NewBuffer(&value, freed{Pool, h.Free, false})), nil
	}
	data, err := marshal(h.Message, freed{Pool, h.Free, true})
	if err != nil || mem.IsBelowBufferPoolingThreshold(data.Len()) {
		h.Free() // nothing is held
	}
	return data, err
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
