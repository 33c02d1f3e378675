// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// frame are changes of one object without a condition, that came in one message of a session or wait to be made together. Each has the tag of its
// call.
type frame struct {
	object string
	began  time.Time // when it came; of frames that were put together the first one's
	tags   []uint64
	muts   []system.Mutation
}

// frameOf makes a frame of calls that are plain changes of one object.
func frameOf(calls []*apiv1.SessionCall) *frame {
	f := &frame{object: calls[0].GetObject(), tags: make([]uint64, len(calls)), muts: make([]system.Mutation, len(calls))}
	for i, c := range calls {
		f.tags[i] = c.GetTag()
		f.muts[i] = system.Mutation{Key: c.GetPut().GetKey(), Value: c.GetPut().GetValue(), Revision: c.GetPut().GetRevision()}
		if del := c.GetDelete(); del != nil {
			f.muts[i] = system.Mutation{Key: del.GetKey(), Delete: true, Revision: del.GetRevision()}
		}
	}
	return f
}

// bytes is about how much memory it holds.
func (f *frame) bytes() int64 {
	n := int64(len(f.muts)) * callHead
	for i := range f.muts {
		n += int64(len(f.muts[i].Key) + len(f.muts[i].Value))
	}
	return n
}

// again takes those out whose key has stood before, and returns them; nil when each key stands once.
func (f *frame) again() *frame {
	seen, n := make(map[string]struct{}, len(f.muts)), 0
	again := &frame{object: f.object, began: f.began}
	for i, m := range f.muts {
		if _, there := seen[string(m.Key)]; there {
			again.tags, again.muts = append(again.tags, f.tags[i]), append(again.muts, m)
			continue
		}
		seen[string(m.Key)] = struct{}{}
		f.tags[n], f.muts[n] = f.tags[i], m
		n++
	}
	if len(again.tags) == 0 {
		return nil
	}
	f.tags, f.muts = f.tags[:n], f.muts[:n]
	return again
}

const frameMakers = 2 // one frame is applied while another is made durable

// frames make the changes of a session. What arrives while two makers are busy waits, and is then made together; makers end when nothing waits.
type frames struct {
	waits *atomic.Int64 // counts the changes that wait, here and elsewhere

	mu      sync.Mutex
	waiting []*frame
	busy    int // makers
}

// add takes a frame, and says whether the caller must start another maker.
func (l *frames) add(f *frame) (start bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, f)
	l.waits.Add(int64(len(f.muts)))
	if start = l.busy < frameMakers; start {
		l.busy++
	}
	return start
}

// first puts changes before all that wait.
func (l *frames) first(f *frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append([]*frame{f}, l.waiting...)
	l.waits.Add(int64(len(f.muts)))
}

// next takes the first frames that wait, as far as they are of one object, as one. When there are none it is nil, and the maker has ended.
func (l *frames) next() *frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.busy--
		return nil
	}
	f, n, all := l.waiting[0], 1, len(l.waiting[0].muts)
	for ; n < len(l.waiting) && l.waiting[n].object == f.object && all+len(l.waiting[n].muts) <= sessionCalls; n++ {
		all += len(l.waiting[n].muts)
	}
	if n > 1 {
		f = merge(l.waiting[:n], all)
	}
	l.waits.Add(-int64(all))
	clear(l.waiting[:n])
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return f
}

// merge makes one frame of many.
func merge(all []*frame, n int) *frame {
	f := &frame{object: all[0].object, began: all[0].began, tags: make([]uint64, 0, n), muts: make([]system.Mutation, 0, n)}
	for _, part := range all {
		f.tags, f.muts = append(f.tags, part.tags...), append(f.muts, part.muts...)
	}
	return f
}

// work is a maker.
func (ss *session) work() {
	for f := ss.changes.next(); f != nil; f = ss.changes.next() {
		size := f.bytes()
		if rest := ss.make(f); rest != nil {
			size -= rest.bytes()
			ss.changes.first(rest)
		}
		ss.Gate.Give(ss.ctx, size)
	}
}

// make makes the changes of a frame, which are independent of each other, and answers each. What changes a key again is returned, to be made with
// what comes next: alone it would cost a write of its own.
func (ss *session) make(f *frame) (rest *frame) {
	if ss.check(f); len(f.muts) == 0 {
		return nil
	}
	var results []*apiv1.KeyResult // nil: all were made
	ctx := auth.Needing(ss.ctx, apiv1.Permission_PERMISSION_WRITE)
	err := ss.withKV(ctx, f.object, func(kv system.KV) (err error) {
		if err = kv.Apply(ss.ctx, f.muts); err == nil {
			return nil
		}
		rest = f.again() // most often that is why; applyEach would change the order of the others
		results = newResults(len(f.muts))
		return applyEach(ss.ctx, kv, f.muts, results)
	})
	o := &outcome{results: results}
	if err != nil {
		o.all = keyError(err)
	}
	ss.tell(f, o)
	return rest
}

// outcome is what became of the changes of a frame.
type outcome struct {
	results []*apiv1.KeyResult // nil: all were made
	all     *apiv1.KeyError    // of all of them; nil: they have results
}

// failed is why a change was not made; nil: it was.
func (o *outcome) failed(i int) *apiv1.KeyError {
	if o.all != nil || o.results == nil {
		return o.all
	}
	return o.results[i].GetError()
}

// tell answers each change, and counts it as the call that it would be by itself.
func (ss *session) tell(f *frame, o *outcome) {
	took, puts, dels := time.Since(f.began), 0, 0
	var all failures
	ss.out.add(func() {
		for i, tag := range f.tags {
			switch failed := o.failed(i); {
			case failed != nil:
				ss.out.put(&apiv1.SessionResult{Tag: tag, Result: &apiv1.SessionResult_Error{Error: failed}})
				all.add(methodOf(f.muts[i]), failed)
			case f.muts[i].Delete:
				ss.out.put(&apiv1.SessionResult{Tag: tag, Result: hasDeleted})
				dels++
			default:
				ss.out.putMade(tag)
				puts++
			}
		}
		ss.Counts.Together(apiv1.KeyValueService_Put_FullMethodName, puts, took, codes.OK)
		ss.Counts.Together(apiv1.KeyValueService_Delete_FullMethodName, dels, took, codes.OK)
		all.tell(ss.Services, f.object, f.began)
	})
}

func methodOf(m system.Mutation) string {
	if m.Delete {
		return apiv1.KeyValueService_Delete_FullMethodName
	}
	return apiv1.KeyValueService_Put_FullMethodName
}

// check refuses changes that the engine would not, and takes them out.
func (ss *session) check(f *frame) {
	var all failures
	defer func() { all.tell(ss.Services, f.object, f.began) }()
	n := 0
	for i := range f.muts {
		if err := checkMutation(f.muts[i]); err != nil {
			ss.refuse(f.tags[i], err)
			all.add(methodOf(f.muts[i]), keyError(err))
			continue
		}
		if n != i {
			f.tags[n], f.muts[n] = f.tags[i], f.muts[i]
		}
		n++
	}
	f.tags, f.muts = f.tags[:n], f.muts[:n]
}
