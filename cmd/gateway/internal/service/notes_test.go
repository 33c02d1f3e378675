// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/limit"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn"
)

// restarted is a gateway's services on a pool that stays: what they kept in memory is gone after again.
type restarted struct {
	*Services
	t *testing.T
}

func onPool(t *testing.T) *restarted {
	t.Helper()
	core, err := tarn.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &restarted{t: t, Services: &Services{System: core.System()}}
	r.again()
	t.Cleanup(func() {
		if err := errors.Join(r.Handles.Close(context.Background()), core.Close()); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()
	_, err = r.System.CreatePool(ctx, "tank", system.CreatePool{Size: 64 << 20})
	if err == nil {
		_, err = (&containers{Services: r.Services}).CreateContainer(ctx, &apiv1.CreateContainerRequest{Pool: "tank", Label: "neo"})
	}
	if err == nil {
		_, err = (&objects{Services: r.Services}).CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "stadium"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// again is what a restart does to the services.
func (r *restarted) again() {
	if r.Handles != nil {
		if err := r.Handles.Close(context.Background()); err != nil {
			r.t.Fatal(err)
		}
	}
	r.Services = &Services{System: r.System, Handles: handles.New(r.System, handles.Options{Max: 64, Idle: time.Hour, Patience: time.Second, Log: slog.Default()}), Gate: limit.NewGate(1<<20, 1<<30), Log: slog.Default(), Health: health.NewServer()}
}

// notes opens the notes of tank/neo.
func (r *restarted) notes(f func(system.Container, system.KV)) {
	r.t.Helper()
	err := r.withContainer(r.t.Context(), "tank/neo", func(c system.Container) error {
		notes, err := c.(system.Noter).OpenNotes(r.t.Context())
		if err != nil {
			return err
		}
		f(c, notes)
		return notes.Close()
	})
	if err != nil {
		r.t.Error(err)
	}
}

// creations are calls with an id, which are to have one effect however often they are made.
func creations(r *restarted, n int) map[string]func() (proto.Message, error) {
	ctx := r.t.Context()
	return map[string]func() (proto.Message, error){
		"CreateContainer": func() (proto.Message, error) {
			return (&containers{Services: r.Services}).CreateContainer(ctx, &apiv1.CreateContainerRequest{Pool: "tank", Label: fmt.Sprint("c", n), RequestId: id(n)})
		},
		"CreateObject": func() (proto.Message, error) {
			return (&objects{Services: r.Services}).CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: fmt.Sprint("o", n), RequestId: id(n)})
		},
		"CreatePool": func() (proto.Message, error) {
			resp, err := (&pools{Services: r.Services}).CreatePool(ctx, &apiv1.CreatePoolRequest{Label: fmt.Sprint("p", n), Size: 8 << 20, RequestId: id(n)})
			if resp != nil {
				resp.Pool = &apiv1.Pool{Uuid: resp.Pool.Uuid} // the rest is as it is now
			}
			return resp, err
		},
		"RenameObject": func() (proto.Message, error) {
			s := &objects{Services: r.Services}
			name := fmt.Sprint("before", n)
			if _, err := s.CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: name, RequestId: id(n + 1)}); err != nil {
				return nil, err
			}
			return s.RenameObject(ctx, &apiv1.RenameObjectRequest{Object: "tank/neo/" + name, NewName: fmt.Sprint("after", n), RequestId: id(n)})
		},
		"CreateSnapshot": func() (proto.Message, error) {
			return (&snapshots{Services: r.Services}).CreateSnapshot(ctx, &apiv1.CreateSnapshotRequest{Container: "tank/neo", RequestId: id(n)})
		},
		"CreateSnapshot with a name": func() (proto.Message, error) {
			return (&snapshots{Services: r.Services}).CreateSnapshot(ctx, &apiv1.CreateSnapshotRequest{Container: "tank/neo", Name: fmt.Sprint("s", n), RequestId: id(n + 1)})
		},
		"Increment": func() (proto.Message, error) {
			return (&keyValues{Services: r.Services}).Increment(ctx, &apiv1.IncrementRequest{Object: "tank/neo/stadium", Key: []byte("n"), Delta: 1, RequestId: id(n)})
		},
		"Transact": func() (proto.Message, error) {
			return (&keyValues{Services: r.Services}).Transact(ctx, &apiv1.TransactRequest{Object: "tank/neo/stadium", RequestId: id(n), Success: []*apiv1.Step{
				{Step: &apiv1.Step_Get{Get: []byte("t")}},
				{Step: &apiv1.Step_Change{Change: &apiv1.Mutation{Key: []byte("t"), Change: &apiv1.Mutation_Put{Put: fmt.Append(nil, n)}}}},
			}})
		},
		"ApplyBatch": func() (proto.Message, error) {
			return (&keyValues{Services: r.Services}).ApplyBatch(ctx, &apiv1.ApplyBatchRequest{Object: "tank/neo/stadium", RequestId: id(n), Mutations: []*apiv1.Mutation{
				{Key: fmt.Append(nil, "b", n), Condition: apiv1.Condition_CONDITION_INSERT, Change: &apiv1.Mutation_Put{Put: []byte("v")}},
			}})
		},
	}
}

// TestRestart: a call that is repeated after a restart gets the first answer, and does nothing again.
func TestRestart(t *testing.T) {
	r := onPool(t)
	first := map[string]proto.Message{}
	for n := 0; n < 6; n += 2 {
		for name, call := range creations(r, n) {
			resp, err := call()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			first[fmt.Sprint(name, n)] = resp
		}
	}
	r.again()
	for n := 0; n < 6; n += 2 {
		for name, call := range creations(r, n) {
			resp, err := call()
			if err != nil || !proto.Equal(resp, first[fmt.Sprint(name, n)]) {
				t.Errorf("%s again: %v, %v; the first answer was %v", name, resp, err, first[fmt.Sprint(name, n)])
			}
		}
	}
	for name, call := range creations(r, 100) { // others are not taken for them
		if resp, err := call(); err != nil || proto.Equal(resp, first[fmt.Sprint(name, 0)]) && name != "ApplyBatch" {
			t.Errorf("%s with another id: %v, %v", name, resp, err)
		}
	}
	other := &apiv1.IncrementRequest{Object: "tank/neo/stadium", Key: []byte("n"), Delta: 2, RequestId: id(0)}
	r.again()
	if _, err := (&keyValues{Services: r.Services}).Increment(t.Context(), other); !errors.Is(err, errno.Inval) {
		t.Errorf("an id for another request: %v", err)
	}
}

// TestUnfinished: a creation whose gateway ended between its begin and its answer is found, or done, and done once.
func TestUnfinished(t *testing.T) {
	r := onPool(t)
	ctx := t.Context()
	begin := func(req repeatable) {
		r.notes(func(c system.Container, notes system.KV) {
			err := r.withNotes(ctx, c, "tank/neo", req, nil, func(n *notebook) error { return n.begin(ctx) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	object := &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "made", RequestId: id(1)}
	snapshot := &apiv1.CreateSnapshotRequest{Container: "tank/neo", RequestId: id(2)}
	for _, made := range []bool{false, true} {
		var want *apiv1.Snapshot
		begin(object)
		begin(snapshot)
		if made {
			r.notes(func(c system.Container, _ system.KV) {
				if _, err := c.CreateObject(ctx, object.Name); err != nil {
					t.Error(err)
				}
				info, err := takeSnapshot(ctx, c, "")
				want = snapshotOf(info)
				if err != nil {
					t.Error(err)
				}
			})
		}
		r.again()
		if resp, err := (&objects{Services: r.Services}).CreateObject(ctx, object); err != nil || resp.GetObject().GetName() != object.Name {
			t.Errorf("made %v: %v, %v", made, resp, err)
		}
		resp, err := (&snapshots{Services: r.Services}).CreateSnapshot(ctx, snapshot)
		if err != nil || made && !proto.Equal(resp.GetSnapshot(), want) {
			t.Errorf("made %v: %v, %v; want %v", made, resp, err, want)
		}
		object.Name, object.RequestId, snapshot.RequestId = "made too", id(3), id(4)
	}
	there := &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "stadium", RequestId: id(5)} // not made by this call
	for range 2 {
		if _, err := (&objects{Services: r.Services}).CreateObject(ctx, there); !errors.Is(err, errno.Exist) {
			t.Errorf("an object that was there before: %v", err)
		}
		r.again()
	}
}

// TestWindow: notes are kept for a time, and so many of them; an answer that is too large is not, but the call is not done twice.
func TestWindow(t *testing.T) {
	r := onPool(t)
	ctx := t.Context()
	increment := func() int64 {
		resp, err := (&keyValues{Services: r.Services}).Increment(ctx, &apiv1.IncrementRequest{Object: "tank/neo/stadium", Key: []byte("n"), Delta: 1, RequestId: id(1)})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetValue()
	}
	increment()
	r.notes(func(_ system.Container, notes system.KV) { older(t, notes, replayFor+time.Second) })
	r.again()
	if got := increment(); got != 2 {
		t.Errorf("an id whose time is over: %d, want 2", got)
	}
	r.notes(func(_ system.Container, notes system.KV) {
		for first := range 5 {
			batch := make([]system.Mutation, 1000)
			for i := range batch {
				n := notebook{key: fmt.Appendf(nil, "note %d", first*1000+i)}
				batch[i] = n.note(noteDone, nil)
			}
			if err := notes.Apply(ctx, batch); err != nil {
				t.Fatal(err)
			}
		}
		err := sweep(ctx, notes)
		count, cerr := notes.Count(ctx, system.Range{})
		if err != nil || cerr != nil || count != noteMax {
			t.Errorf("%d notes are left, want %d: %v, %v", count, noteMax, err, cerr)
		}
		older(t, notes, time.Hour)
		err = sweep(ctx, notes)
		if count, _ := notes.Count(ctx, system.Range{}); err != nil || count != 0 {
			t.Errorf("%d old notes are left: %v", count, err)
		}
	})
	large := &apiv1.TransactRequest{Object: "tank/neo/stadium", RequestId: id(9), Success: []*apiv1.Step{{Step: &apiv1.Step_Get{Get: []byte("large")}},
		{Step: &apiv1.Step_Change{Change: &apiv1.Mutation{Key: []byte("large"), Change: &apiv1.Mutation_Put{Put: []byte("small")}}}}}}
	kv := &keyValues{Services: r.Services}
	if _, err := kv.Put(ctx, &apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("large"), Value: make([]byte, answerMax+1)}); err != nil {
		t.Fatal(err)
	}
	if resp, err := kv.Transact(ctx, large); err != nil || len(resp.GetGets()[0].GetValue()) != answerMax+1 {
		t.Errorf("a large answer: %v", err)
	}
	r.again()
	if _, err := (&keyValues{Services: r.Services}).Transact(ctx, large); !errors.Is(err, errno.Already) {
		t.Errorf("its repetition after a restart: %v", err)
	}
}

// older makes all notes older.
func older(t *testing.T, notes system.KV, by time.Duration) {
	t.Helper()
	for e, err := range notes.List(context.Background(), system.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint64(e.Value, uint64(timeOf(e.Value).Add(-by).UnixNano()))
		if err := notes.Put(context.Background(), e.Key, e.Value); err != nil {
			t.Fatal(err)
		}
	}
}
