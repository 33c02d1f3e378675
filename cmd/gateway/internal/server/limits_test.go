// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func grpcHeader(md *metadata.MD) grpc.CallOption { return grpc.Header(md) }

const object = "tank/neo/stadium"

// real starts a gateway on the real engine with tank/neo/stadium, and returns it, its object and a bare stub.
func real(t testing.TB, cfg Config) (*Server, system.KV, apiv1.KeyValueServiceClient) {
	t.Helper()
	cfg.System = engine(t, t.TempDir())
	s := start(t, cfg)
	return s, openKV(t, dial(t, s.Addr())), apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
}

func want(t *testing.T, what string, err error, code codes.Code, reason string) {
	t.Helper()
	info, _ := detailsOf(status.Convert(err))
	if status.Code(err) != code || info.GetReason() != reason {
		t.Errorf("%s: %v, reason %q; want %v, %q", what, err, info.GetReason(), code, reason)
	}
}

// TestSizes: what is too large for a unary call says how to go on, and goes by stream.
func TestSizes(t *testing.T) {
	_, kv, stub := real(t, Config{})
	ctx := t.Context()
	_, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte("k"), Value: make([]byte, service.UnaryValueMax+1)})
	want(t, "Put of more than 1 MiB", err, codes.InvalidArgument, "DER_REC2BIG")
	_, err = stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte("k"), Value: make([]byte, service.MessageMax)})
	want(t, "a message over the limit", err, codes.ResourceExhausted, "")
	if _, err = stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte("max"), Value: make([]byte, service.UnaryValueMax)}); err != nil {
		t.Errorf("Put of 1 MiB: %v", err)
	}
	big := bytes.Repeat([]byte("0123456789"), 300000)
	if err := kv.Put(ctx, []byte("big"), big); err != nil {
		t.Fatal(err)
	}
	_, err = stub.Get(ctx, &apiv1.GetRequest{Object: object, Key: []byte("big")})
	want(t, "Get of more than 1 MiB", err, codes.FailedPrecondition, "DER_REC2BIG")
	if info, _ := detailsOf(status.Convert(err)); info.GetMetadata()["size"] != "3000000" {
		t.Errorf("the size is %q", info.GetMetadata()["size"])
	}
	if got, err := kv.Get(ctx, []byte("big")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("the client got %d bytes, %v", len(got), err)
	}
	err = kv.Apply(ctx, []system.Mutation{{Key: []byte("a"), Value: big}, {Key: []byte("b"), Value: big}})
	if !errors.Is(err, errno.Rec2Big) {
		t.Errorf("Apply of more than a message: %v", err)
	}
}

// TestConnections: one more than the limit waits until another goes.
func TestConnections(t *testing.T) {
	s, _, _ := real(t, Config{Connections: 2}) // real holds one
	first, second := greet(t, s.Addr()), greet(t, s.Addr())
	if !answered(first, 5*time.Second) {
		t.Error("the second connection is not served")
	}
	if answered(second, 300*time.Millisecond) {
		t.Error("the third connection is served, and the limit is 2")
	}
	first.Close()
	if !answered(second, 5*time.Second) {
		t.Error("the third connection is not served when another has gone")
	}
}

// greet begins an HTTP/2 connection.
func greet(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered is whether the server has said something within d.
func answered(conn net.Conn, d time.Duration) bool {
	conn.SetReadDeadline(time.Now().Add(d))
	n, _ := conn.Read(make([]byte, 1))
	return n == 1
}

// TestRefusals: requests that are not as the contract says.
func TestRefusals(t *testing.T) {
	s, _, stub := real(t, Config{})
	conn := connect(t, s.Addr())
	pools, conts, objs := apiv1.NewPoolServiceClient(conn), apiv1.NewContainerServiceClient(conn), apiv1.NewObjectServiceClient(conn)
	ctx, key := t.Context(), []byte("k")
	for what, call := range map[string]func() error{
		"Get of a pool":      func() error { _, err := stub.Get(ctx, &apiv1.GetRequest{Object: "tank", Key: key}); return err },
		"Get without object": func() error { _, err := stub.Get(ctx, &apiv1.GetRequest{Key: key}); return err },
		"Get of an odd path": func() error {
			_, err := stub.Get(ctx, &apiv1.GetRequest{Object: "tank//stadium", Key: key})
			return err
		},
		"a path with too many parts": func() error {
			_, err := stub.Get(ctx, &apiv1.GetRequest{Object: object + "/x", Key: key})
			return err
		},
		"an unknown condition": func() error {
			_, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Condition: 99})
			return err
		},
		"a revision without its condition": func() error {
			_, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Revision: 5})
			return err
		},
		"Delete with INSERT": func() error {
			_, err := stub.Delete(ctx, &apiv1.DeleteRequest{Object: object, Key: key, Condition: apiv1.Condition_CONDITION_INSERT})
			return err
		},
		"BatchPut with REVISION": func() error {
			_, err := stub.BatchPut(ctx, &apiv1.BatchPutRequest{Object: object, Entries: []*apiv1.PutEntry{{Key: key}},
				Condition: apiv1.Condition_CONDITION_REVISION})
			return err
		},
		"an empty BatchGet": func() error { _, err := stub.BatchGet(ctx, &apiv1.BatchGetRequest{Object: object}); return err },
		"a BatchDelete of too many": func() error {
			_, err := stub.BatchDelete(ctx, &apiv1.BatchDeleteRequest{Object: object, Keys: make([][]byte, service.BatchMax+1)})
			return err
		},
		"an empty ApplyBatch": func() error { _, err := stub.ApplyBatch(ctx, &apiv1.ApplyBatchRequest{Object: object}); return err },
		"a mutation of nothing": func() error {
			_, err := stub.ApplyBatch(ctx, &apiv1.ApplyBatchRequest{Object: object, Mutations: []*apiv1.Mutation{{Key: key}}})
			return err
		},
		"a request_id that is none": func() error {
			_, err := stub.ApplyBatch(ctx, &apiv1.ApplyBatchRequest{Object: object, RequestId: "one",
				Mutations: []*apiv1.Mutation{{Key: key, Change: &apiv1.Mutation_Put{}}}})
			return err
		},
		"DeleteRange without a range": func() error {
			_, err := stub.DeleteRange(ctx, &apiv1.DeleteRangeRequest{Object: object})
			return err
		},
		"a negative page": func() error { _, err := pools.ListPools(ctx, &apiv1.ListPoolsRequest{PageSize: -1}); return err },
		"an odd token":    func() error { _, err := pools.ListPools(ctx, &apiv1.ListPoolsRequest{PageToken: "%"}); return err },
		"an unknown type": func() error {
			return create(ctx, conts, &apiv1.CreateContainerRequest{Pool: "tank", Label: "c", Type: 99})
		},
		"an odd mask":     func() error { return update(ctx, conts, "uuid") },
		"a mask of unset": func() error { return update(ctx, conts, "owner") },
		"an odd name": func() error {
			_, err := objs.CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "a/b"})
			return err
		},
		"GetPool of a path": func() error { _, err := pools.GetPool(ctx, &apiv1.GetPoolRequest{Pool: "tank/neo"}); return err },
	} {
		want(t, what, call(), codes.InvalidArgument, "DER_INVAL")
	}
}

func create(ctx context.Context, stub apiv1.ContainerServiceClient, req *apiv1.CreateContainerRequest) error {
	_, err := stub.CreateContainer(ctx, req)
	return err
}

func update(ctx context.Context, stub apiv1.ContainerServiceClient, path string) error {
	_, err := stub.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{Container: "tank/neo",
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}})
	return err
}

// TestPages walks lists page by page.
func TestPages(t *testing.T) {
	s, _, _ := real(t, Config{})
	conn := connect(t, s.Addr())
	conts, objs := apiv1.NewContainerServiceClient(conn), apiv1.NewObjectServiceClient(conn)
	ctx := t.Context()
	var wantLabels, labels, names []string
	for i := range 7 {
		label := fmt.Sprintf("c%d", i)
		wantLabels = append(wantLabels, label)
		if err := create(ctx, conts, &apiv1.CreateContainerRequest{Pool: "tank", Label: label}); err != nil {
			t.Fatal(err)
		}
		if _, err := objs.CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/c0", Name: label}); err != nil {
			t.Fatal(err)
		}
	}
	for token, more := "", true; more; more = token != "" {
		resp, err := conts.ListContainers(ctx, &apiv1.ListContainersRequest{Pool: "tank", PageSize: 3, PageToken: token})
		if err != nil || len(resp.GetContainers()) > 3 {
			t.Fatalf("a page of %d, %v", len(resp.GetContainers()), err)
		}
		for _, c := range resp.GetContainers() {
			labels = append(labels, c.GetLabel())
		}
		token = resp.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		resp, err := objs.ListObjects(ctx, &apiv1.ListObjectsRequest{Container: "tank/c0", PageSize: 3, PageToken: token})
		if err != nil || len(resp.GetObjects()) > 3 {
			t.Fatalf("a page of %d, %v", len(resp.GetObjects()), err)
		}
		for _, o := range resp.GetObjects() {
			names = append(names, o.GetName())
		}
		token = resp.GetNextPageToken()
	}
	if want := append(wantLabels, "neo"); fmt.Sprint(labels) != fmt.Sprint(want) || fmt.Sprint(names) != fmt.Sprint(wantLabels) {
		t.Errorf("containers %q, objects %q", labels, names)
	}
}
