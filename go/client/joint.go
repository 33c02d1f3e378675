// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/wire"
)

const (
	jointBytes = 64 << 10    // most bytes of a put that goes with others
	jointPuts  = 512         // in one message
	jointSize  = 512 << 10   // from which on a message takes no more
	jointUnder = 2           // messages under way: one is applied while another is made durable
	lineAge    = time.Second // of a line: then the next one shows who calls anew
	lineIdle   = time.Second // without a put
)

// joint sends puts that are made at the same time together. Always true: a put is in one message, which is sent at most once; what
// arrives while messages are under way waits in the next one; one goroutine sends, and ends when nothing came for a while.
type joint struct {
	kv apiv1.KeyValueServiceClient

	mu      sync.Mutex
	next    *letter // not sent; nil: empty
	numbers uint64
	running bool
	wake    chan struct{} // of the sender; when running
}

// letter is a message. The tag of a put is the number of the letter and the place in it.
type letter struct {
	number uint64
	calls  wire.Puts
	puts   []*jointPut
	left   int // answers that have not come; the receiver's
}

type jointPut struct {
	done chan error // one result, with the operation and the reference of the gateway
}

// add lets a put go with others. Nil when the next message is full: then it is to go by itself.
func (j *joint) add(object string, key, val []byte) *jointPut {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		j.numbers++
		j.next = &letter{number: j.numbers}
	}
	l := j.next
	if len(l.puts) == jointPuts || l.calls.Len() >= jointSize {
		return nil
	}
	p := &jointPut{done: make(chan error, 1)}
	l.calls.Add(l.number*jointPuts+uint64(len(l.puts)), object, key, val)
	l.puts = append(l.puts, p)
	j.start()
	return p
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

// wait is the end of a put.
func (p *jointPut) wait(ctx context.Context, op, ref string) error {
	select {
	case err := <-p.done:
		var e *errno.Error
		if errors.As(err, &e) { // the gateway's, of this put alone
			mine := *e
			mine.Op, mine.Ref = op, ref
			return &mine
		}
		return fromStatus(ctx, op, ref, err)
	case <-ctx.Done():
		return errno.FromContext(op, ref, ctx)
	}
}

// run sends until nothing came for a while.
func (j *joint) run() {
	for l := j.take(); l != nil; {
		l = j.line(l)
	}
}

// take waits for the next letter. Nil when none came: then this sender has ended.
func (j *joint) take() *letter {
	timer := time.NewTimer(lineIdle)
	defer timer.Stop()
	for last := false; ; {
		j.mu.Lock()
		l := j.next
		j.next = nil
		if j.running = l != nil || !last; l != nil || last {
			j.mu.Unlock()
			return l
		}
		wake := j.wake
		j.mu.Unlock()
		select {
		case <-wake:
		case <-timer.C:
			last = true
		}
	}
}

// line sends l, and what follows it, on one stream for a while. It returns a letter that was not sent, because the line had ended before.
func (j *joint) line(l *letter) *letter {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := j.kv.Session(ctx)
	if err != nil {
		cancel()
		l.fail(err)
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
			l.fail(ln.err)
		}
		ln.room()
		l = j.take()
	}
	_ = stream.CloseSend() // the receiver ends after the last answer
	return l
}

// fail ends all puts of a letter that have not ended.
func (l *letter) fail(err error) {
	for i := range l.puts {
		l.end(i, err)
	}
}

// end ends one put, unless it has ended.
func (l *letter) end(i int, err error) {
	if p := l.puts[i]; p != nil {
		l.puts[i] = nil
		l.left--
		p.done <- err
	}
}

// line is one stream: one goroutine sends, another receives.
type line struct {
	stream grpc.BidiStreamingClient[apiv1.SessionRequest, apiv1.SessionResponse]
	under  chan struct{} // letters under way
	broken chan struct{} // closed when no more answers come; then err is set

	mu      sync.Mutex
	letters map[uint64]*letter // under way; nil when broken
	err     error
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
	l.left = len(l.puts)
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

// errorOf is the error of an answer, without operation and reference.
func errorOf(e *apiv1.KeyError) error {
	if e == nil {
		return errno.New("", "", errno.Proto, "the gateway answered a put with something else; it may be of another version")
	}
	err := errno.New("", "", errno.Code(e.GetRc()), e.GetMessage())
	err.Size = e.GetSize()
	return err
}

// answer ends a put. A tag that is not under way is of no put. Lock held.
func (ln *line) answer(tag uint64, err error) {
	l := ln.letters[tag/jointPuts]
	if i := int(tag % jointPuts); l != nil && i < len(l.puts) {
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

// end breaks the line.
func (ln *line) end(err error) {
	if errors.Is(err, io.EOF) {
		err = errno.New("", "", errno.Proto, "the gateway ended the stream too early; it may be of another version")
	}
	ln.mu.Lock()
	all := ln.letters
	ln.letters, ln.err = nil, err
	ln.mu.Unlock()
	for _, l := range all {
		l.fail(err)
	}
	close(ln.broken)
}
