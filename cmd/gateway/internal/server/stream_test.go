// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// The messages of PutStream.
func head(key string, size *uint64, kind apiv1.ChecksumType) *apiv1.PutStreamRequest {
	return &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Header{Header: &apiv1.PutStreamHeader{
		Object: object, Key: []byte(key), Size: size, ChecksumType: kind}}}
}

func data(b []byte) *apiv1.PutStreamRequest {
	return &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Data{Data: b}}
}

func commit(sum []byte) *apiv1.PutStreamRequest {
	return &apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Commit{Commit: &apiv1.PutStreamCommit{Checksum: sum}}}
}

func crc(b []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// upload sends messages, half-closes, and returns the answer.
func upload(ctx context.Context, stub apiv1.KeyValueServiceClient, msgs ...*apiv1.PutStreamRequest) (*apiv1.PutStreamResponse, error) {
	stream, err := stub.PutStream(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		if stream.Send(m) != nil {
			break // the answer says why
		}
	}
	return stream.CloseAndRecv()
}

const (
	crc32c  = apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C
	sha     = apiv1.ChecksumType_CHECKSUM_TYPE_SHA256
	unknown = apiv1.ChecksumType_CHECKSUM_TYPE_UNSPECIFIED
)

// TestPutStreamProtocol: a stream that is not header, data, commit leaves nothing.
func TestPutStreamProtocol(t *testing.T) {
	_, kv, stub := real(t, Config{})
	ctx := t.Context()
	val := bytes.Repeat([]byte("stadium "), 1<<16)
	half := len(val) / 2
	sha256sum := sha256.Sum256(val)
	size := proto.Uint64(uint64(len(val)))
	for what, c := range map[string]struct {
		msgs   []*apiv1.PutStreamRequest
		code   codes.Code
		reason string
	}{
		"no message":         {nil, codes.InvalidArgument, "DER_INVAL"},
		"no header":          {[]*apiv1.PutStreamRequest{data(val)}, codes.InvalidArgument, "DER_INVAL"},
		"only a commit":      {[]*apiv1.PutStreamRequest{commit(crc(nil))}, codes.InvalidArgument, "DER_INVAL"},
		"an empty message":   {[]*apiv1.PutStreamRequest{{}}, codes.InvalidArgument, "DER_INVAL"},
		"no commit":          {[]*apiv1.PutStreamRequest{head("k", size, crc32c), data(val)}, codes.InvalidArgument, "DER_INVAL"},
		"two headers":        {[]*apiv1.PutStreamRequest{head("k", nil, crc32c), head("k", nil, crc32c)}, codes.InvalidArgument, "DER_INVAL"},
		"an empty part":      {[]*apiv1.PutStreamRequest{head("k", nil, crc32c), {}}, codes.InvalidArgument, "DER_INVAL"},
		"no checksum type":   {[]*apiv1.PutStreamRequest{head("k", nil, unknown)}, codes.InvalidArgument, "DER_INVAL"},
		"a wrong checksum":   {[]*apiv1.PutStreamRequest{head("k", nil, crc32c), data(val), commit(crc(val[1:]))}, codes.DataLoss, "DER_CSUM"},
		"no checksum":        {[]*apiv1.PutStreamRequest{head("k", nil, crc32c), data(val), commit(nil)}, codes.DataLoss, "DER_CSUM"},
		"another checksum":   {[]*apiv1.PutStreamRequest{head("k", nil, sha), data(val), commit(crc(val))}, codes.DataLoss, "DER_CSUM"},
		"too few bytes":      {[]*apiv1.PutStreamRequest{head("k", size, crc32c), data(val[:half]), commit(crc(val[:half]))}, codes.InvalidArgument, "DER_INVAL"},
		"too many bytes":     {[]*apiv1.PutStreamRequest{head("k", size, crc32c), data(val), data(val[:1])}, codes.InvalidArgument, "DER_INVAL"},
		"a chunk too large":  {[]*apiv1.PutStreamRequest{head("k", nil, crc32c), data(make([]byte, service.ChunkMax+1))}, codes.InvalidArgument, "DER_INVAL"},
		"a size too large":   {[]*apiv1.PutStreamRequest{head("k", proto.Uint64(system.ValueMax+1), crc32c)}, codes.InvalidArgument, "DER_REC2BIG"},
		"the empty key":      {[]*apiv1.PutStreamRequest{head("", nil, crc32c), commit(crc(nil))}, codes.InvalidArgument, "DER_INVAL"},
		"a key too long":     {[]*apiv1.PutStreamRequest{head(string(make([]byte, system.KeyMax+1)), nil, crc32c), commit(crc(nil))}, codes.InvalidArgument, "DER_KEY2BIG"},
		"right, with SHA256": {[]*apiv1.PutStreamRequest{head("sha", size, sha), data(val[:half]), data(val[half:]), commit(sha256sum[:])}, codes.OK, ""},
		"right, with CRC32C": {[]*apiv1.PutStreamRequest{head("crc", nil, crc32c), data(val), data(nil), commit(crc(val))}, codes.OK, ""},
	} {
		resp, err := upload(ctx, stub, c.msgs...)
		want(t, what, err, c.code, c.reason)
		if err == nil && resp.GetSize() != uint64(len(val)) {
			t.Errorf("%s: the answer says %d bytes", what, resp.GetSize())
		}
	}
	for _, key := range []string{"sha", "crc"} {
		if got, err := kv.Get(ctx, []byte(key)); err != nil || !bytes.Equal(got, val) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
	}
	if n, err := kv.Count(ctx, system.Range{}); n != 2 || err != nil {
		t.Errorf("%d keys are there, %v; want 2", n, err)
	}
}

// TestBrokenStream: a client that goes away in the middle leaves nothing, and no handle in use.
func TestBrokenStream(t *testing.T) {
	s, kv, stub := real(t, Config{})
	if err := kv.Put(t.Context(), []byte("k"), []byte("old")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := stub.PutStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*apiv1.PutStreamRequest{head("k", nil, crc32c), data(make([]byte, 1<<20)), data(make([]byte, 1<<20))} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for deadline := time.Now().Add(10 * time.Second); s.gate.Free() != s.cfg.InFlight; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the broken stream still holds its bytes")
		}
	}
	if got, err := kv.Get(t.Context(), []byte("k")); string(got) != "old" || err != nil {
		t.Errorf("the value is %q, %v", got, err)
	}
	conn := connect(t, s.Addr())
	if _, err := apiv1.NewObjectServiceClient(conn).DeleteObject(t.Context(), &apiv1.DeleteObjectRequest{Object: object}); err != nil {
		t.Errorf("the object is still in use: %v", err)
	}
}

// TestGetStream reads values whole, with the checksum that was asked for.
func TestGetStream(t *testing.T) {
	_, kv, stub := real(t, Config{})
	for _, n := range []int{0, 1, 100000, 3<<20 + 1} {
		val := bytes.Repeat([]byte{byte(n), 7, 9}, n/3+1)[:n]
		if err := kv.Put(t.Context(), []byte("k"), val); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(val)
		for kind, wantSum := range map[apiv1.ChecksumType][]byte{unknown: crc(val), crc32c: crc(val), sha: sum[:]} {
			header, got, gotSum := download(t, stub, kind)
			if !bytes.Equal(got, val) || !bytes.Equal(gotSum, wantSum) || header.GetSize() != uint64(n) || header.GetRevision() == 0 {
				t.Errorf("%d bytes, %v: header %v, %d bytes, checksum %x, want %x", n, kind, header, len(got), gotSum, wantSum)
			}
		}
	}
	stream, err := stub.GetStream(t.Context(), &apiv1.GetStreamRequest{Object: object, Key: []byte("none")})
	if err == nil {
		_, err = stream.Recv()
	}
	want(t, "GetStream of none", err, codes.NotFound, "DER_NONEXIST")
}

// download checks the order of the messages: one header, data, one trailer, the end.
func download(t *testing.T, stub apiv1.KeyValueServiceClient, kind apiv1.ChecksumType) (header *apiv1.GetStreamHeader, val, sum []byte) {
	t.Helper()
	stream, err := stub.GetStream(t.Context(), &apiv1.GetStreamRequest{Object: object, Key: []byte("k"), ChecksumType: kind})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetHeader() == nil {
		t.Fatalf("the first message is %v, %v", first, err)
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return first.GetHeader(), val, sum
		}
		if err != nil || msg.GetHeader() != nil || sum != nil {
			t.Fatalf("message %v, %v", msg, err)
		}
		val = append(val, msg.GetData()...)
		sum = msg.GetTrailer().GetChecksum()
	}
}

// TestScanMessages: a message has at most 31 KiB, or one entry.
func TestScanMessages(t *testing.T) {
	_, kv, stub := real(t, Config{})
	for i, n := range []int{0, 10, 100, 5000, 5000, 5000, 30000, 31 << 10, 65536, 0, 65537, 1} {
		if err := kv.Put(t.Context(), []byte{byte(i + 1)}, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := stub.Scan(t.Context(), &apiv1.ScanRequest{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	entries, messages := 0, 0
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(msg.GetEntries()) == 0 {
			t.Fatalf("message %v, %v", msg, err)
		}
		if proto.Size(msg) > 31<<10 && len(msg.GetEntries()) > 1 {
			t.Errorf("a message of %d entries has %d bytes", len(msg.GetEntries()), proto.Size(msg))
		}
		for _, e := range msg.GetEntries() {
			if (e.Value == nil) != (e.GetSize() > system.ListValueMax) {
				t.Errorf("the value of %d bytes: there %v", e.GetSize(), e.Value != nil)
			}
		}
		entries, messages = entries+len(msg.GetEntries()), messages+1
	}
	if entries != 12 || messages < 5 {
		t.Errorf("%d entries in %d messages", entries, messages)
	}
}
