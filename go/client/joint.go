// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	jointBytes = 64 << 10               // most bytes of a put that goes with others
	jointPuts  = 512                    // in one message
	jointSize  = 512 << 10              // from which on a message takes no more
	jointUnder = 2                      // messages under way: one is applied while another is made durable
	lineAge    = time.Second            // of a line: then the next one shows who calls anew
	lineIdle   = 100 * time.Millisecond // without a put: a line holds memory of the gateway
	turns      = 16                     // of other goroutines at most, before a message goes
)

// joint sends puts that are made at the same time together. Always true: a put is in one message, which is sent at most once; what
// arrives while messages are under way waits in the next one; one goroutine sends, and ends when nothing came for a while, or at stop.
type joint struct {
	kv   apiv1.KeyValueServiceClient
	stop chan struct{} // closed when the system is

	mu      sync.Mutex
	next    *letter // not sent; nil: empty
	numbers uint64
	running bool
	wake    chan struct{} // of the sender; when running
}

func newJoint(kv apiv1.KeyValueServiceClient) *joint {
	return &joint{kv: kv, stop: make(chan struct{})}
}

// close lets the sender end. No put may follow.
func (j *joint) close() {
	if j != nil {
		close(j.stop)
	}
}

// letter is a message. The tag of a put is the number of the letter and the place in it. Those who wait are woken once, by the last answer.
type letter struct {
	number uint64
	calls  wire.Puts
	puts   int

	done chan struct{} // closed when each put has its result
	errs []error       // by the place of the put; nil: all were made. From done on

	has  []bool // which results have come; the receiver's
	left int    // that have not
}

// errUnsent is the result of a put that nobody has begun: it can be a call by itself.
var errUnsent = errors.New("the put was not begun")

// takes is whether a put may go with others. A call by itself tells the gateway what its context has for it.
func (j *joint) takes(ctx context.Context, size int) bool {
	if j == nil || size > jointBytes {
		return false
	}
	_, has := metadata.FromOutgoingContext(ctx)
	return !has
}

// put makes a put together with others. The error is errUnsent when it is to be made by itself.
func (j *joint) put(ctx context.Context, op, ref, object string, key, val []byte) error {
	l, place := j.add(object, key, val)
	if l == nil {
		return errUnsent
	}
	select {
	case <-l.done:
		return l.result(ctx, op, ref, object, place)
	case <-ctx.Done():
		return errno.FromContext(op, ref, ctx)
	}
}

// add lets a put go with others. Nil when the next message is full.
func (j *joint) add(object string, key, val []byte) (l *letter, place int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		j.numbers++
		j.next = &letter{number: j.numbers, done: make(chan struct{})}
	}
	l, place = j.next, j.next.puts
	if place == jointPuts || l.calls.Len() >= jointSize {
		return nil, 0
	}
	l.calls.Add(l.number*jointPuts+uint64(place), object, key, val)
	l.puts++
	if place == 0 {
		j.start()
	}
	return l, place
}

// start makes sure that somebody sends. Lock held.
func (j *joint) start() {
	if !j.running {
		j.running, j.wake = true, make(chan struct{}, 1)
		go j.run()
	}
	select {
	case j.wake <- struct{}{}:
	default: // it has been told
	}
}

// result is the end of a put.
func (l *letter) result(ctx context.Context, op, ref, object string, place int) error {
	if l.errs == nil || l.errs[place] == nil {
		return nil
	}
	err := l.errs[place]
	var e *errno.Error
	switch {
	case errors.Is(err, errUnsent):
		return err
	case errors.As(err, &e): // the gateway's, of this put alone
		mine := *e
		mine.Op, mine.Ref = op, ref
		mine.Message = strings.TrimPrefix(strings.TrimPrefix(e.Message, ref+": "), object+": ")
		return &mine
	}
	return fromStatus(ctx, op, ref, err)
}

// run sends until nothing came for a while.
func (j *joint) run() {
	for l := j.take(); l != nil; {
		l = j.line(l)
	}
}

// take waits for the next letter. Nil when none came: then this sender has ended.
func (j *joint) take() *letter {
	if l := j.letter(false); l != nil {
		return l
	}
	timer := time.NewTimer(lineIdle)
	defer timer.Stop()
	for {
		select {
		case <-j.wake:
		case <-timer.C:
			return j.letter(true)
		case <-j.stop:
			return j.letter(true)
		}
		if l := j.letter(false); l != nil {
			return l
		}
	}
}

// gather lets goroutines run that are about to put, so that their puts go together: those whose puts were answered by the same message
// become ready at the same time, and of another processor this one would see only the first. It ends when a turn has brought none.
func (j *joint) gather() {
	for had, i := -1, 0; i < turns; i++ {
		runtime.Gosched()
		n := j.waiting()
		if n == had {
			return
		}
		had = n
	}
}

// waiting is how many puts the next letter has.
func (j *joint) waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		return 0
	}
	return j.next.puts
}

// letter takes what waits. When nothing does, and it is the last time, this sender has ended.
func (j *joint) letter(last bool) *letter {
	j.gather()
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.next
	j.next = nil
	if l == nil && last {
		j.running = false
	}
	return l
}

// line sends l, and what follows it, on one stream for a while. It returns a letter that was not sent, because the line had ended before.
func (j *joint) line(l *letter) *letter {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := j.kv.Session(ctx)
	if err != nil {
		cancel()
		l.fail(errUnsent)
		return j.take()
	}
	ln := &line{stream: stream, under: make(chan struct{}, jointUnder), broken: make(chan struct{}), letters: map[uint64]*letter{}}
	go func() {
		defer cancel()
		ln.receive()
	}()
	for began, first := time.Now(), true; l != nil && time.Since(began) < lineAge; first = false {
		if !ln.send(l) {
			if !first {
				return l
			}
			l.fail(errUnsent)
		}
		ln.room()
		l = j.take()
	}
	_ = stream.CloseSend() // the receiver ends after the last answer
	return l
}

// fail ends all puts of a letter that have not ended.
func (l *letter) fail(err error) {
	if l.has == nil { // it was not sent
		l.begin()
	}
	for i := range l.puts {
		l.end(i, err)
	}
}

// begin is called before a letter is sent.
func (l *letter) begin() { l.has, l.left = make([]bool, l.puts), l.puts }

// end ends one put, unless it has ended.
func (l *letter) end(i int, err error) {
	if l.has[i] {
		return
	}
	l.has[i] = true
	if err != nil {
		if l.errs == nil {
			l.errs = make([]error, l.puts)
		}
		l.errs[i] = err
	}
	if l.left--; l.left == 0 {
		close(l.done)
	}
}

// line is one stream: one goroutine sends, another receives.
type line struct {
	stream grpc.BidiStreamingClient[apiv1.SessionRequest, apiv1.SessionResponse]
	under  chan struct{} // letters under way
	broken chan struct{} // closed when no more answers come

	mu      sync.Mutex
	letters map[uint64]*letter // under way; nil when broken
}

// room waits until another letter may be sent, or never will.
func (ln *line) room() {
	select {
	case ln.under <- struct{}{}:
		<-ln.under
	case <-ln.broken:
	}
}

// send sends a letter. False when the line was broken before, and nothing of the letter was sent. How a letter ended that was sent, the
// receiver finds out.
func (ln *line) send(l *letter) bool {
	select {
	case ln.under <- struct{}{}:
	case <-ln.broken:
		return false
	}
	ln.mu.Lock()
	if ln.letters == nil {
		ln.mu.Unlock()
		return false
	}
	l.begin()
	ln.letters[l.number] = l
	ln.mu.Unlock()
	_ = ln.stream.SendMsg(&l.calls)
	return true
}

// receive gives answers to those who wait until no more come. Then all that are left fail.
func (ln *line) receive() {
	var results wire.PutResults
	for {
		err := ln.stream.RecvMsg(&results)
		if err != nil {
			ln.end(err)
			return
		}
		ln.mu.Lock()
		for _, tag := range results.Done {
			ln.answer(tag, nil)
		}
		for _, r := range results.Others {
			ln.answer(r.GetTag(), errorOf(r.GetError()))
		}
		ln.mu.Unlock()
	}
}

// errorOf is the error of an answer, without operation and reference. What the gateway had no room for it has not begun.
func errorOf(e *apiv1.KeyError) error {
	if e == nil {
		return errno.New("", "", errno.Proto, "the gateway answered a put with something else; it may be of another version")
	}
	if errno.Code(e.GetRc()) == errno.OverloadRetry {
		return errUnsent
	}
	err := errno.New("", "", errno.Code(e.GetRc()), e.GetMessage())
	err.Size = e.GetSize()
	return err
}

// answer ends a put. A tag that is not under way is of no put. Lock held.
func (ln *line) answer(tag uint64, err error) {
	l := ln.letters[tag/jointPuts]
	if i := int(tag % jointPuts); l != nil && i < l.puts {
		l.end(i, err)
		ln.closeIfDone(l)
	}
}

func (ln *line) closeIfDone(l *letter) {
	if l.left == 0 {
		delete(ln.letters, l.number)
		<-ln.under
	}
}

// notBegun is whether a stream ended so that what it has not answered was not begun: the gateway goes down, and answers what it has begun
// before it says so; or it did not take the stream at all.
func notBegun(err error) bool {
	st := status.Convert(err)
	if st.Code() == codes.Unimplemented {
		return true
	}
	info := infoOf(st)
	return info != nil && (info.GetReason() == errno.Shutdown.Name() || info.GetReason() == errno.OverloadRetry.Name())
}

// end breaks the line.
func (ln *line) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		err = errno.New("", "", errno.Proto, "the gateway ended the stream too early; it may be of another version")
	case notBegun(err):
		err = errUnsent
	}
	ln.mu.Lock()
	all := ln.letters
	ln.letters = nil
	ln.mu.Unlock()
	for _, l := range all {
		l.fail(err)
	}
	close(ln.broken)
}
