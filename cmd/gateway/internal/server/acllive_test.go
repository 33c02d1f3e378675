// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// TestACLStreams: streams that go on when the list changes end within 5 s, and a session's calls are refused one by one.
func TestACLStreams(t *testing.T) {
	r := newACLRig(t)
	r.set("-", "A::alice@:rw")
	alice := r.as("alice", role.Writer)
	kv := apiv1.NewKeyValueServiceClient(r.open)
	put, err := kv.PutStream(alice)
	wantNil(t, err)
	wantNil(t, put.Send(&apiv1.PutStreamRequest{Part: &apiv1.PutStreamRequest_Header{Header: &apiv1.PutStreamHeader{
		Object: "tank/neo/stadium", Key: []byte("long"), ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}}}))
	load, err := kv.BulkLoad(alice)
	wantNil(t, err)
	wantNil(t, load.Send(&apiv1.BulkLoadRequest{Header: &apiv1.BulkLoadHeader{Object: "tank/neo/stadium"}}))
	watch, err := kv.Watch(alice, &apiv1.WatchRequest{Object: "tank/neo/stadium"})
	wantNil(t, err)
	_, err = watch.Recv()
	wantNil(t, err)
	session, err := kv.Session(alice)
	wantNil(t, err)
	ask := func(key string) codes.Code {
		t.Helper()
		wantNil(t, session.Send(&apiv1.SessionRequest{Calls: []*apiv1.SessionCall{
			{Object: "tank/neo/stadium", Call: &apiv1.SessionCall_Get{Get: &apiv1.GetRequest{Key: []byte(key)}}}}}))
		resp, err := session.Recv()
		wantNil(t, err)
		return codes.Code(resp.GetResults()[0].GetError().GetCode())
	}
	if code := ask("key"); code != codes.OK {
		t.Errorf("before: %v", code)
	}
	time.Sleep(time.Second) // the streams are in their handlers, and go on while the list stays

	r.set("-", "A::bob@:rw")
	changed := time.Now()
	if code := ask("key"); code != codes.PermissionDenied {
		t.Errorf("the session's next call: %v", code)
	}
	for name, end := range map[string]func() error{
		"put": func() error { return put.RecvMsg(&apiv1.PutStreamResponse{}) }, "load": func() error { return load.RecvMsg(&apiv1.BulkLoadResponse{}) },
		"watch": func() (err error) {
			for err == nil { // until then it may say that nothing changes
				_, err = watch.Recv()
			}
			return err
		},
	} {
		if code := status.Code(end()); code != codes.PermissionDenied {
			t.Errorf("%s: %v", name, code)
		}
	}
	if took := time.Since(changed); took > 5*time.Second {
		t.Errorf("the streams ended after %v", took)
	}
	r.audited("Session", "PutStream", "BulkLoad", "Watch")
}

// audited wants denials of these methods in the audit log, with their place, and without a key.
func (r *aclRig) audited(methods ...string) {
	r.t.Helper()
	text := string(must[[]byte](r.t)(os.ReadFile(r.path("audit.log"))))
	for _, m := range methods {
		found := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
			return strings.Contains(line, "/"+m+`"`) && strings.Contains(line, `"PermissionDenied"`) && strings.Contains(line, `"where":"tank/neo`)
		})
		if !found {
			r.t.Errorf("the audit log has no denied %s about tank/neo:\n%s", m, text)
		}
	}
	if strings.Contains(text, "secret-key") {
		r.t.Error("the audit log has a key")
	}
}

// TestACLAudit: what a list denies is in the log, with who and where.
func TestACLAudit(t *testing.T) {
	r := newACLRig(t)
	r.set("-", "A::bob@:r")
	kv := apiv1.NewKeyValueServiceClient(r.open)
	_, err := kv.Get(r.as("alice", role.Reader), &apiv1.GetRequest{Object: "tank/neo/stadium", Key: []byte("secret-key")})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	scan := must2(kv.Scan(r.as("alice", role.Reader), &apiv1.ScanRequest{Object: "tank/neo/stadium"}))
	if _, err := scan.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	r.audited("Get", "Scan")
}

// TestACLListing: one sees what one's lists give anything of, described when they give "t"; the role admin sees all.
func TestACLListing(t *testing.T) {
	r := newACLRig(t)
	ctx := t.Context()
	for i, list := range []string{"A::alice@:r", "A::alice@:rt", "A::bob@:rt", "A::alice@:", "A::alice@:w", "A:G:staff@:t"} {
		label := fmt.Sprintf("c%d", i)
		must2(r.pool.CreateContainer(ctx, label, system.CreateContainer{}))
		c := must2(r.pool.OpenContainer(ctx, label))
		wantNil(t, c.OverwriteACL(ctx, []string{list}))
		wantNil(t, c.Close())
	}
	conts := apiv1.NewContainerServiceClient(r.open)
	for name, c := range map[string]struct {
		roles role.Set
		want  string // with a "+" when they are described
	}{
		"alice": {role.Reader, "c0 c1+ c4 c5+ neo+"}, "bob": {role.Writer, "c2+ c5+ neo+"}, "root": {role.Admin, "c0+ c1+ c2+ c3+ c4+ c5+ neo+"},
	} {
		var got []string
		for token := ""; ; { // pages of one, so that what is left out does not end them
			resp := must2(conts.ListContainers(r.as(name, c.roles, "staff"), &apiv1.ListContainersRequest{Pool: "tank", PageSize: 1, PageToken: token}))
			for _, one := range resp.Containers {
				if got = append(got, one.Label); one.Properties != nil {
					got[len(got)-1] += "+"
				}
			}
			if token = resp.NextPageToken; token == "" {
				break
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s sees %v, want %s", name, got, c.want)
		}
	}
	got := must2(conts.GetContainer(r.as("alice", role.Reader), &apiv1.GetContainerRequest{Container: "tank/c0"})).Container
	if got.Properties != nil || got.Label != "c0" {
		t.Errorf("without t: %v", got)
	}
	r.checkPools()
}

func (r *aclRig) checkPools() {
	r.t.Helper()
	pools := apiv1.NewPoolServiceClient(r.open)
	r.set("A::bob@:r", "-")
	for name, c := range map[string]struct {
		roles role.Set
		want  int
	}{"alice": {role.Writer, 0}, "bob": {role.Reader, 1}, "root": {role.Admin, 1}} {
		if n := len(must2(pools.ListPools(r.as(name, c.roles), &apiv1.ListPoolsRequest{})).Pools); n != c.want {
			r.t.Errorf("%s sees %d pools, want %d", name, n, c.want)
		}
	}
}

// TestACLOperations: an operation is seen by who may read its pool.
func TestACLOperations(t *testing.T) {
	r := newACLRig(t)
	r.set("A::bob@:r", "-")
	pools, ops := apiv1.NewPoolServiceClient(r.open), apiv1.NewOperationServiceClient(r.open)
	op := must2(pools.ScrubPool(r.as("root", role.Admin), &apiv1.ScrubPoolRequest{Pool: "tank"})).Operation.Name
	for name, c := range map[string]struct {
		roles role.Set
		sees  bool
	}{"alice": {role.Writer, false}, "bob": {role.Reader, true}, "root": {role.Admin, true}} {
		ctx := r.as(name, c.roles)
		_, got := ops.GetOperation(ctx, &apiv1.GetOperationRequest{Name: op})
		_, waited := ops.WaitOperation(ctx, &apiv1.WaitOperationRequest{Name: op})
		listed := len(must2(ops.ListOperations(ctx, &apiv1.ListOperationsRequest{})).Operations)
		if (got == nil) != c.sees || (waited == nil) != c.sees || (listed == 1) != c.sees {
			t.Errorf("%s: %v, %v, %d listed", name, got, waited, listed)
		}
	}
}

// TestACLAnonymous: without authentication lists count, too: a caller without a name is one of everybody.
func TestACLAnonymous(t *testing.T) {
	s := start(t, Config{System: engine(t, t.TempDir())})
	r := &aclRig{authRig: &authRig{t: t}, s: s}
	r.fillIn(s.Addr())
	kv := apiv1.NewKeyValueServiceClient(connect(t, s.Addr()))
	get := func() codes.Code {
		_, err := kv.Get(t.Context(), &apiv1.GetRequest{Object: "tank/neo/stadium", Key: []byte("key")})
		return status.Code(err)
	}
	for _, c := range []struct {
		list string
		want codes.Code
	}{{"A::EVERYONE@:r", codes.OK}, {"A::OWNER@:r", codes.PermissionDenied}, {"", codes.PermissionDenied}, {"-", codes.OK}} {
		r.set("-", c.list)
		if code := get(); code != c.want {
			t.Errorf("%q: %v, want %v", c.list, code, c.want)
		}
	}
}
