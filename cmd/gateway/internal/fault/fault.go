// SPDX-License-Identifier: Apache-2.0

// Package fault turns errors of the system into gRPC statuses. Which status a code has is a column of the one error table (package
// errno); here stands only what a status says beside its code. No other package makes a status.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Domain is the domain of every ErrorInfo.
const Domain = "tarn"

// retryAfter is the delay that a RetryInfo asks for.
const retryAfter = 100 * time.Millisecond

// refusal is an error that the gateway itself found, with what the wire says beyond its code.
type refusal struct {
	err   *errno.Error
	field string     // of the request, for INVALID_ARGUMENT
	code  codes.Code // instead of the table's, when not OK
	hint  string     // a field of the request that would help
	kind  string     // of the resource that is or is not there, when not told by the reference
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Invalid says that a field of the request is not as it must be.
func Invalid(field, ref, format string, args ...any) error {
	return Field(field, errno.New("", ref, errno.Inval, fmt.Sprintf(format, args...)))
}

// Field says which field of the request an error is about.
func Field(field string, err *errno.Error) error { return &refusal{err: err, field: field} }

// With gives an error another status code than the table's.
func With(code codes.Code, err *errno.Error) error { return &refusal{err: err, code: code} }

// Hint names a field of the request that would make the call succeed, when err is BUSY.
func Hint(err error, field string) error {
	if err == nil {
		return nil
	}
	if e := detail(err); e.Code == errno.Busy {
		return &refusal{err: e, hint: field}
	}
	return err
}

// Key says that what is there, or is not, is a key: the reference of an error is that of its object.
func Key(err error) error {
	if err == nil {
		return nil
	}
	if e := detail(err); e.Code == errno.NonExist || e.Code == errno.Exist {
		return &refusal{err: e, kind: "key"}
	}
	return err
}

// detail is the *errno.Error in err, or one made of it.
func detail(err error) *errno.Error {
	var e *errno.Error
	if errors.As(err, &e) {
		return e
	}
	code := errno.CodeOf(err)
	message := code.Text()
	if code == errno.Misc {
		message = err.Error()
	}
	e = errno.New("", "", code, message)
	e.Err = err
	return e
}

// Status is the status of an error that a handler returned. ownDeadline says that the deadline of the call was the server's, not the
// caller's. A status stays what it is.
func Status(err error, ownDeadline bool) error {
	if err == nil {
		return nil
	}
	var has interface{ GRPCStatus() *status.Status }
	if errors.As(err, &has) {
		return err
	}
	e, r := sendable(detail(err)), &refusal{}
	errors.As(err, &r)
	st := status.New(codeOf(e, r, ownDeadline), text(e))
	full, derr := st.WithDetails(details(st.Code(), e, r)...)
	if derr != nil { // OK has no details; nothing else fails
		return st.Err()
	}
	return full.Err()
}

// sendable is the error with texts that the wire takes: a sentence may quote a key, which is any bytes.
func sendable(e *errno.Error) *errno.Error {
	clean := *e
	clean.Ref, clean.Message = strings.ToValidUTF8(e.Ref, "?"), strings.ToValidUTF8(e.Message, "?")
	return &clean
}

// text is the status message: on what, and the sentence.
func text(e *errno.Error) string {
	if e.Ref == "" {
		return e.Sentence()
	}
	return e.Ref + ": " + e.Sentence()
}

// codeOf is the table's code, but where section "errors" of the API has two for one name.
func codeOf(e *errno.Error, r *refusal, ownDeadline bool) codes.Code {
	switch {
	case r.code != codes.OK:
		return r.code
	case e.Code == errno.TimedOut && (ownDeadline || !errors.Is(e.Err, context.DeadlineExceeded)):
		return codes.Unavailable // the server's limit passed, not the caller's
	case e.Code == errno.NoHdl:
		return codes.Internal // the wire has no handles: it is the gateway's own that was closed
	}
	return codes.Code(e.Code.GRPC())
}

// details are the ErrorInfo that every status has, and the one that belongs to its code.
func details(code codes.Code, e *errno.Error, r *refusal) []protoadapt.MessageV1 {
	all := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: e.Code.Name(), Domain: Domain, Metadata: metadata(e, r)},
	}
	if d := byCode(code, e, r); d != nil {
		all = append(all, d)
	}
	return all
}

func byCode(code codes.Code, e *errno.Error, r *refusal) protoadapt.MessageV1 {
	switch code {
	case codes.NotFound, codes.AlreadyExists:
		return &errdetails.ResourceInfo{ResourceType: resourceType(e, r), ResourceName: e.Ref, Description: e.Sentence()}
	case codes.InvalidArgument:
		return &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: field(e, r), Description: e.Sentence(), Reason: e.Code.Name()}}}
	case codes.FailedPrecondition:
		return &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: e.Code.Name(), Subject: e.Ref, Description: e.Sentence()}}}
	case codes.ResourceExhausted:
		if e.Code == errno.NoSpace || e.Code == errno.QuotaLimit { // trying again does not help
			return &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: e.Ref, Description: e.Sentence()}}}
		}
		return retry()
	case codes.Unavailable:
		return retry()
	}
	return nil
}

func retry() *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}
}

func metadata(e *errno.Error, r *refusal) map[string]string {
	m := map[string]string{"rc": strconv.Itoa(int(e.Code))}
	if e.Ref != "" {
		m["ref"] = e.Ref
	}
	if e.Size > 0 {
		m["size"] = strconv.FormatUint(e.Size, 10)
	}
	if e.Oldest > 0 {
		m["oldest"] = strconv.FormatUint(e.Oldest, 10)
	}
	if e.Index >= 0 {
		m["index"] = strconv.Itoa(e.Index)
	}
	if r.hint != "" {
		m["hint"] = r.hint
	}
	switch e.Code {
	case errno.Key2Big:
		m["limit"] = strconv.Itoa(system.KeyMax)
	case errno.Rec2Big:
		m["limit"] = strconv.FormatUint(system.ValueMax, 10)
	case errno.Csum, errno.DataLoss, errno.RF:
		m["object"] = e.Ref
	}
	return m
}

// field is the field of the request that the error is about, as far as it is known.
func field(e *errno.Error, r *refusal) string {
	switch {
	case r.field != "":
		return r.field
	case e.Code == errno.Key2Big:
		return "key"
	case e.Code == errno.Rec2Big:
		return "value"
	case e.Code == errno.BadPath, e.Code == errno.NotDir:
		return "device"
	}
	return "request"
}

// resourceType is what is there, or is not.
func resourceType(e *errno.Error, r *refusal) string {
	switch parts := strings.Count(e.Ref, "/"); {
	case r.kind != "":
		return r.kind
	case e.Code == errno.ContNonExist || parts == 1:
		return "container"
	case parts == 0:
		return "pool"
	}
	return "object"
}
