// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	routes "github.com/tarn-storage/tarn/cmd/gateway/internal/web/routes/tarn/v1"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// newMux has every route.
func (s *Server) newMux() (*runtime.ServeMux, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newJSON()),
		runtime.WithMarshalerOption(typeBytes, raw{newJSON()}),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(outgoing),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(func(ctx context.Context, r *http.Request) metadata.MD { return callOf(ctx).admit(ctx, r) }),
		runtime.WithForwardResponseOption(s.answer),
		runtime.WithErrorHandler(s.fail),
		runtime.WithStreamErrorHandler(func(ctx context.Context, err error) *status.Status { return statusOf(ctx, err) }),
		runtime.WithRoutingErrorHandler(s.lost),
		runtime.SetQueryParameterParser(&strict{}),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash), // a %3A is part of a name, and a ':' begins a verb
		runtime.WithDisablePathLengthFallback(),                          // a POST is never taken for something else
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
	)
	return mux, register(mux, relays{})
}

func register(mux *runtime.ServeMux, to grpc.ClientConnInterface) error {
	ctx := context.Background() // not used
	return errors.Join(
		routes.RegisterPoolServiceHandlerClient(ctx, mux, apiv1.NewPoolServiceClient(to)),
		routes.RegisterContainerServiceHandlerClient(ctx, mux, apiv1.NewContainerServiceClient(to)),
		routes.RegisterObjectServiceHandlerClient(ctx, mux, apiv1.NewObjectServiceClient(to)),
		routes.RegisterKeyValueServiceHandlerClient(ctx, mux, apiv1.NewKeyValueServiceClient(to)),
		routes.RegisterSnapshotServiceHandlerClient(ctx, mux, apiv1.NewSnapshotServiceClient(to)),
		routes.RegisterOperationServiceHandlerClient(ctx, mux, apiv1.NewOperationServiceClient(to)),
		routes.RegisterAdminServiceHandlerClient(ctx, mux, apiv1.NewAdminServiceClient(to)),
		routes.RegisterDeviceServiceHandlerClient(ctx, mux, apiv1.NewDeviceServiceClient(to)),
	)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// passed are the headers that go on to the call, beside Authorization.
var passed = map[string]string{"X-Request-Id": "x-request-id", "Traceparent": "traceparent", "Tracestate": "tracestate"}

func incoming(header string) (string, bool) {
	name, ok := passed[header]
	return name, ok
}

func outgoing(name string) (string, bool) { return "X-Request-Id", name == "x-request-id" }

const freeAnswer = 64 << 10 // bytes of an answer that need no room of their own

// answer takes room for a large answer: who reads it slowly holds it. For the answer of a stream it is called first without a message.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	c := callOf(ctx)
	if m == nil {
		w.Header().Set("Content-Type", typeLines)
		return c.take(2 * freeAnswer)
	}
	if _, scan := m.(*apiv1.ScanResponse); scan { // one message at a time, for which that room is enough
		return nil
	}
	if size := int64(proto.Size(m)); size > freeAnswer {
		return c.take(2 * size)
	}
	return nil
}

// lost answers a path, or a method, that is none.
func (s *Server) lost(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	err := errno.New("", "", errno.NoSys, "there is no such path; /openapi.json has all of them")
	if code == http.StatusMethodNotAllowed {
		err = errno.New("", "", errno.NoSys, "the path has no method "+strconv.Quote(r.Method)+"; /openapi.json has all of them")
	}
	s.fail(ctx, mux, m, w, r, &refusal{code, err})
}

// fail answers with an error: always JSON, a google.rpc.Status with an ErrorInfo.
func (s *Server) fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	st := statusOf(r.Context(), err)
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Del("Transfer-Encoding")
	id(ctx, h)
	code := runtime.HTTPStatusFromCode(st.Code())
	if own := ownStatus(r.Context(), err); own != 0 {
		code = own
	}
	switch st.Code() {
	case codes.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="tarn"`)
	case codes.ResourceExhausted, codes.Unavailable:
		if retry(st) {
			h.Set("Retry-After", "1") // its unit is the second
		}
	}
	text, merr := newJSON().Marshal(st.Proto())
	if merr != nil { // of details that this program does not know: none
		code, text = http.StatusInternalServerError, []byte("{}")
	}
	w.WriteHeader(code)
	_, _ = w.Write(text) // who asked may have gone
}

// id is the request id that the log has the call by.
func id(ctx context.Context, h http.Header) {
	md, _ := runtime.ServerMetadataFromContext(ctx)
	for _, from := range []metadata.MD{md.HeaderMD, md.TrailerMD} {
		if ids := from["x-request-id"]; len(ids) > 0 {
			h.Set("X-Request-Id", ids[0])
		}
	}
}

func retry(st *status.Status) bool {
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

// ownStatus is the HTTP status that an error says by itself; 0: that of its code.
func ownStatus(ctx context.Context, err error) int {
	var r *refusal
	if c := callOf(ctx); c != nil && c.refused != nil {
		err = c.refused
	}
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// statusOf is the status of an error. What the gateway itself said stands; what grpc-gateway or the pipe said gets a name.
func statusOf(ctx context.Context, err error) *status.Status {
	if c := callOf(ctx); c != nil && c.refused != nil {
		err = c.refused
	}
	var own *refusal
	if errors.As(err, &own) {
		err = own.err
	}
	st, is := status.FromError(err)
	if !is {
		return status.Convert(fault.Status(err, false))
	}
	if len(st.Details()) > 0 {
		return st
	}
	return status.Convert(fault.Status(translated(st), false))
}

func translated(st *status.Status) error {
	text := strings.ReplaceAll(st.Message(), "\u00a0", " ") // with which protobuf makes its texts hard to compare
	switch st.Code() {
	case codes.InvalidArgument:
		return invalid("the request is not understood: %s", text)
	case codes.Unavailable:
		return errno.New("", "", errno.Shutdown, "the gateway is going down, or the connection was cut: "+text)
	case codes.DeadlineExceeded:
		e := errno.New("", "", errno.TimedOut, "the time that the caller gave is over")
		e.Err = context.DeadlineExceeded
		return e
	case codes.Canceled:
		return errno.New("", "", errno.Canceled, "the caller has gone")
	case codes.ResourceExhausted:
		return errno.New("", "", errno.Overflow, "the answer does not fit into a message; ask for less at once: "+text)
	}
	return fault.With(st.Code(), errno.New("", "", errno.Misc, text))
}
