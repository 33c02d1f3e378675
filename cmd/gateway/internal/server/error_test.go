// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// overWire is what the contract says of each code: its status, and the detail beside ErrorInfo. It is written down a second time on
// purpose: the table of codes is checked against the text of the contract.
var overWire = []struct {
	code   codes.Code
	detail string
	names  []errno.Code
}{
	{codes.NotFound, "ResourceInfo", []errno.Code{errno.NonExist, errno.NoEntry, errno.ContNonExist}},
	{codes.AlreadyExists, "ResourceInfo", []errno.Code{errno.Exist, errno.Already}},
	{codes.InvalidArgument, "BadRequest", []errno.Code{errno.Inval, errno.IOInval, errno.BadPath, errno.NotDir, errno.NoType,
		errno.Key2Big, errno.Rec2Big}},
	{codes.OutOfRange, "", []errno.Code{errno.Trunc, errno.Overflow, errno.EPOld, errno.RecSize}},
	{codes.ResourceExhausted, "QuotaFailure", []errno.Code{errno.NoSpace, errno.QuotaLimit}},
	{codes.ResourceExhausted, "RetryInfo", []errno.Code{errno.NoMem, errno.DOS, errno.OverloadRetry, errno.EQBusy}},
	{codes.PermissionDenied, "", []errno.Code{errno.NoPerm, errno.OpNotPermitted}},
	{codes.Unauthenticated, "", []errno.Code{errno.NoCert, errno.BadCert}},
	{codes.FailedPrecondition, "PreconditionFailure", []errno.Code{errno.Busy, errno.ContDestroying, errno.EPRO, errno.NotApplicable,
		errno.Mismatch, errno.DFInval, errno.DFIncompt, errno.Proto, errno.IDMismatch}},
	{codes.Internal, "", []errno.Code{errno.NoHdl, errno.IO, errno.NVMeIO, errno.Misc}},
	{codes.Aborted, "", []errno.Code{errno.TXRestart, errno.UpdateAgain, errno.TXIDReused}},
	{codes.Unavailable, "RetryInfo", []errno.Code{errno.Again, errno.InProgress, errno.TXBusy, errno.ChkptBusy, errno.Stale,
		errno.Unreach, errno.HG, errno.NotLeader, errno.Shutdown, errno.NoService, errno.Uninit, errno.TimedOut}},
	{codes.Canceled, "", []errno.Code{errno.Canceled, errno.OpCanceled}},
	{codes.Unimplemented, "", []errno.Code{errno.NoSys, errno.NotSupported}},
	{codes.DataLoss, "", []errno.Code{errno.Csum, errno.DataLoss, errno.RF}},
}

// failing is an error with everything in it.
func failing(code errno.Code) *errno.Error {
	e := errno.New("kv put", "tank/neo/stadium", code, "what was asked, what was found, what to do")
	e.Size, e.Index = 12345, 7
	return e
}

// TestErrors walks every code of the table from the system through a gateway to a client.
func TestErrors(t *testing.T) {
	var fail error
	s := start(t, Config{System: newDouble(func(_ context.Context, op string) error {
		if op == "put" || op == "apply" {
			return fail
		}
		return nil
	})})
	raw := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	kv, joined := doubleOver(t, s), openIn(t, openPool(t, dial(t, s.Addr())))
	walked := map[errno.Code]bool{}
	for _, row := range overWire {
		for _, code := range row.names {
			walked[code] = true
			fail = failing(code)
			_, err := raw.Put(t.Context(), &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k")})
			wantStatus(t, err, row.code, code, row.detail)
			wantError(t, kv.Put(t.Context(), []byte("k"), nil), code)
			if code != errno.OverloadRetry { // then it is made by itself, again and again
				wantJoinedError(t, joined.Put(t.Context(), []byte("k"), nil), code)
			}
		}
	}
	for _, code := range errno.All() {
		if !walked[code] {
			t.Errorf("the contract says nothing of %s", code.Name())
		}
	}
}

// TestOddSentence: a sentence may quote bytes that the wire does not take.
func TestOddSentence(t *testing.T) {
	s := start(t, Config{System: newDouble(func(_ context.Context, op string) error {
		if op == "apply" {
			return errno.New("kv apply", "tank/neo/\xff", errno.Exist, "the key \xff\xfe is there")
		}
		return nil
	})})
	raw := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	resp, err := raw.BatchPut(t.Context(), &apiv1.BatchPutRequest{Object: object, Entries: []*apiv1.PutEntry{{Key: []byte("k")}}})
	if err != nil || resp.GetResults()[0].GetError().GetMessage() != "tank/neo/?: the key ? is there" {
		t.Errorf("in a batch: %v, %v", resp, err)
	}
	err = doubleOver(t, s).Apply(t.Context(), []system.Mutation{{Key: []byte("k")}})
	if !errors.Is(err, errno.Exist) {
		t.Errorf("as an error: %v", err)
	}
}

// TestResources: what is not there, or there already, is named with its kind; and a hint when force would help.
func TestResources(t *testing.T) {
	s, kv, stub := real(t, Config{})
	conn, ctx, key := connect(t, s.Addr()), t.Context(), []byte("none")
	get := func(object string) error {
		_, err := stub.Get(ctx, &apiv1.GetRequest{Object: object, Key: key})
		return err
	}
	for kind, err := range map[string]error{"pool": get("none/neo/stadium"), "container": get("tank/none/stadium"),
		"object": get("tank/neo/none"), "key": get("tank/neo/stadium")} {
		found := ""
		for _, d := range status.Convert(err).Details() {
			if r, ok := d.(*errdetails.ResourceInfo); ok {
				found = r.GetResourceType()
			}
		}
		if found != kind || status.Code(err) != codes.NotFound {
			t.Errorf("a %s that is not there: %v is said to be a %q", kind, err, found)
		}
	}
	pools := apiv1.NewPoolServiceClient(conn)
	_, err := pools.DeletePool(ctx, &apiv1.DeletePoolRequest{Pool: "tank"})
	want(t, "DeletePool of one with containers", err, codes.FailedPrecondition, "DER_BUSY")
	if info, _ := detailsOf(status.Convert(err)); info.GetMetadata()["hint"] != "force" {
		t.Errorf("the hint is %q", info.GetMetadata())
	}
	if there, err := kv.Exists(ctx, key); there || err != nil {
		t.Errorf("Exists of a key that is not there: %v, %v", there, err)
	}
	if _, err := pools.DeletePool(ctx, &apiv1.DeletePoolRequest{Pool: "tank", Force: true}); err != nil {
		t.Fatal(err)
	}
	if there, err := kv.Exists(ctx, key); !errors.Is(err, errno.NonExist) {
		t.Errorf("Exists in a pool that is gone: %v, %v", there, err)
	}
}

// doubleOver opens the double's object over a gateway.
func doubleOver(t *testing.T, s *Server) system.KV {
	t.Helper()
	return openIn(t, openPool(t, dialSeparate(t, s.Addr())))
}

func openPool(t *testing.T, sys system.System) system.Pool {
	t.Helper()
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func wantStatus(t *testing.T, err error, grpcCode codes.Code, code errno.Code, detail string) {
	t.Helper()
	st := status.Convert(err)
	info, other := detailsOf(st)
	if st.Code() != grpcCode || info.GetReason() != code.Name() || info.GetDomain() != "tarn" || other != detail {
		t.Errorf("%s: %v, reason %q, domain %q, detail %q; want %v, %q", code.Name(), st.Code(), info.GetReason(), info.GetDomain(), other,
			grpcCode, detail)
	}
	meta := info.GetMetadata()
	if meta["rc"] != strconv.Itoa(int(code)) || meta["size"] != "12345" || meta["index"] != "7" {
		t.Errorf("%s: metadata %v", code.Name(), meta)
	}
	if want := "tank/neo/stadium: what was asked, what was found, what to do"; st.Message() != want {
		t.Errorf("%s: message %q", code.Name(), st.Message())
	}
}

func detailsOf(st *status.Status) (info *errdetails.ErrorInfo, other string) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.ResourceInfo:
			other += "ResourceInfo"
		case *errdetails.BadRequest:
			other += "BadRequest"
		case *errdetails.QuotaFailure:
			other += "QuotaFailure"
		case *errdetails.RetryInfo:
			other += "RetryInfo"
		case *errdetails.PreconditionFailure:
			other += "PreconditionFailure"
		default:
			other += "?"
		}
	}
	return info, other
}

func wantError(t *testing.T, err error, code errno.Code) {
	t.Helper()
	var e *errno.Error
	if !errors.Is(err, code) || !errors.As(err, &e) {
		t.Errorf("%s: the client has %v", code.Name(), err)
		return
	}
	want := failing(code)
	if e.Message != want.Message || e.Size != want.Size || e.Index != want.Index || e.Ref != want.Ref || e.Op != want.Op {
		t.Errorf("%s: the client has %#v", code.Name(), e)
	}
}

// wantJoinedError wants the error of a put that went with others: it is the same, but that it names no place in a batch.
func wantJoinedError(t *testing.T, err error, code errno.Code) {
	t.Helper()
	var e *errno.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: a joined put has %v", code.Name(), err)
		return
	}
	same := *e
	same.Index = failing(code).Index
	wantError(t, &same, code)
}

// TestDeadlines: whose deadline passed decides the answer.
func TestDeadlines(t *testing.T) {
	s := start(t, Config{Timeout: 50 * time.Millisecond, System: newDouble(func(ctx context.Context, op string) error {
		if op != "put" {
			return nil
		}
		<-ctx.Done()
		return errno.FromContext("kv put", "tank/neo/stadium", ctx)
	})})
	raw := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	req := &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k")}
	_, err := raw.Put(t.Context(), req)
	if info, other := detailsOf(status.Convert(err)); status.Code(err) != codes.Unavailable || info.GetReason() != "DER_TIMEDOUT" || other != "RetryInfo" {
		t.Errorf("when the server's deadline passed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := raw.Put(ctx, req); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("when the caller's deadline passed: %v", err)
	}
	kv := doubleOver(t, s)
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond) // longer than the server's, which does not count then
	defer cancel()
	if err := kv.Put(ctx, []byte("k"), nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errno.TimedOut) {
		t.Errorf("the client's deadline passed: %v", err)
	}
}

// TestPanic: a defect in one call is the error of that call, and of no other.
func TestPanic(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil })})
	conn := connect(t, s.Addr())
	kv := apiv1.NewKeyValueServiceClient(conn)
	_, err := kv.Count(t.Context(), &apiv1.CountRequest{Object: "tank/neo/stadium"}) // which the double has not
	if info, _ := detailsOf(status.Convert(err)); status.Code(err) != codes.Internal || info.GetReason() != "DER_MISC" {
		t.Errorf("unary: %v", err)
	}
	scan, err := kv.Scan(t.Context(), &apiv1.ScanRequest{Object: "tank/neo/stadium"})
	if err == nil {
		_, err = scan.Recv()
	}
	if status.Code(err) != codes.Internal {
		t.Errorf("stream: %v", err)
	}
	check, err := apiv1.NewPoolServiceClient(conn).CheckPool(t.Context(), &apiv1.CheckPoolRequest{Pool: "tank"})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := apiv1.NewOperationServiceClient(conn).WaitOperation(t.Context(), &apiv1.WaitOperationRequest{Name: check.GetOperation().GetName()})
	if code := codes.Code(ended.GetOperation().GetError().GetCode()); err != nil || code != codes.Internal {
		t.Errorf("operation: %v, %v", code, err)
	}
	if _, err := apiv1.NewAdminServiceClient(conn).Echo(t.Context(), &apiv1.EchoRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if s.gate.Free() != s.cfg.InFlight {
		t.Errorf("%d bytes are still taken", s.cfg.InFlight-s.gate.Free())
	}
}

// TestOverload: a full gateway says so at once, and when to come back.
func TestOverload(t *testing.T) {
	s := start(t, Config{InFlight: 20000, System: newDouble(func(context.Context, string) error { return nil })})
	raw := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	req := &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("k"), Value: make([]byte, 30000)}
	_, err := raw.Put(t.Context(), req)
	if info, other := detailsOf(status.Convert(err)); status.Code(err) != codes.ResourceExhausted || info.GetReason() != "DER_OVERLOAD_RETRY" ||
		other != "RetryInfo" {
		t.Errorf("a request of more than is free: %v, %s", err, other)
	}
	req.Value = req.Value[:1000]
	if _, err := raw.Put(t.Context(), req); err != nil {
		t.Errorf("a request that fits: %v", err)
	}
}

// TestRequestID: the caller's id comes back.
func TestRequestID(t *testing.T) {
	s := start(t, Config{System: newDouble(func(context.Context, string) error { return nil })})
	stub := apiv1.NewAdminServiceClient(connect(t, s.Addr()))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc-123")
	var header metadata.MD
	if _, err := stub.Echo(ctx, &apiv1.EchoRequest{}, grpcHeader(&header)); err != nil {
		t.Fatal(err)
	}
	if got := header.Get("x-request-id"); len(got) != 1 || got[0] != "abc-123" {
		t.Errorf("x-request-id came back as %q", got)
	}
}
