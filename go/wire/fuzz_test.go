// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// FuzzRequests: any bytes are read as the standard codec reads them, in one piece and in two, by every message that is read by hand.
func FuzzRequests(f *testing.F) {
	for _, m := range []proto.Message{
		&apiv1.GetRequest{Object: "tank/neo/stadium", Key: []byte("Rio")},
		&apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("Rio"), Value: []byte("Maracana"), Condition: 3, Revision: 1 << 40},
		&apiv1.BatchPutRequest{Object: "o", Entries: []*apiv1.PutEntry{{Key: []byte("k"), Value: []byte("v")}, {}}},
		&apiv1.SessionRequest{Calls: []*apiv1.SessionCall{{Tag: 7, Object: "o", Call: &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: []byte("k")}}}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		half := min(int(at), len(b))
		for _, kind := range []proto.Message{&apiv1.GetRequest{}, &apiv1.PutRequest{}, &apiv1.BatchGetRequest{}, &apiv1.BatchPutRequest{}, &apiv1.SessionRequest{}} {
			want := kind.ProtoReflect().New().Interface()
			wantErr := proto.Unmarshal(b, want)
			for _, parts := range []mem.BufferSlice{
				{mem.SliceBuffer(bytes.Clone(b))}, {mem.SliceBuffer(bytes.Clone(b[:half])), mem.SliceBuffer(bytes.Clone(b[half:]))},
			} {
				got := kind.ProtoReflect().New().Interface()
				err := Codec{}.Unmarshal(parts, got)
				if (err != nil) != (wantErr != nil) || err == nil && !proto.Equal(got, want) {
					t.Fatalf("%T of %x in %d parts:\n%v, %v; want\n%v, %v", kind, b, len(parts), got, err, want, wantErr)
				}
			}
		}
	})
}

// FuzzReceived: an answer of a stream, whose data is not copied, is as the standard codec reads it.
func FuzzReceived(f *testing.F) {
	for _, m := range []*apiv1.GetStreamResponse{
		{Part: &apiv1.GetStreamResponse_Data{Data: []byte("some bytes")}},
		{Part: &apiv1.GetStreamResponse_Header{Header: &apiv1.GetStreamHeader{Size: 10}}},
		{Part: &apiv1.GetStreamResponse_Trailer{Trailer: &apiv1.GetStreamTrailer{Checksum: []byte{1, 2, 3, 4}}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want apiv1.GetStreamResponse
		wantErr := proto.Unmarshal(b, &want)
		got := Received{Message: &apiv1.GetStreamResponse{}}
		err := Codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(b))}, &got)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, want %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		if got.IsData {
			if !bytes.Equal(got.Data.Materialize(), want.GetData()) {
				t.Errorf("%x: other data", b)
			}
		} else if !proto.Equal(got.Message.(proto.Message), &want) {
			t.Errorf("%x: %v, want %v", b, got.Message, &want)
		}
		got.Free()
	})
}
