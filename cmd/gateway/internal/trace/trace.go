// SPDX-License-Identifier: Apache-2.0

// Package trace exports spans of calls, and of what they ask of the storage, by OpenTelemetry's protocol.
//
// Always true: it is off unless one of OpenTelemetry's environment variables names an endpoint, and then a Tracing is nil and nothing of
// this package runs in a call. No key, no value and no sentence of an error, which may quote a key, is in a span. A collector that does not
// answer costs spans, never a call.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/tarn-storage/tarn/go/errno"
)

const (
	requestID    = "x-request-id"
	requestIDMax = 128
	stopTime     = 5 * time.Second
)

// Tracing makes spans. It is safe for concurrent use; nil makes none.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   oteltrace.Tracer
	counts   *counts
}

// FromEnv is what OTEL_EXPORTER_OTLP_ENDPOINT and its neighbours ask for: nil when they name no endpoint. Errors: a protocol or an exporter
// that is not offered here. The caller calls Stop in the end.
func FromEnv(version string, log *slog.Logger) (*Tracing, error) {
	if !wanted() {
		return nil, nil
	}
	ctx := context.Background() // a connection is made when there are spans
	exporter, err := exporterOf(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("tarn-gateway"), semconv.ServiceVersion(version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not exported", "error", err) }))
	n := &counts{}
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(counting{sdk.NewBatchSpanProcessor(silent{exporter, n}), n}),
		sdk.WithResource(about)) // and OTEL_TRACES_SAMPLER, OTEL_BSP_*
	return &Tracing{provider: provider, counts: n, tracer: provider.Tracer("github.com/tarn-storage/tarn/cmd/gateway")}, nil
}

func wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return setting("ENDPOINT") != ""
}

// setting is a variable of the exporter, for traces or for everything.
func setting(name string) string {
	if value := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); value != "" {
		return value
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

func exporterOf(ctx context.Context) (sdk.SpanExporter, error) {
	if name := os.Getenv("OTEL_TRACES_EXPORTER"); name != "" && name != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, and only otlp and none are offered here", name)
	}
	switch protocol := setting("PROTOCOL"); protocol {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, and only grpc and http/protobuf are offered here", protocol)
	}
}

// Stop exports what is left, and ends. It takes 5 s at most.
func (t *Tracing) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Options make a span of each call of a gRPC server, but for those that only ask for its health. There are none without tracing: not even
// a handler that does nothing.
func (t *Tracing) Options() []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(t.handler())}
}

func (t *Tracing) handler() stats.Handler {
	return identified{otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}), otelgrpc.WithFilter(filters.Not(filters.HealthCheck())))}
}

// identified gives a span the request id that the caller sent.
type identified struct{ stats.Handler }

// TagRPC implements stats.Handler.
func (h identified) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	ctx = h.Handler.TagRPC(ctx, info)
	if ids := metadata.ValueFromIncomingContext(ctx, requestID); len(ids) == 1 && len(ids[0]) <= requestIDMax {
		oteltrace.SpanFromContext(ctx).SetAttributes(attribute.String("tarn.request_id", ids[0]))
	}
	return ctx
}

// Span is what a call asks of the storage. The zero value is none.
type Span struct{ span oteltrace.Span }

// Storage begins a span; ref names the thing that it is about. What is done outside a call has none.
func (t *Tracing) Storage(ctx context.Context, what, ref string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.storage(ctx, what, ref)
}

func (t *Tracing) storage(ctx context.Context, what, ref string) (context.Context, Span) {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, "storage "+what, oteltrace.WithAttributes(attribute.String("tarn.ref", strings.ToValidUTF8(ref, "?"))))
	return ctx, Span{span}
}

// End ends the span with how it ended, which it returns.
func (s Span) End(err error) error {
	if s.span == nil {
		return err
	}
	if err != nil {
		s.span.SetAttributes(attribute.String("error.type", errno.CodeOf(err).Name()))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
	return err
}

// silent is an exporter that leaves the descriptions of statuses out: those of gRPC are sentences of errors.
type silent struct {
	sdk.SpanExporter
	n *counts
}

// ExportSpans implements sdk.SpanExporter.
func (s silent) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	quiet := make([]sdk.ReadOnlySpan, len(spans))
	for i, span := range spans {
		quiet[i] = wordless{span}
	}
	err := s.SpanExporter.ExportSpans(ctx, quiet)
	if err == nil {
		s.n.exported.Add(uint64(len(spans)))
	}
	return err
}

// counts are of spans that are sampled.
type counts struct{ made, exported atomic.Uint64 }

// counting counts the spans that its processor is given.
type counting struct {
	sdk.SpanProcessor
	n *counts
}

// OnEnd implements sdk.SpanProcessor.
func (c counting) OnEnd(span sdk.ReadOnlySpan) {
	if span.SpanContext().IsSampled() {
		c.n.made.Add(1)
	}
	c.SpanProcessor.OnEnd(span)
}

// Spans are how many were made, and how many of them a collector took. The others wait, or were dropped.
func (t *Tracing) Spans() (made, exported uint64) {
	if t == nil {
		return 0, 0
	}
	return t.counts.made.Load(), t.counts.exported.Load()
}

type wordless struct{ sdk.ReadOnlySpan }

// Status implements sdk.ReadOnlySpan.
func (w wordless) Status() sdk.Status { return sdk.Status{Code: w.ReadOnlySpan.Status().Code} }
