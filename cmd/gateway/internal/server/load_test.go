// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

func putEntries(from, to int) (all []*apiv1.PutEntry) {
	for i := from; i < to; i++ {
		all = append(all, &apiv1.PutEntry{Key: fmt.Appendf(nil, "key %06d", i), Value: fmt.Append(nil, i)})
	}
	return all
}

func TestBulkLoad(t *testing.T) {
	_, kv, stub := real(t, Config{})
	load := func(header *apiv1.BulkLoadHeader, parts ...[]*apiv1.PutEntry) (*apiv1.BulkLoadResponse, error) {
		stream, err := stub.BulkLoad(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range parts {
			req := &apiv1.BulkLoadRequest{Entries: part}
			if i == 0 {
				req.Header = header
			}
			if stream.Send(req) != nil {
				break // the answer says why
			}
		}
		return stream.CloseAndRecv()
	}
	resp, err := load(&apiv1.BulkLoadHeader{Object: object}, putEntries(0, 3000), nil, putEntries(3000, 5000))
	if err != nil || resp.GetStored() != 5000 {
		t.Fatalf("BulkLoad: %v, %v", resp, err)
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != 5000 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	insert := &apiv1.BulkLoadHeader{Object: object, Condition: apiv1.Condition_CONDITION_INSERT}
	_, err = load(insert, putEntries(5000, 5100), append(putEntries(5100, 5110), putEntries(7, 9)...))
	if status.Code(err) != codes.AlreadyExists || indexOf(err) != "110" {
		t.Errorf("BulkLoad of a key that is there: %v, index %q", err, indexOf(err))
	}
	if n, err := kv.Count(t.Context(), system.Range{}); n != 5110 || err != nil {
		t.Errorf("%d keys, %v; want what stood before the refusal", n, err)
	}
	_, err = load(nil, putEntries(0, 1))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("BulkLoad without a header: %v", err)
	}
	_, err = load(insert, putEntries(0, 4097))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("BulkLoad of a message with too many entries: %v", err)
	}
}

// indexOf is the metadata "index" of an error.
func indexOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["index"]
		}
	}
	return ""
}

func TestListKeys(t *testing.T) {
	_, kv, stub := real(t, Config{})
	for i := range 250 {
		if err := kv.Put(t.Context(), fmt.Appendf(nil, "%s %03d", []string{"even", "odd"}[i%2], i), nil); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	pages := 0
	for token := ""; ; {
		resp, err := stub.ListKeys(t.Context(), &apiv1.ListKeysRequest{
			Object: object, Range: &apiv1.KeyRange{Prefix: []byte("odd")}, PageSize: 50, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range resp.GetKeys() {
			keys = append(keys, string(key))
		}
		pages++
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if pages != 3 || len(keys) != 125 || keys[0] != "odd 001" || keys[124] != "odd 249" {
		t.Errorf("%d pages, %d keys, from %q to %q", pages, len(keys), keys[0], keys[len(keys)-1])
	}
}

// TestOperations: a scrub is begun, followed, waited for and found again; one that is slow is ended early.
func TestOperations(t *testing.T) {
	s, kv, _ := real(t, Config{})
	conn := connect(t, s.Addr())
	pools, ops := apiv1.NewPoolServiceClient(conn), apiv1.NewOperationServiceClient(conn)
	ctx := t.Context()
	if err := kv.Put(ctx, []byte("large"), make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	check, err := pools.CheckPool(ctx, &apiv1.CheckPoolRequest{Pool: "tank"})
	if err != nil {
		t.Fatal(err)
	}
	done, err := ops.WaitOperation(ctx, &apiv1.WaitOperationRequest{Name: check.GetOperation().GetName()})
	if op := done.GetOperation(); err != nil || !op.GetDone() || op.GetError() != nil || op.GetReport().GetBytes() < 4<<20 || op.GetKind() != "check" {
		t.Errorf("WaitOperation: %v, %v", done, err)
	}
	scrub, err := pools.ScrubPool(ctx, &apiv1.ScrubPoolRequest{Pool: "tank", BytesPerSecond: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	name := scrub.GetOperation().GetName()
	waited, err := ops.WaitOperation(ctx, &apiv1.WaitOperationRequest{Name: name, Timeout: durationpb.New(50 * time.Millisecond)})
	if err != nil || waited.GetOperation().GetDone() {
		t.Errorf("a slow scrub: %v, %v", waited, err)
	}
	list, err := ops.ListOperations(ctx, &apiv1.ListOperationsRequest{})
	if err != nil || len(list.GetOperations()) != 2 || list.GetOperations()[1].GetName() != name {
		t.Errorf("ListOperations: %v, %v", list, err)
	}
	if _, err := ops.CancelOperation(ctx, &apiv1.CancelOperationRequest{Name: name}); err != nil {
		t.Error(err)
	}
	waited, err = ops.WaitOperation(ctx, &apiv1.WaitOperationRequest{Name: name})
	if err != nil || waited.GetOperation().GetError().GetReason() != "DER_CANCELED" {
		t.Errorf("a scrub that was cancelled: %v, %v", waited, err)
	}
	for name, want := range map[string]codes.Code{"operations/99": codes.NotFound, "99": codes.InvalidArgument, "": codes.InvalidArgument} {
		if _, err := ops.GetOperation(ctx, &apiv1.GetOperationRequest{Name: name}); status.Code(err) != want {
			t.Errorf("GetOperation(%q): %v", name, err)
		}
	}
	if _, err := pools.ScrubPool(ctx, &apiv1.ScrubPoolRequest{Pool: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("ScrubPool of no pool: %v", err)
	}
}

// TestSnapshotNames: what stands behind @ in a name is a snapshot, for every call that reads.
func TestSnapshotNames(t *testing.T) {
	s, kv, stub := real(t, Config{})
	conn := connect(t, s.Addr())
	snaps := apiv1.NewSnapshotServiceClient(conn)
	ctx := t.Context()
	if err := kv.Put(ctx, []byte("a"), []byte("then")); err != nil {
		t.Fatal(err)
	}
	made, err := snaps.CreateSnapshot(ctx, &apiv1.CreateSnapshotRequest{Container: "tank/neo", Name: "daily"})
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Put(ctx, []byte("a"), []byte("now")); err != nil {
		t.Fatal(err)
	}
	byEpoch := fmt.Sprintf("tank/neo@@%d", made.GetSnapshot().GetEpoch())
	for _, cont := range []string{"tank/neo@daily", byEpoch} {
		got, err := stub.Get(ctx, &apiv1.GetRequest{Object: cont + "/stadium", Key: []byte("a")})
		if err != nil || string(got.GetValue()) != "then" {
			t.Errorf("Get in %s: %v, %v", cont, got, err)
		}
		_, err = stub.Put(ctx, &apiv1.PutRequest{Object: cont + "/stadium", Key: []byte("a")})
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(fmt.Sprint(status.Convert(err).Details()), "DER_EP_RO") {
			t.Errorf("Put in %s: %v", cont, err)
		}
		info, err := snaps.GetSnapshot(ctx, &apiv1.GetSnapshotRequest{Snapshot: cont})
		if err != nil || info.GetSnapshot().GetName() != "daily" {
			t.Errorf("GetSnapshot(%s): %v, %v", cont, info, err)
		}
	}
	for name, want := range map[string]codes.Code{
		"tank/neo@": codes.InvalidArgument, "tank/neo@@": codes.InvalidArgument, "tank/neo@@x": codes.InvalidArgument,
		"tank/neo@@0": codes.InvalidArgument, "tank/neo@none": codes.NotFound, "tank/neo@@999999": codes.NotFound, "tank/none@daily": codes.NotFound,
	} {
		if _, err := stub.Get(ctx, &apiv1.GetRequest{Object: name + "/stadium", Key: []byte("a")}); status.Code(err) != want {
			t.Errorf("Get in %s: %v; want %v", name, err, want)
		}
	}
	// The handles that the calls above left open, under both names, are no obstacle.
	if _, err := snaps.DeleteSnapshot(ctx, &apiv1.DeleteSnapshotRequest{Snapshot: "tank/neo@daily"}); err != nil {
		t.Errorf("DeleteSnapshot: %v", err)
	}
	if _, err := stub.Get(ctx, &apiv1.GetRequest{Object: byEpoch + "/stadium", Key: []byte("a")}); status.Code(err) != codes.NotFound {
		t.Errorf("Get in a snapshot that is gone: %v", err)
	}
}

func TestStats(t *testing.T) {
	s, kv, _ := real(t, Config{})
	for range 3 {
		if err := kv.Put(t.Context(), []byte("a"), nil); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = kv.Get(t.Context(), []byte("none"))
	stats, err := apiv1.NewAdminServiceClient(connect(t, s.Addr())).GetStats(t.Context(), &apiv1.GetStatsRequest{})
	if err != nil || stats.GetOpenHandles() < 3 || stats.GetInFlightLimitBytes() == 0 {
		t.Fatalf("GetStats: %v, %v", stats, err)
	}
	calls := map[string]string{}
	for _, m := range stats.GetMethods() {
		calls[m.GetMethod()] = fmt.Sprint(m.GetCalls(), " ", m.GetErrors())
	}
	if calls["/tarn.v1.KeyValueService/Put"] != "3 0" || calls["/tarn.v1.KeyValueService/Get"] != "1 1" {
		t.Errorf("calls and errors: %v", calls)
	}
}
