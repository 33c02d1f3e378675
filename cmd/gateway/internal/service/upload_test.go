// SPDX-License-Identifier: Apache-2.0

package service

import (
	"bytes"
	"context"
	"hash/crc32"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

// sink is an object that only takes one value.
type sink struct {
	system.KV
	bytes.Buffer
	committed, closed int
}

func (s *sink) Writer(context.Context, []byte, ...system.Cond) (system.Writer, error) { return s, nil }
func (s *sink) Commit(context.Context) error                                          { s.committed++; return nil }
func (s *sink) Close() error                                                          { s.closed++; return nil }

func sumOf(b []byte) []byte {
	sum := crc32.New(castagnoli)
	sum.Write(b)
	return sum.Sum(nil)
}

func commitOf(sum []byte) *apiv1.PutStreamRequest {
	return &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Commit{Commit: &apiv1.PutStreamCommit{Checksum: sum}}}
}

// script makes messages of bytes: each says what comes next, and a piece of data.
func script(b []byte) (msgs []*apiv1.PutStreamRequest) {
	var whole []byte
	for len(b) > 1 {
		n := min(int(b[1]), len(b)-2)
		piece := b[2 : 2+n]
		switch b[0] % 5 {
		case 0, 1:
			msgs = append(msgs, &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Data{Data: piece}})
			whole = append(whole, piece...)
		case 2: // the right commit
			msgs = append(msgs, commitOf(sumOf(whole)))
		case 3: // any commit
			msgs = append(msgs, commitOf(piece))
		case 4:
			msgs = append(msgs, &apiv1.PutStreamRequest{})
		}
		b = b[2+n:]
	}
	return msgs
}

// arrived is a message as it comes from a client.
func arrived(t *testing.T, msg *apiv1.PutStreamRequest) *wire.Received {
	data, err := wire.Codec{}.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	r := &wire.Received{Message: &apiv1.PutStreamRequest{}}
	if err := (wire.Codec{}).Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzUpload: whatever comes, a value is committed at most once, only whole and with its checksum, and the writer is always closed.
func FuzzUpload(f *testing.F) {
	f.Add([]byte{}, int64(-1))
	f.Add([]byte("\x00\x03abc\x02\x00"), int64(3))
	f.Add([]byte("\x00\x03abc\x00\x01d\x02\x00"), int64(-1))
	f.Add([]byte("\x00\x03abc\x02\x00"), int64(4))
	f.Add([]byte("\x00\x03abc\x03\x04wxyz"), int64(-1))
	f.Add([]byte("\x04\x00\x02\x00"), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		header := &apiv1.PutStreamHeader{Object: "tank/neo/stadium", Key: []byte("k"), ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}
		if size >= 0 {
			header.Size = proto.Uint64(uint64(size))
		}
		u, err := uploadOf(header)
		if err != nil {
			return // a size that no value has
		}
		msgs := script(b)
		var s sink
		var before, sum []byte // the data that came before the end, and the last checksum
		err = u.run(t.Context(), &s, func() (*wire.Received, error) {
			if len(msgs) == 0 {
				return nil, io.EOF
			}
			msg := msgs[0]
			msgs = msgs[1:]
			before, sum = append(before, msg.GetData()...), msg.GetCommit().GetChecksum()
			return arrived(t, msg), nil
		})
		if s.closed != 1 || (err == nil) != (s.committed == 1) || s.committed > 1 {
			t.Fatalf("%v: closed %d times, committed %d times", err, s.closed, s.committed)
		}
		if err == nil && (!bytes.Equal(s.Bytes(), before) || !bytes.Equal(sum, sumOf(before)) || size >= 0 && s.Len() != int(size)) {
			t.Fatalf("committed %q of %q, with size %d and checksum %x", s.Bytes(), before, size, sum)
		}
	})
}
