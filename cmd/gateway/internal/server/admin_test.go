// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// fetch asks the admin address in the name of host.
func fetch(t *testing.T, s *Server, path, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Admin()+path, nil)
	wantNil(t, err)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	wantNil(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	wantNil(t, err)
	return resp.StatusCode, string(body)
}

func TestMetrics(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", InFlight: 256 << 20, CoreInFlight: func() int { return 7 }})
	sys := dial(t, s.Addr())
	kv := openKV(t, sys)
	for range 3 {
		wantNil(t, kv.Put(t.Context(), []byte("secret-key"), []byte("secret-value")))
	}
	if _, err := kv.Get(t.Context(), []byte("absent")); errno.CodeOf(err) != errno.NonExist {
		t.Fatal(err)
	}
	_, text := fetch(t, s, "/metrics", "")
	for _, want := range []string{
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="tarn.v1.KeyValueService",grpc_type="unary"} 3`,
		`grpc_server_handled_total{grpc_code="NotFound",grpc_method="Get",grpc_service="tarn.v1.KeyValueService",grpc_type="unary"} 1`,
		`grpc_server_handling_seconds_bucket{grpc_method="Put",grpc_service="tarn.v1.KeyValueService",grpc_type="unary",le="50"} 3`,
		`grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="tarn.v1.KeyValueService",grpc_type="unary"} 3`,
		`tarn_pool_total_bytes{pool="tank"} 6.7108864e+07`, `tarn_pool_containers{pool="tank"} 1`, `tarn_pool_free_bytes{pool="tank"} `,
		`tarn_gateway_core_operations_in_flight 7`, `tarn_gateway_ready 1`, `tarn_gateway_in_flight_limit_bytes 2.68435456e+08`,
		`version="0.0.0-test"`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	if strings.Contains(text, "secret-") {
		t.Error("/metrics has a key or a value")
	}
}

// TestAdminGuards: what is answered, and to whom.
func TestAdminGuards(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil }), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"})
	for _, c := range []struct {
		path, host string
		status     int
		says       string
	}{
		{"/livez", "", 200, "ok"}, {"/readyz", "localhost:1", 200, "ok"}, {"/readyz", "[::1]:80", 200, "ok"},
		{"/", "", 200, "Tarn gateway"}, {"/status.json", "", 200, `"label":"tank"`}, {"/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile"},
		{"/metrics", "evil.example", 403, "by another name"}, {"/events", "localhost.evil.example:7448", 403, "by another name"},
		{"/nothing", "", 404, ""},
	} {
		if status, text := fetch(t, s, c.path, c.host); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s of %q: %d, %.200s", c.path, c.host, status, text)
		}
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.org:80", "7448"} {
		sys := newDouble(func(context.Context, string) error { return nil })
		if s, err := New(Config{System: sys, Listen: "127.0.0.1:0", Admin: addr, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("the admin address may be %s", addr)
			_ = s.Stop()
		}
	}
	exposed := start(t, Config{System: newDouble(func(context.Context, string) error { return nil }), Admin: "0.0.0.0:0", AdminExposed: true})
	if exposed.Admin() == "" {
		t.Error("it is not served when it was said to be")
	}
}

// TestDrainIsSeen: while calls end, /livez is well and /readyz is not; and an open page does not hold the gateway up.
func TestDrainIsSeen(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	s := begin(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", System: newDouble(func(_ context.Context, op string) error {
		if op == "put" {
			close(held)
			<-hold
		}
		return nil
	})})
	events, err := http.Get("http://" + s.Admin() + "/events")
	wantNil(t, err)
	defer events.Body.Close()
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	answer := make(chan error, 1)
	go func() {
		_, err := stub.Put(t.Context(), &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k")})
		answer <- err
	}()
	<-held
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if status, _ := fetch(t, s, "/readyz", ""); status == http.StatusServiceUnavailable {
			break
		} else if time.Now().After(end) {
			t.Fatal("/readyz is well while the gateway drains")
		}
	}
	if status, _ := fetch(t, s, "/livez", ""); status != http.StatusOK {
		t.Errorf("/livez says %d", status)
	}
	close(hold)
	wantNil(t, <-answer)
	wantNil(t, <-stopped)
}

// TestEvents: each has all that is known, with the points that are new.
func TestEvents(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil }), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"})
	resp, err := http.Get("http://" + s.Admin() + "/events")
	wantNil(t, err)
	defer resp.Body.Close()
	lines, last, seen := bufio.NewScanner(resp.Body), int64(0), 0
	for seen < 2 && lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e struct {
			Pools  []struct{ Label string }
			Points []struct{ T int64 }
		}
		wantNil(t, json.Unmarshal([]byte(data), &e))
		if len(e.Pools) != 1 {
			t.Errorf("the pools are %v", e.Pools)
		}
		for _, p := range e.Points {
			if p.T <= last {
				t.Errorf("the point of %d came after that of %d", p.T, last)
			}
			last, seen = p.T, seen+1
		}
	}
}

// TestStuckSystem: the counts are there although the system does not answer, and it is said that the rest is old.
func TestStuckSystem(t *testing.T) {
	var stuck bool // set before anybody asks
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", System: newDouble(func(ctx context.Context, op string) error {
		if op == "pools" && stuck {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})})
	stuck = true
	if status, text := fetch(t, s, "/metrics", ""); status != 200 || !strings.Contains(text, "tarn_gateway_pools_stale 1") {
		t.Errorf("%d, %.300s", status, text)
	}
}

// TestDefectWhileWatched: what goes wrong in the system while it is asked is said, and harms nobody.
func TestDefectWhileWatched(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", System: newDouble(func(_ context.Context, op string) error {
		if op == "containers" {
			panic("a defect")
		}
		return nil
	})})
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	if _, err := stub.Put(t.Context(), &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	if status, text := fetch(t, s, "/metrics", ""); status != 200 || !strings.Contains(text, "tarn_gateway_pools_stale 1") {
		t.Errorf("%d, %.300s", status, text)
	}
}

// TestLoggedID: an error that is logged has an id in the log, and the caller learns which.
func TestLoggedID(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", System: newDouble(func(_ context.Context, op string) error {
		if op == "put" {
			return errno.New("put", "tank/neo/stadium", errno.IO, "the disk is gone")
		}
		return nil
	})})
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	for _, own := range []string{"", "mine-1"} {
		ctx, want := t.Context(), own
		if own != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", own)
		}
		var trailer metadata.MD
		_, err := stub.Put(ctx, &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("secret-key")}, grpc.Trailer(&trailer))
		if status.Code(err) != codes.Internal {
			t.Fatal(err)
		}
		if own == "" {
			ids := trailer.Get("x-request-id")
			if len(ids) != 1 || ids[0] == "" {
				t.Fatalf("the trailer is %v", trailer)
			}
			want = ids[0]
		}
		if _, text := fetch(t, s, "/status.json", ""); !strings.Contains(text, `"id":"`+want+`"`) || !strings.Contains(text, "DER_IO") ||
			strings.Contains(text, "secret-") {
			t.Errorf("the page knows %s", text)
		}
	}
}

// TestLookIsNoUse: watching a pool does not keep it open.
func TestLookIsNoUse(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Idle: 200 * time.Millisecond})
	sys := dial(t, s.Addr())
	if _, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, pool)
	for end := time.Now().Add(10 * time.Second); s.handles.Open() > 0; time.Sleep(10 * time.Millisecond) {
		s.handles.EachPool(func(p system.Pool) {
			if _, err := p.Info(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if time.Now().After(end) {
			t.Fatal("a pool that is only watched stays open")
		}
	}
}
