// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// receiver takes spans as a collector does, over gRPC and over HTTP.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	mu   sync.Mutex
	got  []*collector.ExportTraceServiceRequest
	addr string
}

func (r *receiver) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, req)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	body, _ := io.ReadAll(h.Body)
	req := &collector.ExportTraceServiceRequest{}
	if h.URL.Path != "/v1/traces" || proto.Unmarshal(body, req) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = r.Export(h.Context(), req)
}

func overGRPC(t *testing.T) *receiver {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	r, s := &receiver{addr: "http://" + l.Addr().String()}, grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	return r
}

func overPlainHTTP(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.addr = s.URL
	return r
}

// spans are those that came, by name.
func (r *receiver) spans() map[string]*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]*otlp.Span{}
	for _, req := range r.got {
		for _, of := range req.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					all[s.GetName()] = s
				}
			}
		}
	}
	return all
}

func valueOf(all []*common.KeyValue, key string) string {
	for _, kv := range all {
		if kv.GetKey() == key {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}

// TestTraces: a call and what it asks of the storage are spans of the caller's trace, over gRPC and over HTTP, and no key and no value is
// in them, nor a sentence of an error.
func TestTraces(t *testing.T) {
	for name, receive := range map[string]func(*testing.T) *receiver{"grpc": overGRPC, "http": overPlainHTTP} {
		t.Run(name, func(t *testing.T) {
			r := receive(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.addr)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
			traced(t)
			r.check(t)
		})
	}
}

const (
	traceID    = "0af7651916cd43dd8448eb211c80319c"
	tracedKey  = "secret-key"
	tracedText = "secret-value"
)

// traced makes calls of a gateway, and stops it.
func traced(t *testing.T) {
	t.Helper()
	s := begin(t, Config{System: engine(t, t.TempDir()), HTTP: "127.0.0.1:0"})
	kv := openKV(t, dial(t, s.Addr()))
	stub := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+traceID+"-b7ad6b7169203331-01", "x-request-id", "a-request")
	if _, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte(tracedKey), Value: []byte(tracedText)}); err != nil {
		t.Error(err)
	}
	overHTTP(t, s).ok("GET", keysPath+"/"+tracedKey, "", "Traceparent", "00-"+traceID+"-b7ad6b7169203332-01")
	_ = kv.Close() // over the wire it is nothing
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if made, exported := s.trace.Spans(); made == 0 || exported != made {
		t.Errorf("%d spans were made, and %d exported", made, exported)
	}
}

func (r *receiver) check(t *testing.T) {
	t.Helper()
	all := r.spans()
	put, get, below := all["tarn.v1.KeyValueService/Put"], all["tarn.v1.KeyValueService/Get"], all["storage object"]
	if put == nil || get == nil || below == nil || all["storage create pool"] == nil {
		t.Fatalf("spans are missing: %v", all)
	}
	for _, s := range []*otlp.Span{put, get, below} {
		if got := hex.EncodeToString(s.GetTraceId()); got != traceID {
			t.Errorf("%s is of the trace %s", s.GetName(), got)
		}
	}
	if id := valueOf(put.GetAttributes(), "tarn.request_id"); id != "a-request" {
		t.Errorf("the request id is %q", id)
	}
	if ref := valueOf(below.GetAttributes(), "tarn.ref"); ref != object {
		t.Errorf("the storage was asked about %q", ref)
	}
	for _, req := range r.got {
		if about := req.GetResourceSpans()[0].GetResource().GetAttributes(); valueOf(about, "service.name") != "tarn-gateway" ||
			valueOf(about, "service.version") != "0.0.0-test" || valueOf(about, "deployment.environment.name") != "test" {
			t.Errorf("the resource is %v", about)
		}
		if text := prototext.Format(req); strings.Contains(text, tracedKey) || strings.Contains(text, tracedText) {
			t.Errorf("a key or a value is in a span:\n%s", text)
		}
	}
}

// TestTracesOfErrors: a span has the name of an error, and not its sentence, which may quote a key.
func TestTracesOfErrors(t *testing.T) {
	r := overPlainHTTP(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.addr)
	s := begin(t, Config{HTTP: "127.0.0.1:0", System: newDouble(func(_ context.Context, op string) error {
		if op == "get" {
			return errno.New("kv get", object, errno.IO, "the page of "+tracedKey+" cannot be read")
		}
		return nil
	})})
	if reply := overHTTP(t, s).do("GET", keysPath+"/k", ""); reply.StatusCode != http.StatusInternalServerError {
		t.Errorf("%s %s", reply.Status, reply.text)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	call, below := r.spans()["tarn.v1.KeyValueService/Get"], r.spans()["storage object"]
	if call.GetStatus().GetCode() != otlp.Status_STATUS_CODE_ERROR || below.GetStatus().GetCode() != otlp.Status_STATUS_CODE_ERROR ||
		valueOf(below.GetAttributes(), "error.type") != "DER_IO" || call.GetStatus().GetMessage()+below.GetStatus().GetMessage() != "" {
		t.Errorf("%v\n%v", call, below)
	}
	if text := prototext.Format(r.got[0]); strings.Contains(text, tracedKey) {
		t.Errorf("a sentence is in a span:\n%s", text)
	}
}

// TestTracesAreOff: without an endpoint, or when it is said in so many words, there is no tracing at all; what is not offered is refused.
func TestTracesAreOff(t *testing.T) {
	for _, env := range [][]string{{}, {"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}} {
		if len(env) > 0 {
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(env[0], env[1])
		}
		if s := start(t, Config{System: quiet()}); s.trace != nil || s.trace.Options() != nil || s.services.Trace != nil {
			t.Errorf("%v: there is tracing", env)
		}
		if len(env) > 0 {
			t.Setenv(env[0], "")
		}
	}
	for name, value := range map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"} {
		t.Setenv(name, value)
		if s, err := New(Config{System: quiet(), Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%s=%s: %v, %v", name, value, s, err)
		}
		t.Setenv(name, "")
	}
}

// TestTracesAreLost: a collector that is not there holds no call and no stop up.
func TestTracesAreLost(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	s := start(t, Config{System: quiet(), HTTP: "127.0.0.1:0"})
	overHTTP(t, s).ok("GET", "/v1/pools", "")
	until := time.Now().Add(10 * time.Second) // a span ends after its answer
	for made, _ := s.trace.Spans(); made == 0 && time.Now().Before(until); made, _ = s.trace.Spans() {
		time.Sleep(time.Millisecond)
	}
	if made, exported := s.trace.Spans(); made == 0 || exported != 0 {
		t.Errorf("%d spans were made, and %d exported to nobody", made, exported)
	}
}
