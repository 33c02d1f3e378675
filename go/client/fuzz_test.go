// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"strconv"
	"testing"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/go/errno"
)

// FuzzEndpoint: an endpoint that is taken is one that gRPC can dial, and no text makes the checks fall over.
func FuzzEndpoint(f *testing.F) {
	for _, text := range []string{"unix:/run/tarn.sock", "dns:///localhost:7447", "[::1]:7447", "localhost", "dns:", "unix:", ":1", "a:b:c", "\xff:1", "%:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkEndpoint(text) != nil {
			return
		}
		for _, o := range []Options{{}, {Token: "t"}} {
			_ = o.check(text)
			if _, err := o.transport(text); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// FuzzStatus: whatever a gateway answers becomes one error, with a code, and keeps what it says.
func FuzzStatus(f *testing.F) {
	st, err := status.New(codes.NotFound, "9-uuid: a sentence").WithDetails(
		&errdetails.ErrorInfo{Domain: "tarn", Reason: "DER_NONEXIST", Metadata: map[string]string{"rc": "-1005", "ref": "9-uuid", "size": "7", "index": "3"}},
		&errdetails.ResourceInfo{ResourceType: "key"})
	if err != nil {
		f.Fatal(err)
	}
	wire, err := proto.Marshal(st.Proto())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte{8, 99})
	f.Fuzz(func(t *testing.T, wire []byte) {
		st := &spb.Status{}
		if proto.Unmarshal(wire, st) != nil || st.Code == 0 {
			return
		}
		err := fromStatus(t.Context(), "kv get", "tank/neo/stadium", status.ErrorProto(st))
		var e *errno.Error
		if !errors.As(err, &e) || e.Op != "kv get" || e.Ref != "tank/neo/stadium" {
			t.Fatalf("%v: %#v", st, err)
		}
		_ = isAboutKey(status.ErrorProto(st))
		_ = e.Error()
	})
}

// FuzzInfo: the numbers of an ErrorInfo come through, or are not there.
func FuzzInfo(f *testing.F) {
	f.Add("-1005", "7", "3", "tank", "tank: a sentence")
	f.Add("x", "-1", "99999999999999999999", "", "")
	f.Add("\xcc", "\x80", "0", "0", "0") // no text, though together it is
	f.Fuzz(func(t *testing.T, rc, size, index, ref, message string) {
		for _, s := range []string{rc, size, index, ref, message} {
			if !utf8.ValidString(s) {
				return
			}
		}
		st, err := status.New(codes.Internal, message).WithDetails(&errdetails.ErrorInfo{Domain: domain,
			Metadata: map[string]string{"rc": rc, "size": size, "index": index, "ref": ref}})
		if err != nil {
			t.Fatal(err)
		}
		var e *errno.Error
		if !errors.As(fromStatus(t.Context(), "op", "ref", st.Err()), &e) {
			t.Fatal("it is no *errno.Error")
		}
		if n, err := strconv.ParseInt(rc, 10, 32); err == nil && e.Code != errno.Code(n) || err != nil && e.Code != errno.Misc {
			t.Errorf("rc %q is %d", rc, e.Code)
		}
		if n, err := strconv.ParseUint(size, 10, 64); (err == nil) != (e.Size == n && err == nil) {
			t.Errorf("size %q is %d", size, e.Size)
		}
	})
}
