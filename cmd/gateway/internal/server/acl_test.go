// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-storage/tarn/cmd/internal/role"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

func permissionsOf(m protoreflect.MethodDescriptor) []apiv1.Permission {
	return proto.GetExtension(m.Options(), apiv1.E_Permission).([]apiv1.Permission)
}

// TestEveryRPCHasAPermission: and one that changes a container does not only need to read it.
func TestEveryRPCHasAPermission(t *testing.T) {
	for _, m := range methods(t) {
		needs := permissionsOf(m)
		if len(needs) == 0 || slices.Contains(needs, apiv1.Permission_PERMISSION_UNSPECIFIED) {
			t.Errorf("%s has no option (tarn.v1.permission)", m.FullName())
		}
		reads := slices.Equal(needs, []apiv1.Permission{apiv1.Permission_PERMISSION_READ}) || slices.Equal(needs, []apiv1.Permission{apiv1.Permission_PERMISSION_OPEN})
		writer := accessOf(m) == apiv1.Access_ACCESS_WRITER || accessOf(m) == apiv1.Access_ACCESS_ADMIN
		if reads && writer && m.Name() != "SyncPool" {
			t.Errorf("%s is for writers, and needs no more than to read", m.FullName())
		}
		if named := placeOf(m) != ""; named == slices.Contains(needs, apiv1.Permission_PERMISSION_NONE) && m.Parent().Name() != "DeviceService" &&
			!slices.Contains(needs, apiv1.Permission_PERMISSION_VISIBLE) && !slices.Contains(needs, apiv1.Permission_PERMISSION_EACH) && m.Name() != "CancelOperation" {
			t.Errorf("%s names a pool or a container: %v; and needs %v", m.FullName(), named, needs)
		}
	}
}

// places are the fields that name what an RPC is about, and what they name in these tests.
var places = map[protoreflect.Name]string{"object": "tank/neo/stadium", "snapshot": "tank/neo@daily", "container": "tank/neo", "pool": "tank"}

// placeOf is the field that names what an RPC is about, also in a header within its request.
func placeOf(m protoreflect.MethodDescriptor) protoreflect.Name {
	for _, field := range []protoreflect.Name{"object", "snapshot", "container", "pool"} {
		if has(m.Input(), field) {
			return field
		}
	}
	return ""
}

func has(m protoreflect.MessageDescriptor, field protoreflect.Name) bool {
	if f := m.Fields().ByName(field); f != nil && f.Kind() == protoreflect.StringKind {
		return true
	}
	header := m.Fields().ByName("header")
	return header != nil && has(header.Message(), field)
}

// about is a request that names the place. It asks for nothing that would last: most are refused after the lists were asked.
func about(m protoreflect.MethodDescriptor, names map[protoreflect.Name]string) *dynamicpb.Message {
	req := dynamicpb.NewMessage(m.Input())
	fill(req, names)
	switch m.Name() {
	case "CreateContainer":
		req.Set(m.Input().Fields().ByName("label"), protoreflect.ValueOfString("not/a/label"))
	case "DeleteContainerAcl", "DeletePoolAcl":
		req.Set(m.Input().Fields().ByName("principal"), protoreflect.ValueOfString("u:nobody-at-all@"))
	case "UpdateContainerAcl", "OverwriteContainerAcl", "OverwritePoolAcl", "UpdatePoolAcl":
		req.Mutable(m.Input().Fields().ByName("entries")).List().Append(protoreflect.ValueOfString("nonsense"))
	case "BatchGet", "BatchDelete":
		req.Mutable(m.Input().Fields().ByName("keys")).List().Append(protoreflect.ValueOfBytes([]byte("none")))
	case "BatchPut", "ApplyBatch":
		changes := req.Mutable(m.Input().Fields().Get(1)).List() // entries, mutations
		one := changes.AppendMutable().Message()
		one.Set(one.Descriptor().Fields().ByName("key"), protoreflect.ValueOfBytes([]byte("other")))
		if check := one.Descriptor().Fields().ByName("check"); check != nil {
			one.Set(check, protoreflect.ValueOfBool(true))
		}
	case "DeleteRange":
		req.Mutable(m.Input().Fields().ByName("range"))
	case "DeleteSnapshot":
		fill(req, map[protoreflect.Name]string{"snapshot": "tank/neo@none"})
	case "DeleteObject":
		fill(req, map[protoreflect.Name]string{"object": "tank/neo/none"})
	}
	return req
}

func fill(m protoreflect.Message, names map[protoreflect.Name]string) {
	fields := m.Descriptor().Fields()
	for name, place := range names {
		if f := fields.ByName(name); f != nil && f.Kind() == protoreflect.StringKind {
			m.Set(f, protoreflect.ValueOfString(place))
		}
	}
	if header := fields.ByName("header"); header != nil {
		inner := m.Mutable(header).Message()
		fill(inner, names)
		if kind := inner.Descriptor().Fields().ByName("checksum_type"); kind != nil {
			inner.Set(kind, protoreflect.ValueOfEnum(1))
		}
	}
}

// callOnce calls a method with one request, and reads the answers to their end; of a method that has none, the first.
func callOnce(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, req proto.Message) error {
	full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, full)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(req); err != nil && err != io.EOF {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		err := stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
		if err == io.EOF {
			return nil
		}
		if err != nil || lastingMethods[m.Name()] {
			return err
		}
	}
}

// aclRig is a gateway with "tank/neo/stadium", a snapshot "daily" of "neo", and lists that a test changes behind nobody's back: over
// the gateway, as its admin.
type aclRig struct {
	*authRig
	s      *Server
	open   *grpc.ClientConn // TLS without a certificate: for tokens
	socket string
	pool   system.Pool
	cont   system.Container
}

func newACLRig(t *testing.T) *aclRig {
	t.Helper()
	r := &aclRig{authRig: newAuthRig(t)}
	r.socket = filepath.Join(r.dir, "sock")
	r.s = start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", Socket: r.socket, Auth: r.config(), Timeout: 10 * time.Second})
	r.open = r.dialTLS(r.s.Addr(), nil)
	r.fillIn("unix:" + r.socket)
	return r
}

func (r *aclRig) fillIn(endpoint string) {
	r.t.Helper()
	ctx, sys := r.t.Context(), dial(r.t, endpoint)
	_, err := sys.CreatePool(ctx, "tank", system.CreatePool{Size: 16 << 20})
	wantNil(r.t, err)
	r.pool, err = sys.OpenPool(ctx, "tank")
	wantNil(r.t, err)
	closeAfter(r.t, r.pool)
	owner := "anna"
	_, err = r.pool.CreateContainer(ctx, "neo", system.CreateContainer{Properties: system.Properties{Owner: &owner}})
	wantNil(r.t, err)
	r.cont, err = r.pool.OpenContainer(ctx, "neo")
	wantNil(r.t, err)
	closeAfter(r.t, r.cont)
	kv, err := r.cont.OpenKV(ctx, "stadium", true)
	wantNil(r.t, err)
	wantNil(r.t, kv.Put(ctx, []byte("key"), []byte("value")))
	wantNil(r.t, kv.Close())
	_, err = r.cont.CreateSnapshot(ctx, "daily")
	wantNil(r.t, err)
}

// as is a context of a principal, with a token.
func (r *aclRig) as(name string, roles role.Set, groups ...string) context.Context {
	r.t.Helper()
	text := must[string](r.t)(token.Sign(r.key, token.Token{Principal: name, Roles: roles, Groups: groups, Audience: token.DefaultAudience}, time.Hour))
	return bearing(r.t.Context(), text)
}

// set makes the lists; "-" is none.
func (r *aclRig) set(pool, cont string) {
	r.t.Helper()
	for _, one := range []struct {
		of   system.AccessControl
		list string
	}{{r.pool, pool}, {r.cont, cont}} {
		if one.list == "-" {
			if a, err := one.of.Access(r.t.Context()); err == nil && a.HasList {
				wantNil(r.t, one.of.ClearACL(r.t.Context()))
			}
			continue
		}
		wantNil(r.t, one.of.OverwriteACL(r.t.Context(), strings.Fields(one.list)))
	}
}

// given says, from the rule of an RPC alone, whether one with these letters may call it. It is written anew here, from the contract.
func given(m protoreflect.MethodDescriptor, admin bool, pool, cont string) bool {
	intoPool := strings.ContainsAny(pool, "rt")
	inContainer := placeOf(m) != "pool"
	opens := strings.ContainsAny(cont, "rta")
	may := true
	for _, need := range permissionsOf(m) {
		switch need {
		case apiv1.Permission_PERMISSION_OPEN:
			may = may && (admin || intoPool && (!inContainer || opens))
		case apiv1.Permission_PERMISSION_READ:
			may = may && intoPool && (!inContainer || opens && strings.Contains(cont, "r"))
		case apiv1.Permission_PERMISSION_WRITE:
			may = may && intoPool && opens && strings.Contains(cont, "w")
		case apiv1.Permission_PERMISSION_CREATE_CONTAINER:
			may = may && strings.ContainsAny(pool, "cw")
		case apiv1.Permission_PERMISSION_DELETE_CONTAINER:
			may = may && intoPool && strings.Contains(cont, "d")
		case apiv1.Permission_PERMISSION_SET_PROPERTIES:
			may = may && intoPool && opens && strings.Contains(cont, "T")
		case apiv1.Permission_PERMISSION_GET_ACL:
			may = may && (admin || intoPool && (!inContainer || strings.Contains(cont, "a")))
		case apiv1.Permission_PERMISSION_SET_ACL:
			may = may && (admin || intoPool && opens && strings.Contains(cont, "A"))
		case apiv1.Permission_PERMISSION_SET_OWNER:
			may = may && (admin || intoPool && opens && strings.Contains(cont, "o"))
		}
	}
	return may
}

// lists are what the matrix tries: all and nothing, by every kind; each letter alone and left out; and some with "t", which opens.
func lists(all string) []string {
	cases := []string{all, "", all, "", all, ""}
	for _, letter := range all {
		cases = append(cases, string(letter), strings.ReplaceAll(all, string(letter), ""))
		if letter == 'w' || letter == 'A' || letter == 'T' {
			cases = append(cases, "t"+string(letter))
		}
	}
	return cases
}

// aclCaller is one way to be alice, and what a list calls that.
type aclCaller struct {
	name, principal string
	ctx             context.Context
	conn            *grpc.ClientConn
	roles           role.Set
}

func (r *aclRig) callers() []aclCaller {
	var all []aclCaller
	for _, roles := range []role.Set{role.Reader, role.Writer, role.Admin} {
		pair := must2(r.ca.Client("alice", roles, time.Hour, "staff"))
		plain := r.as("alice", roles)
		all = append(all,
			aclCaller{"token " + roles.String(), "A::alice@:", plain, r.open, roles},
			aclCaller{"certificate " + roles.String(), "A:G:staff@:", r.t.Context(), r.dialTLS(r.s.Addr(), &pair), roles})
	}
	return append(all, aclCaller{"raw token", "A::EVERYONE@:", r.as("alice", role.Raw), r.open, role.Raw},
		aclCaller{"writer's token", "A::EVERYONE@:", r.as("alice", role.Writer), r.open, role.Writer}, aclCaller{"unix", "A::EVERYONE@:", r.t.Context(), r.dialPlain("unix:" + r.socket), role.All})
}

// TestACLMatrix: every RPC, by every role, with each letter given and left out, of the pool and of the container. The kinds of credentials,
// and what names them, take turns.
func TestACLMatrix(t *testing.T) {
	r := newACLRig(t)
	callers, principals, cells := r.callers(), []string{"A::alice@:", "A:G:staff@:", "A::EVERYONE@:"}, 0
	for _, side := range []struct {
		cases          []string
		poolOf, contOf func(string) string
	}{
		{lists("rwdtTaAo"), func(string) string { return "rt" }, func(s string) string { return s }},
		{lists("rwcdt"), func(s string) string { return s }, func(string) string { return "rwdtTaAo" }},
	} {
		for i, letters := range side.cases {
			pool, cont, principal := side.poolOf(letters), side.contOf(letters), principals[i%len(principals)]
			r.set(principal+pool, principal+cont)
			for _, c := range callers {
				if c.principal == principal {
					cells += c.checkAll(t, pool, cont)
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

func (c aclCaller) checkAll(t *testing.T, pool, cont string) (cells int) {
	t.Helper()
	for _, m := range methods(t) {
		if placeOf(m) == "" {
			continue
		}
		cells++
		ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
		code := status.Code(callOnce(ctx, c.conn, m, about(m, places)))
		cancel()
		may := c.roles.May(accessOf(m)) && given(m, c.roles&role.Admin != 0, pool, cont)
		if adminWork(m) && may {
			continue // and is not done here: it would not leave the pool as it is
		}
		if (code == codes.PermissionDenied) == may || code == codes.Unauthenticated {
			t.Errorf("%s by %s with pool %q, container %q: %v, and may is %v", m.Name(), c.name, pool, cont, code, may)
		}
	}
	return cells
}

// adminWork is what no list decides.
func adminWork(m protoreflect.MethodDescriptor) bool {
	return slices.Contains(permissionsOf(m), apiv1.Permission_PERMISSION_ROLE)
}

// TestACLNames: a list holds by whatever name its pool and its container are called, and for what is in a snapshot.
func TestACLNames(t *testing.T) {
	r := newACLRig(t)
	pool := must2(r.pool.Info(t.Context())).UUID
	cont := must2(r.cont.Info(t.Context()))
	snaps := must2(r.cont.Snapshots(t.Context()))
	r.set("-", "A::bob@:rw")
	kv := apiv1.NewKeyValueServiceClient(r.open)
	alice, bob := r.as("alice", role.All), r.as("bob", role.Reader)
	for _, at := range []string{"", "@daily", fmt.Sprintf("@@%d", snaps[0].Epoch)} {
		for _, name := range []string{"tank/neo", pool + "/neo", "tank/" + cont.UUID, pool + "/" + cont.UUID, strings.ToUpper(pool) + "/" + strings.ToUpper(cont.UUID)} {
			req := &apiv1.GetRequest{Object: name + at + "/stadium", Key: []byte("key")}
			if _, err := kv.Get(alice, req); status.Code(err) != codes.PermissionDenied {
				t.Errorf("alice gets %s: %v", req.Object, err)
			}
			if resp, err := kv.Get(bob, req); err != nil || string(resp.GetValue()) != "value" {
				t.Errorf("bob gets %s: %v", req.Object, err)
			}
		}
	}
	for _, absent := range []string{"tank/neo/none", "tank/neo@none/stadium", "tank/neo@@99999/stadium"} {
		if _, err := kv.Get(alice, &apiv1.GetRequest{Object: absent, Key: []byte("key")}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("alice learns whether there is %s: %v", absent, err)
		}
		if _, err := kv.Get(bob, &apiv1.GetRequest{Object: absent, Key: []byte("key")}); status.Code(err) != codes.NotFound {
			t.Errorf("bob, %s: %v", absent, err)
		}
	}
	r.set("A::bob@:r", "-")
	if _, err := kv.Get(r.as("alice", role.Writer), &apiv1.GetRequest{Object: "tank/none/stadium", Key: []byte("key")}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("alice learns of a container: %v", err)
	}
}

// TestACLRepair: the role admin and the owner get a list right again, whatever it says; nobody else does.
func TestACLRepair(t *testing.T) {
	r := newACLRig(t)
	conts := apiv1.NewContainerServiceClient(r.open)
	update := func(ctx context.Context) error {
		_, err := conts.UpdateContainerAcl(ctx, &apiv1.UpdateContainerAclRequest{Container: "tank/neo", Entries: []string{"A::alice@:r"}})
		return err
	}
	admin, owner, other := r.as("root", role.Admin), r.as("anna", role.Writer), r.as("eve", role.Writer)
	for _, c := range []struct {
		pool, cont string
		ctx        context.Context
		may        bool
	}{
		{"-", "-", other, false}, {"-", "-", owner, true}, {"-", "", owner, true}, {"-", "", other, false}, {"-", "", admin, true},
		{"", "", owner, false}, {"", "", admin, true}, {"-", "A::eve@:A", other, false}, {"-", "A::eve@:Ar", other, true},
		{"-", "A::OWNER@:", owner, true}, {"-", "-", r.as("anna", role.Reader), false},
	} {
		r.set(c.pool, c.cont)
		if err := update(c.ctx); (err == nil) != c.may || err != nil && status.Code(err) != codes.PermissionDenied {
			t.Errorf("pool %q, container %q: %v, may is %v", c.pool, c.cont, err, c.may)
		}
	}
	r.set("-", "")
	if _, err := conts.SetContainerOwner(other, &apiv1.SetContainerOwnerRequest{Container: "tank/neo", Owner: proto.String("eve")}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("eve makes herself the owner: %v", err)
	}
	if _, err := conts.SetContainerOwner(admin, &apiv1.SetContainerOwnerRequest{Container: "tank/neo", Owner: proto.String("eve@")}); err != nil {
		t.Error(err)
	}
	wantNil(t, update(other))
	if _, err := conts.DeleteContainerAcl(other, &apiv1.DeleteContainerAclRequest{Container: "tank/neo"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("to delete nothing: %v", err)
	}
}

// TestACLOwners: what is made belongs to who makes it.
func TestACLOwners(t *testing.T) {
	r := newACLRig(t)
	alice := r.as("alice", role.Admin)
	pools, conts := apiv1.NewPoolServiceClient(r.open), apiv1.NewContainerServiceClient(r.open)
	must2(pools.CreatePool(alice, &apiv1.CreatePoolRequest{Label: "pond", Size: 16 << 20, Group: "staff"}))
	must2(conts.CreateContainer(alice, &apiv1.CreateContainerRequest{Pool: "pond", Label: "hers"}))
	must2(conts.CreateContainer(alice, &apiv1.CreateContainerRequest{Pool: "pond", Label: "bobs", Properties: &apiv1.ContainerProperties{Owner: proto.String("bob")}}))
	if a := must2(pools.GetPoolAcl(alice, &apiv1.GetPoolAclRequest{Pool: "pond"})).Access; a.Owner != "alice" || a.Group != "staff" || a.HasList {
		t.Errorf("the pool: %v", a)
	}
	for label, owner := range map[string]string{"hers": "alice", "bobs": "bob"} {
		if a := must2(conts.GetContainerAcl(alice, &apiv1.GetContainerAclRequest{Container: "pond/" + label})).Access; a.Owner != owner {
			t.Errorf("%s: %v", label, a)
		}
	}
}
