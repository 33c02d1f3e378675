// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the standard codec
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

var seed = flag.Uint64("seed", 0, "of the random tests; 0: by the clock")

func random(t *testing.T) *rand.Rand {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 1))
}

var standard = encoding.GetCodecV2("proto")

func bytesOf(t *testing.T, c encoding.CodecV2, v any) []byte {
	t.Helper()
	data, err := c.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	return bytes.Clone(data.Materialize())
}

// sizes are those at which a length takes another byte, and a buffer another tier.
var sizes = []int{0, 1, 127, 128, 255, 256, 1023, 1024, 1025, lent - 1, lent, 16383, 16384, 32 << 10, ChunkBytes, ChunkBytes + 1, 1 << 20, 2<<20 + 3, 5 << 20}

func filled(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestMarshal: the bytes are those of the standard codec.
func TestMarshal(t *testing.T) {
	r := random(t)
	for _, n := range sizes {
		val := filled(r, n)
		got := bytesOf(t, Codec{}, NewChunk(val))
		down := &apiv1.GetStreamResponse{Part: &apiv1.GetStreamResponse_Data{Data: val}}
		up := &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Data{Data: val}}
		if !bytes.Equal(got, bytesOf(t, standard, down)) || !bytes.Equal(got, bytesOf(t, standard, up)) {
			t.Errorf("a chunk of %d bytes differs", n)
		}
		unknown := &apiv1.GetResponse{Value: val}
		unknown.ProtoReflect().SetUnknown([]byte{0x78, 1})
		for _, m := range []proto.Message{down, up, &apiv1.GetResponse{Value: val}, unknown, &apiv1.EchoRequest{},
			&apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k"), Value: val}} {
			if !bytes.Equal(bytesOf(t, Codec{}, m), bytesOf(t, standard, m)) {
				t.Errorf("%T with %d bytes differs", m, n)
			}
		}
	}
}

// TestPool: a buffer has the length that was asked for, also when it was used for less before.
func TestPool(t *testing.T) {
	for _, n := range append(sizes, sizes...) {
		b := Pool.Get(n)
		if len(*b) != n {
			t.Errorf("%d bytes were asked for and %d came", n, len(*b))
		}
		*b = (*b)[:n/2]
		Pool.Put(b)
	}
}

// cut cuts bytes into buffers at random, some of a pool.
func cut(r *rand.Rand, b []byte) (parts mem.BufferSlice) {
	for len(b) > 0 {
		n := min(1+r.IntN(1+r.IntN(40000)), len(b))
		parts = append(parts, mem.Copy(b[:n], Pool))
		b = b[n:]
	}
	return parts
}

func data(r *Received) (all []byte) {
	for _, b := range r.Data {
		all = append(all, b.ReadOnlyData()...)
	}
	return all
}

// TestReceive: whatever the standard codec reads from bytes, in whatever pieces they come, this one reads.
func TestReceive(t *testing.T) {
	r := random(t)
	rec := &Received{}
	for range 3000 {
		b := encoded(t, r)
		var want apiv1.PutStreamRequest
		fails := standard.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &want) != nil
		rec.Message = &apiv1.PutStreamRequest{}
		parts := cut(r, b)
		err := Codec{}.Unmarshal(parts, rec)
		parts.Free() // as grpc does
		if (err != nil) != fails {
			t.Fatalf("%x: %v, and the standard codec fails: %v", b, err, fails)
		}
		got := rec.Message.(*apiv1.PutStreamRequest)
		if rec.IsData {
			got.Part = &apiv1.PutStreamRequest_Data{Data: data(rec)}
		}
		if !fails && !proto.Equal(got, &want) {
			t.Fatalf("%x: %v, want %v", b, got, &want)
		}
	}
	rec.Free()
}

// encoded is a message as some sender may encode it, or not quite.
func encoded(t *testing.T, r *rand.Rand) []byte {
	piece := bytesOf(t, standard, &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Data{Data: filled(r, r.IntN(1+r.IntN(50000)))}})
	commit := bytesOf(t, standard, &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Commit{Commit: &apiv1.PutStreamCommit{Checksum: piece[:1]}}})
	switch r.IntN(10) {
	case 0:
		return append(piece, piece...)
	case 1:
		return append(piece, commit...)
	case 2:
		return append(commit, piece...)
	case 3:
		return piece[:r.IntN(len(piece)+1)]
	case 4:
		return []byte{dataTag, 0x80, 0x00} // 0, in two bytes
	case 5:
		return commit
	case 6:
		return filled(r, r.IntN(20))
	}
	return piece
}

// TestUnmarshal: a message is not changed when the memory of the buffers that it came in is used again.
func TestUnmarshal(t *testing.T) {
	r := random(t)
	for _, n := range []int{3, 3000} {
		sent := &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("Barcelona"), Value: filled(r, n)}
		parts := cut(r, bytesOf(t, standard, sent))
		var got apiv1.PutRequest
		if err := (Codec{}).Unmarshal(parts, &got); err != nil {
			t.Fatal(err)
		}
		parts.Free()
		for range 100 {
			b := Pool.Get(1 + r.IntN(5000))
			clear(*b)
			Pool.Put(b)
		}
		if !proto.Equal(&got, sent) {
			t.Errorf("%v, want %v", &got, sent)
		}
	}
	if err := (Codec{}).Unmarshal(nil, io.EOF); err == nil {
		t.Error("an error was unmarshalled into")
	}
	if _, err := (Codec{}).Marshal(errors.New("")); err == nil {
		t.Error("an error was marshalled")
	}
}

// TestRequests: the requests that are read by hand are as the standard codec reads them, also when their bytes are not quite right.
func TestRequests(t *testing.T) {
	r := random(t)
	for i := range 20000 {
		sent := anyRequest(r)
		b := bytesOf(t, standard, sent)
		for range r.IntN(3) * r.IntN(2) {
			b = spoil(r, b)
		}
		if r.IntN(4) == 0 {
			b = append(b, bytesOf(t, standard, anyRequest(r))...)
		}
		want, got := sent.ProtoReflect().New().Interface(), sent.ProtoReflect().New().Interface()
		wantErr := standard.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(b))}, want)
		parts := cut(r, b)
		if i%2 == 0 {
			parts = mem.BufferSlice{mem.SliceBuffer(b)}
		}
		err := Codec{}.Unmarshal(parts, got)
		if (err != nil) != (wantErr != nil) || err == nil && !proto.Equal(got, want) {
			t.Fatalf("%T of %x:\n%v, %v; want\n%v, %v", sent, b, got, err, want, wantErr)
		}
	}
}

// TestAnswers: the answers that are read by hand are as the standard codec reads them, also when their bytes are not quite right; and what is
// written by hand has the bytes of the standard codec, also when it is strange.
func TestAnswers(t *testing.T) {
	r := random(t)
	for range 5000 {
		m := anyOf(r, answers[r.IntN(len(answers))])
		if r.IntN(2) == 0 {
			m = anyRequest(r)
		}
		want, wantErr := standard.Marshal(m)
		got, err := Codec{}.Marshal(m)
		if (err != nil) != (wantErr != nil) || err == nil && !bytes.Equal(got.Materialize(), want.Materialize()) {
			t.Fatalf("%T %v:\n%x, %v; want\n%x, %v", m, m, got, err, want, wantErr)
		}
		b := want.Materialize()
		for range r.IntN(3) * r.IntN(2) {
			b = spoil(r, b)
		}
		read, wanted := m.ProtoReflect().New().Interface(), m.ProtoReflect().New().Interface()
		wantErr = standard.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(b))}, wanted)
		err = Codec{}.Unmarshal(cut(r, b), read)
		if (err != nil) != (wantErr != nil) || err == nil && !proto.Equal(read, wanted) {
			t.Fatalf("%T of %x:\n%v, %v; want\n%v, %v", m, b, read, err, wanted, wantErr)
		}
	}
}

var answers = []proto.Message{&apiv1.BatchPutResponse{}, &apiv1.BatchGetResponse{}, &apiv1.SessionResponse{}, &apiv1.ScanResponse{},
	&apiv1.BatchPutRequest{}, &apiv1.BatchGetRequest{}, &apiv1.SessionRequest{}}

// anyOf is a message of that kind with any of the fields that it has: one that was added is among them.
func anyOf(r *rand.Rand, kind proto.Message) proto.Message {
	m := kind.ProtoReflect().New()
	fill(r, m, r.IntN(4))
	return m.Interface()
}

// fill sets fields at random; the fewer, the larger rare is.
func fill(r *rand.Rand, m protoreflect.Message, rare int) {
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		f := all.Get(i)
		switch {
		case f.IsList():
			for list := m.Mutable(f).List(); r.IntN(4) > 0; {
				list.Append(anyValue(r, f, list.NewElement(), rare))
			}
		case r.IntN(1+rare) == 0:
			m.Set(f, anyValue(r, f, m.NewField(f), rare))
		}
	}
	if r.IntN(500) == 0 {
		m.SetUnknown([]byte{0x78, 1})
	}
}

func anyValue(r *rand.Rand, f protoreflect.FieldDescriptor, empty protoreflect.Value, rare int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		fill(r, empty.Message(), rare)
		return empty
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(filled(r, r.IntN(1+r.IntN(300))))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString([]string{"\xff", "", "", "tank/neo/stadium"}[min(r.IntN(60), 1+r.IntN(3))])
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(r.Uint64() >> r.IntN(64))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(r.Uint32()) >> r.IntN(32))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(6) - 1))
	}
	return empty
}

// TestByHand: the messages that come most often are written and read by hand, so none of their fields is unknown here.
func TestByHand(t *testing.T) {
	val := []byte("v")
	calls := []*apiv1.SessionCall{{Tag: 1, Object: "o", Call: &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: val}}},
		{Call: &apiv1.SessionCall_Put{Put: &apiv1.PutRequest{Key: val, Value: val}}}}
	results := []*apiv1.SessionResult{{Tag: 1, Result: &apiv1.SessionResult_Get{Get: &apiv1.GetResponse{Value: val}}},
		{Result: &apiv1.SessionResult_Put{Put: &apiv1.PutResponse{}}}}
	for _, m := range []proto.Message{
		&apiv1.BatchPutRequest{Object: "o", Entries: []*apiv1.PutEntry{{Key: val, Value: val}}}, &apiv1.BatchPutResponse{Results: []*apiv1.KeyResult{{}}},
		&apiv1.BatchGetRequest{Object: "o", Keys: [][]byte{val}},
		&apiv1.BatchGetResponse{Results: []*apiv1.BatchGetResult{{Result: &apiv1.BatchGetResult_Value{Value: val}}}},
		&apiv1.SessionRequest{Calls: calls}, &apiv1.SessionResponse{Results: results},
		&apiv1.ScanResponse{Entries: []*apiv1.ScanEntry{{Key: val, Value: val, Size: 1, Revision: 1}}},
	} {
		data := mem.BufferSlice{mem.SliceBuffer(bytesOf(t, standard, m))}
		into := m.ProtoReflect().New().Interface()
		if sizeOf(m) != proto.Size(m) || !request(data, into) && !response(data, into) {
			t.Errorf("%T is not written and read by hand", m)
		}
	}
}

func anyRequest(r *rand.Rand) proto.Message {
	object := []string{"", "tank/neo/stadium", "tank/neo/Übersee"}[r.IntN(3)]
	some := func() []byte { return filled(r, r.IntN(1+r.IntN(200))) }
	cond := apiv1.Condition(r.IntN(5))
	put := &apiv1.PutRequest{Object: object, Key: some(), Value: some(), Condition: cond, Revision: r.Uint64() >> r.IntN(64)}
	get := &apiv1.GetRequest{Object: object, Key: some()}
	switch r.IntN(5) {
	case 0:
		return get
	case 1:
		return put
	case 2:
		m := &apiv1.BatchGetRequest{Object: object}
		for range r.IntN(5) {
			m.Keys = append(m.Keys, some())
		}
		return m
	case 3:
		m := &apiv1.BatchPutRequest{Object: object, Condition: cond}
		for range r.IntN(5) {
			m.Entries = append(m.Entries, &apiv1.PutEntry{Key: some(), Value: some()})
		}
		return m
	}
	m := &apiv1.SessionRequest{}
	for i, c := range []*apiv1.SessionCall{{Call: &apiv1.SessionCall_Get{Get: get}}, {Call: &apiv1.SessionCall_Put{Put: put}}, {},
		{Call: &apiv1.SessionCall_Delete{Delete: &apiv1.DeleteRequest{Key: some()}}}} {
		c.Tag, c.Object = uint64(i), object
		if r.IntN(2) == 0 {
			m.Calls = append(m.Calls, c)
		}
	}
	return m
}

// spoil changes, takes away or doubles a byte.
func spoil(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(r.Uint32())}
	}
	i := r.IntN(len(b))
	switch r.IntN(3) {
	case 0:
		b[i] = byte(r.Uint32())
		return b
	case 1:
		return append(b[:i:i], b[i+1:]...)
	}
	return append(b[:i+1:i+1], b[i:]...)
}
