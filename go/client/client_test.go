// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// The conformance suite runs this package over a gateway, in cmd/gateway. Here is what needs none.

func TestEndpoints(t *testing.T) {
	for _, good := range []string{"unix:/run/tarn.sock", "unix:tarn.sock", "unix:///run/tarn.sock", "dns:/localhost:7447", "dns:///localhost:7447",
		"127.0.0.1:7447", "[::1]:7447", "localhost:7447"} {
		if err := checkEndpoint(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "unix:", "/run/tarn.sock", "localhost", ":7447", "localhost:", "http://localhost:7447", "dns:", "local:/tmp"} {
		if _, err := Dial(t.Context(), bad); !errors.Is(err, errno.Inval) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	began := time.Now()
	_, err := Dial(t.Context(), "unix:"+filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, errno.Unreach) || time.Since(began) > 5*time.Second {
		t.Errorf("Dial: %v after %v", err, time.Since(began))
	}
}

// TestForeign: statuses that no gateway made become errors too.
func TestForeign(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for code, want := range map[codes.Code]errno.Code{codes.Unavailable: errno.Unreach, codes.Unimplemented: errno.NoSys,
		codes.Unknown: errno.Misc, codes.Internal: errno.Misc, codes.ResourceExhausted: errno.Rec2Big, codes.DeadlineExceeded: errno.TimedOut} {
		err := fromStatus(t.Context(), "kv get", "tank/neo/stadium", status.Error(code, "a sentence"))
		var e *errno.Error
		if !errors.As(err, &e) || e.Code != want || !strings.HasSuffix(e.Message, "a sentence") || e.Op != "kv get" || e.Index != -1 {
			t.Errorf("%v: %#v", code, err)
		}
		if err := fromStatus(ended, "kv get", "", status.Error(code, "")); !errors.Is(err, context.Canceled) || !errors.Is(err, errno.Canceled) {
			t.Errorf("%v with a context that ended: %v", code, err)
		}
	}
	if err := fromStatus(ended, "kv get", "", nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}

// TestDetails: an odd gateway is no reason to fall over.
func TestDetails(t *testing.T) {
	for _, meta := range []map[string]string{nil, {"rc": "x", "size": "-1", "index": "?"}} {
		st, err := status.New(codes.NotFound, "a sentence").WithDetails(&errdetails.ErrorInfo{Domain: "tarn", Reason: "DER_?", Metadata: meta})
		if err != nil {
			t.Fatal(err)
		}
		var e *errno.Error
		if err := fromStatus(t.Context(), "kv get", "", st.Err()); !errors.As(err, &e) || e.Code != errno.Misc || e.Index != -1 {
			t.Errorf("%v: %#v", meta, err)
		}
	}
	st, err := status.New(codes.NotFound, "9-uuid: a sentence").WithDetails(&errdetails.ErrorInfo{Domain: "tarn",
		Metadata: map[string]string{"rc": "-1005", "ref": "9-uuid"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := fromStatus(t.Context(), "kv get", "tank/neo/stadium", st.Err()); err.Error() != "kv get tank/neo/stadium: a sentence (DER_NONEXIST)" {
		t.Errorf("the error is %q", err)
	}
}

// TestRetries: reads are repeated, changes never.
func TestRetries(t *testing.T) {
	var config struct {
		MethodConfig []struct {
			Name []struct{ Service, Method string }
		}
	}
	if err := json.Unmarshal([]byte(serviceConfig()), &config); err != nil || len(config.MethodConfig) != 1 {
		t.Fatalf("%v: %s", err, serviceConfig())
	}
	var got []string
	for _, n := range config.MethodConfig[0].Name {
		got = append(got, strings.TrimPrefix(n.Service, "tarn.v1.")+"."+n.Method)
	}
	want := []string{"PoolService.GetPool", "PoolService.ListPools", "PoolService.GetPoolAcl", "ContainerService.GetContainer",
		"ContainerService.ListContainers", "ContainerService.GetContainerAcl", "ObjectService.GetObject", "ObjectService.ListObjects", "KeyValueService.Get",
		"KeyValueService.Head", "KeyValueService.BatchGet", "KeyValueService.ListKeys", "KeyValueService.Count", "KeyValueService.Scan", "KeyValueService.Watch",
		"KeyValueService.GetStream", "SnapshotService.GetSnapshot", "SnapshotService.ListSnapshots", "OperationService.GetOperation",
		"OperationService.ListOperations", "OperationService.WaitOperation", "AdminService.GetServerInfo", "AdminService.GetStats", "AdminService.StreamStats", "AdminService.GetConfig",
		"AdminService.Echo", "DeviceService.ListDevices", "DeviceService.GetDevice", "DeviceService.GetDeviceHealth", "DeviceService.ReadDevice"}
	if !slices.Equal(got, want) {
		t.Errorf("repeated calls: %q", got)
	}
}

// flaky answers UNAVAILABLE some times, then as it should.
type flaky struct {
	apiv1.UnimplementedAdminServiceServer
	apiv1.UnimplementedPoolServiceServer
	refusals, creations int
}

func (f *flaky) GetServerInfo(context.Context, *apiv1.GetServerInfoRequest) (*apiv1.GetServerInfoResponse, error) {
	if f.refusals--; f.refusals >= 0 {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	return &apiv1.GetServerInfoResponse{Version: "1.2.3"}, nil
}

func (f *flaky) CreatePool(context.Context, *apiv1.CreatePoolRequest) (*apiv1.CreatePoolResponse, error) {
	f.creations++
	return nil, status.Error(codes.Unavailable, "not now")
}

func TestRetried(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	f, srv := &flaky{refusals: 2}, grpc.NewServer()
	apiv1.RegisterAdminServiceServer(srv, f)
	apiv1.RegisterPoolServiceServer(srv, f)
	go func() { _ = srv.Serve(l) }()
	defer srv.Stop()
	sys, err := Dial(t.Context(), "unix:"+l.Addr().String())
	if err != nil || sys.Version() != "1.2.3" {
		t.Fatalf("Dial: %v", err)
	}
	if _, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{}); !errors.Is(err, errno.Unreach) || f.creations != 1 {
		t.Errorf("CreatePool: %v, tried %d times", err, f.creations)
	}
	if err := sys.Close(); err != nil {
		t.Error(err)
	}
	if err := sys.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if _, err := sys.Pools(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Pools after Close: %v", err)
	}
}

// TestParents: a parent outlives its children, as in package tarn.
func TestParents(t *testing.T) {
	var parent, child handle
	if err := errors.Join(parent.init(nil, "pool", "tank"), child.init(&parent, "container", "tank/neo")); err != nil {
		t.Fatal(err)
	}
	if err := parent.close("pool close", nil); !errors.Is(err, errno.Busy) {
		t.Errorf("a parent with a child: %v", err)
	}
	for range 2 {
		if err := child.close("container close", nil); err != nil {
			t.Error(err)
		}
	}
	if err := parent.close("pool close", nil); err != nil {
		t.Errorf("a parent without children: %v", err)
	}
	if err := child.init(&parent, "container", "tank/neo"); !errors.Is(err, errno.NoHdl) {
		t.Errorf("a child of a closed parent: %v", err)
	}
	if err := child.checkName(t.Context(), "container open", "", "x"); !errors.Is(err, errno.NoHdl) {
		t.Errorf("a call on it: %v", err)
	}
	if err := new(handle).checkName(t.Context(), "pool open", "", "\xff"); !errors.Is(err, errno.Inval) {
		t.Errorf("a name that is not UTF-8: %v", err)
	}
}
