// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// The answers that have many parts are read here by hand, as requests are: their keys and values stay in the memory in which the message
// came, which lives as long as one of them. An answer with an error in it is left to package proto.

// response reads a message of one of those types; ok is whether it did.
func response(data mem.BufferSlice, v any) (ok bool) {
	switch m := v.(type) {
	case *apiv1.BatchPutResponse:
		m.Results, ok = list(owned(data), keyResult)
	case *apiv1.BatchGetResponse:
		m.Results, ok = list(owned(data), batchGetResult)
	case *apiv1.SessionResponse:
		m.Results, ok = list(owned(data), sessionResult)
	case *apiv1.ScanResponse:
		m.Entries, ok = list(owned(data), scanEntry)
	}
	return ok
}

// list reads a message that is a list of messages, in field 1, and nothing else. They are one piece of memory.
func list[T any](b []byte, read func(*T, []byte) bool) ([]*T, bool) {
	n := count(b, 1)
	if n <= 0 {
		return nil, false
	}
	memory, all := make([]T, n), make([]*T, 0, n)
	ok := fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		if field != 1 || val == nil {
			return false
		}
		part := &memory[len(all)]
		all = append(all, part)
		return read(part, val)
	})
	return all, ok
}

func keyResult(_ *apiv1.KeyResult, b []byte) bool { return len(b) == 0 }

func batchGetResult(r *apiv1.BatchGetResult, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		if field != 1 || val == nil {
			return false
		}
		r.Result = &apiv1.BatchGetResult_Value{Value: keep(val)}
		return true
	})
}

// sessionResult reads answers of gets and puts.
func sessionResult(r *apiv1.SessionResult, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val == nil:
			r.Tag = n
			return true
		case field == 3 && val != nil && r.Result == nil:
			get := &struct {
				result apiv1.SessionResult_Get
				resp   apiv1.GetResponse
			}{}
			get.result.Get, r.Result = &get.resp, &get.result
			return getResponse(&get.resp, val)
		case field == 5 && len(val) == 0 && val != nil && r.Result == nil:
			r.Result = &apiv1.SessionResult_Put{Put: &apiv1.PutResponse{}}
			return true
		}
		return false
	})
}

func getResponse(m *apiv1.GetResponse, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, _ uint64) bool {
		if field != 1 || val == nil {
			return false
		}
		m.Value = keep(val)
		return true
	})
}

func scanEntry(e *apiv1.ScanEntry, b []byte) bool {
	return fields(b, func(field protowire.Number, val []byte, n uint64) bool {
		switch {
		case field == 1 && val != nil:
			e.Key = keep(val)
		case field == 2 && val != nil:
			e.Value = keep(val)
		case field == 3 && val == nil:
			e.Size = n
		case field == 4 && val == nil:
			e.Revision = n
		default:
			return false
		}
		return true
	})
}
