// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// domain is the domain of the gateway's ErrorInfo.
const domain = "tarn"

// foreign is the code of a status that the gateway did not make: grpc did, on one of the two sides.
var foreign = map[codes.Code]errno.Code{
	codes.Canceled:           errno.Canceled,
	codes.InvalidArgument:    errno.Inval,
	codes.DeadlineExceeded:   errno.TimedOut,
	codes.NotFound:           errno.NonExist,
	codes.AlreadyExists:      errno.Exist,
	codes.PermissionDenied:   errno.NoPerm,
	codes.ResourceExhausted:  errno.Rec2Big, // a message over the limit
	codes.FailedPrecondition: errno.Mismatch,
	codes.Aborted:            errno.TXRestart,
	codes.OutOfRange:         errno.Overflow,
	codes.Unimplemented:      errno.NoSys,
	codes.Unavailable:        errno.Unreach,
	codes.DataLoss:           errno.DataLoss,
	codes.Unauthenticated:    errno.NoCert,
}

// fromStatus makes the one error type of a call's error; nil of nil. When ctx has ended it is ctx's error.
func fromStatus(ctx context.Context, op, ref string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errno.FromContext(op, ref, ctx)
	}
	st := status.Convert(err)
	if info := infoOf(st); info != nil {
		return fromInfo(op, ref, st, info)
	}
	code, known := foreign[st.Code()]
	switch {
	case !known:
		code = errno.Misc
	case code == errno.Unreach && strings.Contains(st.Message(), "first record does not look like a TLS handshake"):
		return errno.New(op, ref, errno.BadCert, "what answers at the endpoint does not speak TLS, and was asked to: "+st.Message())
	case code == errno.Unreach && handshakeFailed(st.Message()):
		return errno.New(op, ref, errno.BadCert, "the gateway and this program do not take each other's certificates: "+st.Message())
	case code == errno.Unreach:
		return errno.New(op, ref, code, "no gateway answers; check the endpoint and that tarn-gateway runs: "+st.Message())
	}
	return errno.New(op, ref, code, st.Message())
}

// handshakeFailed reports whether TLS is why there is no connection. grpc tells it in words only.
func handshakeFailed(message string) bool {
	return strings.Contains(message, "authentication handshake failed: tls:") || strings.Contains(message, "remote error: tls:")
}

func infoOf(st *status.Status) *errdetails.ErrorInfo {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return info
		}
	}
	return nil
}

// fromInfo is the error that the gateway found. Its reference is the caller's, in the words that the caller used.
func fromInfo(op, ref string, st *status.Status, info *errdetails.ErrorInfo) error {
	meta := info.GetMetadata()
	e := errno.New(op, ref, errno.Misc, strings.TrimPrefix(st.Message(), meta["ref"]+": "))
	if rc, err := strconv.ParseInt(meta["rc"], 10, 32); err == nil {
		e.Code = errno.Code(rc)
	}
	if size, err := strconv.ParseUint(meta["size"], 10, 64); err == nil {
		e.Size = size
	}
	if oldest, err := strconv.ParseUint(meta["oldest"], 10, 64); err == nil {
		e.Oldest = oldest
	}
	if index, err := strconv.Atoi(meta["index"]); err == nil {
		e.Index = index
	}
	return e
}

// isAboutKey reports whether what was not found is a key, not the object that should have it.
func isAboutKey(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.ResourceInfo); ok {
			return r.GetResourceType() == "key"
		}
	}
	return false
}

// fromRecv is the error of a stream that ended although more was to come.
func fromRecv(ctx context.Context, op, ref string, err error) error {
	if errors.Is(err, io.EOF) {
		return errno.New(op, ref, errno.Proto, "the gateway ended the stream too early; it may be of another version")
	}
	return fromStatus(ctx, op, ref, err)
}

// serviceConfig has a retry policy for every call that the contract says has no side effects.
var serviceConfig = sync.OnceValue(func() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	for _, file := range []protoreflect.FileDescriptor{
		apiv1.File_tarn_v1_pool_proto, apiv1.File_tarn_v1_container_proto, apiv1.File_tarn_v1_object_proto,
		apiv1.File_tarn_v1_kv_proto, apiv1.File_tarn_v1_snapshot_proto, apiv1.File_tarn_v1_operation_proto, apiv1.File_tarn_v1_admin_proto,
		apiv1.File_tarn_v1_device_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				if m := service.Methods().Get(j); repeatable(m) {
					names = append(names, name{string(service.FullName()), string(m.Name())})
				}
			}
		}
	}
	config, err := json.Marshal(map[string]any{"methodConfig": []any{map[string]any{
		"name": names,
		"retryPolicy": map[string]any{
			"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2.5,
			"retryableStatusCodes": []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(config)
})

func repeatable(m protoreflect.MethodDescriptor) bool {
	options, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}
