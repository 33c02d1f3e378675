// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// The messages that have many parts are written here by hand, byte for byte as package proto writes them: it looks up how to write each part,
// which costs more than writing it. What is not just as it mostly is (an error among results, a rare call, an unknown field) is left to
// package proto as a whole.

// noSize is the size of what is not written by hand.
const noSize = -1

// Size is how many bytes a message takes.
func Size(m proto.Message) int {
	if size := sizeOf(m); size >= 0 {
		return size
	}
	return proto.Size(m)
}

// Weight is about how many bytes a message takes, for who only wants to know how much it holds: unlike Size it does not look into each part.
func Weight(m proto.Message) int {
	batch, ok := m.(*apiv1.BatchPutRequest)
	if !ok {
		return Size(m)
	}
	n := len(batch.GetObject())
	for _, e := range batch.GetEntries() {
		n += 8 + len(e.GetKey()) + len(e.GetValue())
	}
	return n
}

// sizeOf is how many bytes a message takes, or noSize.
func sizeOf(v any) int {
	switch m := v.(type) {
	case *apiv1.BatchPutRequest:
		return sum(m, text(m.Object)+number(uint64(m.Condition)), m.Entries, putEntrySize)
	case *apiv1.BatchPutResponse:
		return keyResultsSize(m)
	case *apiv1.BatchGetRequest:
		return sum(m, text(m.Object), m.Keys, func(key []byte) int { return len(key) })
	case *apiv1.BatchGetResponse:
		return sum(m, 0, m.Results, gotSize)
	case *apiv1.SessionRequest:
		return sum(m, 0, m.Calls, sessionCallSize)
	case *apiv1.SessionResponse:
		return sum(m, 0, m.Results, sessionResultSize)
	case *apiv1.ScanResponse:
		return sum(m, 0, m.Entries, scanEntrySize)
	}
	return noSize
}

// sum is the size of a message with one list: that of its other fields, and of its parts with their heads.
func sum[T any](m proto.Message, others int, list []T, size func(T) int) int {
	if strange(m) || others < 0 {
		return noSize
	}
	for _, part := range list {
		n := size(part)
		if n < 0 {
			return noSize
		}
		others += 1 + protowire.SizeBytes(n)
	}
	return others
}

// strange is whether a message is not there, or has fields that this version does not know.
func strange(m proto.Message) bool {
	r := m.ProtoReflect()
	return !r.IsValid() || len(r.GetUnknown()) > 0
}

// number is the size of a field that is a number, absent when it is 0. Each field has a head of one byte.
func number(n uint64) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(n)
}

// blob is the size of a field that is bytes, absent when there are none.
func blob(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(len(b))
}

// tooStrange makes a sum negative, whatever is added to it.
const tooStrange = -1 << 40

func text(s string) int {
	switch {
	case s == "":
		return 0
	case !utf8.ValidString(s): // an error, which package proto words
		return tooStrange
	}
	return 1 + protowire.SizeBytes(len(s))
}

func putEntrySize(e *apiv1.PutEntry) int {
	if strange(e) {
		return noSize
	}
	return plainPutEntrySize(e)
}

// plainPutEntrySize is that of one that is not strange, which has been looked at.
func plainPutEntrySize(e *apiv1.PutEntry) int { return blob(e.Key) + blob(e.Value) }

// keyResultsSize: most often all results are the same one, which is looked at once.
func keyResultsSize(m *apiv1.BatchPutResponse) int {
	if strange(m) {
		return noSize
	}
	for i, r := range m.Results {
		if (i == 0 || r != m.Results[i-1]) && keyResultSize(r) != 0 {
			return noSize
		}
	}
	return 2 * len(m.Results)
}

func keyResultSize(r *apiv1.KeyResult) int {
	if strange(r) || r.Error != nil {
		return noSize
	}
	return 0
}

func gotSize(r *apiv1.BatchGetResult) int {
	value, ok := r.GetResult().(*apiv1.BatchGetResult_Value)
	if !ok || value == nil || strange(r) {
		return noSize
	}
	return 1 + protowire.SizeBytes(len(value.Value))
}

func sessionCallSize(c *apiv1.SessionCall) int {
	if strange(c) {
		return noSize
	}
	n := number(c.Tag) + text(c.Object)
	switch call := c.Call.(type) {
	case *apiv1.SessionCall_Get:
		if call != nil && !strange(call.Get) {
			return n + inner(text(call.Get.Object)+blob(call.Get.Key))
		}
	case *apiv1.SessionCall_Put:
		if call != nil && !strange(call.Put) {
			return n + inner(putSize(call.Put))
		}
	}
	return noSize
}

func putSize(p *apiv1.PutRequest) int {
	return text(p.Object) + blob(p.Key) + blob(p.Value) + number(uint64(p.Condition)) + number(p.Revision)
}

// inner is the size of a field that is a message of that size.
func inner(size int) int {
	if size < 0 {
		return tooStrange
	}
	return 1 + protowire.SizeBytes(size)
}

func sessionResultSize(r *apiv1.SessionResult) int {
	if strange(r) {
		return noSize
	}
	n := number(r.Tag)
	switch result := r.Result.(type) {
	case *apiv1.SessionResult_Get:
		if result != nil && !strange(result.Get) {
			return n + inner(blob(result.Get.Value))
		}
	case *apiv1.SessionResult_Put:
		if result != nil && !strange(result.Put) {
			return n + inner(0)
		}
	}
	return noSize
}

func scanEntrySize(e *apiv1.ScanEntry) int {
	if strange(e) {
		return noSize
	}
	n := blob(e.Key) + number(e.Size) + number(e.Revision)
	if e.Value != nil {
		n += 1 + protowire.SizeBytes(len(e.Value))
	}
	return n
}

// writeTo appends a message that has a size.
func writeTo(b []byte, v any) []byte {
	switch m := v.(type) {
	case *apiv1.BatchPutRequest:
		b = each(addText(b, 1, m.Object), 2, m.Entries, plainPutEntrySize, addPutEntry)
		b = addNumber(b, 3, uint64(m.Condition))
	case *apiv1.BatchPutResponse:
		for range m.Results {
			b = addHead(b, 1, 0)
		}
	case *apiv1.BatchGetRequest:
		b = addText(b, 1, m.Object)
		for _, key := range m.Keys {
			b = addAlways(b, 2, key)
		}
	case *apiv1.BatchGetResponse:
		b = each(b, 1, m.Results, gotSize, func(b []byte, r *apiv1.BatchGetResult) []byte { return addAlways(b, 1, r.GetValue()) })
	case *apiv1.SessionRequest:
		b = each(b, 1, m.Calls, sessionCallSize, addSessionCall)
	case *apiv1.SessionResponse:
		b = each(b, 1, m.Results, sessionResultSize, addSessionResult)
	case *apiv1.ScanResponse:
		b = each(b, 1, m.Entries, scanEntrySize, addScanEntry)
	}
	return b
}

// each appends the parts of a list.
func each[T any](b []byte, field byte, list []T, size func(T) int, add func([]byte, T) []byte) []byte {
	for _, part := range list {
		b = add(addHead(b, field, size(part)), part)
	}
	return b
}

// addHead appends the head of a field that is bytes, a text or a message.
func addHead(b []byte, field byte, size int) []byte {
	return protowire.AppendVarint(append(b, field<<3|byte(protowire.BytesType)), uint64(size))
}

func addAlways(b []byte, field byte, val []byte) []byte {
	return append(addHead(b, field, len(val)), val...)
}

func addBytes(b []byte, field byte, val []byte) []byte {
	if len(val) == 0 {
		return b
	}
	return addAlways(b, field, val)
}

func addText(b []byte, field byte, s string) []byte {
	if s == "" {
		return b
	}
	return append(addHead(b, field, len(s)), s...)
}

func addNumber(b []byte, field byte, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(append(b, field<<3|byte(protowire.VarintType)), n)
}

func addPutEntry(b []byte, e *apiv1.PutEntry) []byte {
	return addBytes(addBytes(b, 1, e.Key), 2, e.Value)
}

func addSessionCall(b []byte, c *apiv1.SessionCall) []byte {
	b = addText(addNumber(b, 1, c.Tag), 2, c.Object)
	if get := c.GetGet(); get != nil {
		b = addHead(b, 3, text(get.Object)+blob(get.Key))
		return addBytes(addText(b, 1, get.Object), 2, get.Key)
	}
	put := c.GetPut()
	b = addHead(b, 5, putSize(put))
	b = addBytes(addBytes(addText(b, 1, put.Object), 2, put.Key), 3, put.Value)
	return addNumber(addNumber(b, 4, uint64(put.Condition)), 5, put.Revision)
}

func addSessionResult(b []byte, r *apiv1.SessionResult) []byte {
	b = addNumber(b, 1, r.Tag)
	if get := r.GetGet(); get != nil {
		return addBytes(addHead(b, 3, blob(get.Value)), 1, get.Value)
	}
	return addHead(b, 5, 0)
}

func addScanEntry(b []byte, e *apiv1.ScanEntry) []byte {
	b = addBytes(b, 1, e.Key)
	if e.Value != nil {
		b = addAlways(b, 2, e.Value)
	}
	return addNumber(addNumber(b, 3, e.Size), 4, e.Revision)
}
