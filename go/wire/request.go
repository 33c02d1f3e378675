// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"sync"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// The requests that come most often are read here by hand: their keys and values stay in the one piece of memory in which the message
// came, and the messages of a batch are one piece. What is not just as every encoder writes it goes to package proto instead, which also
// finds the words for what is wrong.

// request reads a message of one of those types; ok is whether it did.
func request(data mem.BufferSlice, v any) (ok bool) {
	switch m := v.(type) {
	case *apiv1.GetRequest:
		ok = getRequest(m, owned(data))
	case *apiv1.PutRequest:
		ok = putRequest(m, owned(data))
	case *apiv1.BatchGetRequest:
		ok = batchGetRequest(m, owned(data))
	case *apiv1.BatchPutRequest:
		ok = batchPutRequest(m, owned(data))
	case *apiv1.SessionRequest:
		ok = sessionRequest(m, owned(data))
	default:
		return false
	}
	return ok
}

// owned are the bytes in memory that is never used again for anything else. What grpc did not take from a pool is so already.
func owned(data mem.BufferSlice) []byte {
	if len(data) == 1 {
		if b, ok := data[0].(mem.SliceBuffer); ok {
			return b
		}
	}
	return data.Materialize()
}

// fields gives each field to take: bytes that are not nil, or a number. It stops when take does not know one.
func fields(b []byte, take func(field protowire.Number, bytes []byte, n uint64) bool) bool {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return false
		}
		b = b[size:]
		var val []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			val, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			return false
		}
		if size < 0 || !take(field, val, n) {
			return false
		}
		b = b[size:]
	}
	return true
}

// keep is a part of the message as a field of its own: nobody appends into what follows it.
func keep(b []byte) []byte { return b[:len(b):len(b)] }

func getRequest(m *apiv1.GetRequest, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		switch {
		case field == 1 && val != nil:
			return name(&m.Object, val)
		case field == 2 && val != nil:
			m.Key = keep(val)
			return true
		}
		return false
	})
}

func putRequest(m *apiv1.PutRequest, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val != nil:
			return name(&m.Object, val)
		case field == 2 && val != nil:
			m.Key = keep(val)
		case field == 3 && val != nil:
			m.Value = keep(val)
		case field == 4 && val == nil:
			m.Condition = apiv1.Condition(n)
		case field == 5 && val == nil:
			m.Revision = n
		default:
			return false
		}
		return true
	})
}

// count is how many fields of that number b has, or -1.
func count(b []byte, wanted protowire.Number) (n int) {
	if !fields(b, func(field protowire.Number, _ []byte, _ uint64) bool {
		if field == wanted {
			n++
		}
		return true
	}) {
		return -1
	}
	return n
}

func batchGetRequest(m *apiv1.BatchGetRequest, b []byte) bool {
	n := count(b, 2)
	if n <= 0 {
		return false
	}
	m.Keys = make([][]byte, 0, n)
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		switch {
		case field == 1 && val != nil:
			return name(&m.Object, val)
		case field == 2 && val != nil:
			m.Keys = append(m.Keys, keep(val))
			return true
		}
		return false
	})
}

func batchPutRequest(m *apiv1.BatchPutRequest, b []byte) bool {
	n := count(b, 2)
	if n <= 0 {
		return false
	}
	entries := make([]apiv1.PutEntry, n)
	m.Entries = make([]*apiv1.PutEntry, 0, n)
	return fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val != nil:
			return name(&m.Object, val)
		case field == 2 && val != nil:
			e := &entries[len(m.Entries)]
			m.Entries = append(m.Entries, e)
			return putEntry(e, val)
		case field == 3 && val == nil:
			m.Condition = apiv1.Condition(n)
			return true
		}
		return false
	})
}

func putEntry(e *apiv1.PutEntry, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		switch {
		case field == 1 && val != nil:
			e.Key = keep(val)
		case field == 2 && val != nil:
			e.Value = keep(val)
		default:
			return false
		}
		return true
	})
}

func sessionRequest(m *apiv1.SessionRequest, b []byte) bool {
	n := count(b, 1)
	if n <= 0 {
		return false
	}
	calls := &sessionCalls{left: make([]apiv1.SessionCall, n)}
	m.Calls = make([]*apiv1.SessionCall, 0, n)
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		if field != 1 || val == nil {
			return false
		}
		c := first(&calls.left, 0)
		m.Calls = append(m.Calls, c)
		return calls.read(c, val)
	})
}

// sessionCalls is the memory of the calls that have not been read.
type sessionCalls struct {
	left []apiv1.SessionCall
	puts []sessionPut
	gets []sessionGet
}

type sessionPut struct {
	call apiv1.SessionCall_Put
	req  apiv1.PutRequest
}

type sessionGet struct {
	call apiv1.SessionCall_Get
	req  apiv1.GetRequest
}

// first takes the first of all, which are made when there are none: n.
func first[T any](all *[]T, n int) *T {
	if len(*all) == 0 {
		*all = make([]T, n)
	}
	it := &(*all)[0]
	*all = (*all)[1:]
	return it
}

// read reads gets and puts. A call that stands twice would have to be merged.
func (m *sessionCalls) read(c *apiv1.SessionCall, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val == nil:
			c.Tag = n
			return true
		case field == 2 && val != nil:
			return name(&c.Object, val)
		case field == 3 && val != nil && c.Call == nil:
			get := first(&m.gets, 1+len(m.left))
			get.call.Get, c.Call = &get.req, &get.call
			return getRequest(&get.req, val)
		case field == 5 && val != nil && c.Call == nil:
			put := first(&m.puts, 1+len(m.left))
			put.call.Put, c.Call = &put.req, &put.call
			return putRequest(&put.req, val)
		}
		return false
	})
}

// namesMax bounds the names that are remembered.
const namesMax = 1024

// names are names of objects, so that the same one needs no memory each time that it comes.
var names = struct {
	sync.RWMutex
	known map[string]string
}{known: map[string]string{}}

// name sets a field that is a name.
func name(to *string, b []byte) bool {
	names.RLock()
	known, ok := names.known[string(b)]
	names.RUnlock()
	if ok {
		*to = known
		return true
	}
	if !utf8.Valid(b) {
		return false
	}
	*to = string(b)
	if len(b) > 512 {
		return true // not the name of an object
	}
	names.Lock()
	defer names.Unlock()
	if len(names.known) >= namesMax {
		clear(names.known)
	}
	names.known[*to] = *to
	return true
}

// unmarshal fills any message.
func unmarshal(data mem.BufferSlice, v any, m proto.Message) error {
	if request(data, v) || response(data, v) {
		return nil
	}
	b := data.MaterializeToBuffer(Pool)
	defer b.Free()
	return proto.Unmarshal(b.ReadOnlyData(), m) // which begins with an empty one
}
