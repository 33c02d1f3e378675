// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/fault"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// The first answer of a call with a request_id is also kept in the notes of its container, so that it is there when the gateway was
// killed in between:
//
//	call                            its note is written
//	Increment, Transact, ApplyBatch in the same instant as what they change
//	CreateObject, RenameObject, CreateSnapshot
//	                                before they change anything, without an answer, and again behind it, with the answer
//	CreateContainer                 in the new container, behind its creation
//	CreatePool                      no note: the pool itself keeps which request made it, from its creation on
//
// A note is 8 bytes of time (ns since 1970, big-endian), 32 of the request's SHA-256, one of its state, and the answer. A container keeps
// those of the last ten minutes, and at most noteMax and noteSweep of them.
const (
	noteHead   = 8 + sha256.Size + 1
	noteMax    = 4096
	noteSweep  = 1024     // so many are written between two looks at all
	answerMax  = 64 << 10 // bytes; a larger answer is not kept
	noteBegun  = 'b'      // the call has begun: nobody knows how far it came
	noteDone   = 'd'      // the answer follows
	noteTooBig = 't'      // done; the answer was too large
)

// notebook is where a call's note stands. A nil one keeps nothing: the call has no id, or the system has no notes.
type notebook struct {
	notes  system.KV
	key    []byte
	digest [sha256.Size]byte
	begun  uint64 // revision of the note of an unfinished call of the same id; 0: there is none
}

// noteKey is one for each caller, method and id: who guesses the id of another learns nothing.
func noteKey(ctx context.Context, req repeatable) []byte {
	sum := sha256.Sum256([]byte(auth.From(ctx).Who() + " " + string(req.ProtoReflect().Descriptor().FullName()) + " " + req.GetRequestId()))
	return sum[:]
}

// withNotes calls f with the notebook of a call on an open container of that name, unless there is an answer in it: that is written to
// resp. The id has been checked by once.
func (s *Services) withNotes(ctx context.Context, c system.Container, name string, req repeatable, resp proto.Message, f func(*notebook) error) error {
	noter, ok := c.(system.Noter)
	if !ok || req.GetRequestId() == "" {
		return f(nil)
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return err
	}
	notes, err := noter.OpenNotes(ctx)
	if err != nil {
		return err
	}
	n := &notebook{notes: notes, key: noteKey(ctx, req), digest: sha256.Sum256(wire)}
	answered, err := n.look(ctx, req.GetRequestId(), resp)
	if err == nil && !answered {
		if err = f(n); err == nil && s.sweeps.due(name) {
			_ = sweep(ctx, notes) // the call is done; what stays is for the next one
		}
	}
	return errors.Join(err, notes.Close())
}

// withNotedKV is withKV with a notebook.
func (s *Services) withNotedKV(ctx context.Context, object string, req repeatable, resp proto.Message, f func(*notebook, system.KV) error) error {
	if req.GetRequestId() == "" {
		return s.withKV(ctx, object, func(kv system.KV) error { return f(nil, kv) })
	}
	r, err := ref("object", object, handles.ObjectParts)
	if err != nil {
		return err
	}
	return s.withContainer(ctx, string(r.Parent()), func(c system.Container) error {
		return s.withNotes(ctx, c, string(r.Parent()), req, resp, func(n *notebook) error {
			return s.withKV(ctx, object, func(kv system.KV) error { return f(n, kv) })
		})
	})
}

// look looks for an answer.
func (n *notebook) look(ctx context.Context, id string, resp proto.Message) (answered bool, err error) {
	note, err := n.notes.Get(ctx, n.key)
	if errors.Is(err, errno.NonExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(note) < noteHead || time.Since(timeOf(note)) > replayFor {
		return false, nil
	}
	if [sha256.Size]byte(note[8:]) != n.digest {
		return false, usedForAnother(id)
	}
	switch note[noteHead-1] {
	case noteDone:
		return true, proto.Unmarshal(note[noteHead:], resp)
	case noteTooBig:
		return false, errno.New("", "", errno.Already, fmt.Sprintf("the request %s was done before the server was started anew, and its "+
			"answer had more than %d bytes: it was not kept", id, answerMax))
	}
	stat, err := n.notes.Stat(ctx, n.key)
	n.begun = stat.Revision
	return false, err
}

func usedForAnother(id string) error {
	return fault.Invalid("request_id", "", "request_id %s was used for another request; take a new one", id)
}

func timeOf(note []byte) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(note))) }

func (n *notebook) note(state byte, answer []byte) system.Mutation {
	val := binary.BigEndian.AppendUint64(make([]byte, 0, noteHead+len(answer)), uint64(time.Now().UnixNano()))
	val = append(append(val, n.digest[:]...), state)
	return system.Mutation{Key: n.key, Value: append(val, answer...), Note: true}
}

// answer is the note of an answer, as what goes with a batch; nothing when n is nil.
func (n *notebook) answer(resp proto.Message) ([]system.Mutation, error) {
	if n == nil {
		return nil, nil
	}
	wire, err := proto.Marshal(resp)
	if err != nil {
		return nil, err
	}
	if len(wire) > answerMax {
		return []system.Mutation{n.note(noteTooBig, nil)}, nil
	}
	return []system.Mutation{n.note(noteDone, wire)}, nil
}

// begin notes that the call begins, before it changes anything.
func (n *notebook) begin(ctx context.Context) error {
	if n == nil || n.unfinished() {
		return nil
	}
	return n.notes.Apply(ctx, []system.Mutation{n.note(noteBegun, nil)})
}

// end notes the answer, or that there is none. Of a call that was given up nobody knows what it did: it stays unfinished.
func (n *notebook) end(ctx context.Context, resp proto.Message, err error) error {
	if n == nil || errors.Is(err, errno.TimedOut) || errors.Is(err, errno.Canceled) {
		return err
	}
	if err != nil {
		_ = n.notes.Delete(ctx, n.key) // else it stays unfinished, and the next call looks what is there
		return err
	}
	notes, err := n.answer(resp)
	if err != nil {
		return err
	}
	return n.notes.Apply(ctx, notes)
}

// unfinished reports whether a call of the same id has begun before, and ended with the gateway.
func (n *notebook) unfinished() bool { return n.begun != 0 }

// creating makes what find does not find. What is there was made by this call when it is an unfinished one.
func creating[T any](ctx context.Context, n *notebook, find, create func() (T, error)) (T, error) {
	if n == nil {
		return create()
	}
	found, err := find()
	switch {
	case err == nil && n.unfinished():
		return found, nil
	case err == nil: // and create says so
		return create()
	case !errors.Is(err, errno.NonExist):
		return found, err
	}
	if err := n.begin(ctx); err != nil {
		return found, err
	}
	return create()
}

// sweeps counts the calls that were noted in each container, to say when its notes are looked at. The first one looks, too. The zero value
// is ready.
type sweeps struct {
	mu    sync.Mutex
	calls map[string]int
}

// sweepNames is of how many containers the calls are counted; then all begin anew, and are looked at once more.
const sweepNames = 1024

func (s *sweeps) due(container string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) >= sweepNames || s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[container]++
	return s.calls[container]%noteSweep == 1
}

// sweep removes the notes whose time is over, and the oldest when there are too many.
func sweep(ctx context.Context, notes system.KV) error {
	type dated struct {
		key []byte
		at  time.Time
	}
	var all []dated
	for e, err := range notes.List(ctx, system.Range{}) {
		if err != nil {
			return err
		}
		d := dated{key: e.Key}
		if len(e.Value) >= noteHead {
			d.at = timeOf(e.Value)
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b dated) int { return b.at.Compare(a.at) })
	limit := time.Now().Add(-replayFor)
	for i, d := range all {
		if i >= noteMax || d.at.Before(limit) {
			return remove(ctx, notes, len(all)-i, func(k int) []byte { return all[i+k].key })
		}
	}
	return nil
}

func remove(ctx context.Context, notes system.KV, n int, key func(int) []byte) error {
	for first := 0; first < n; first += BatchMax {
		batch := make([]system.Mutation, min(BatchMax, n-first))
		for i := range batch {
			batch[i] = system.Mutation{Key: key(first + i), Delete: true}
		}
		if err := notes.Apply(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}
