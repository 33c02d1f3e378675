// SPDX-License-Identifier: Apache-2.0

// Package watch remembers what an operator asks for: the slowest calls of the last hour, recent errors, and rates and latencies of
// the last minutes. What it keeps is bounded. It never has keys or values, nor the sentence of an error, which may quote a key.
package watch

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	slowKept  = 20
	slowSpan  = 5 * time.Minute
	slowSpans = 12 // an hour
	errorKept = 50
	refMax    = 400 // bytes of a reference that are kept
)

// Event is a call that has ended.
type Event struct {
	Time   time.Time // when it began
	Method string
	Ref    string // pool, container or object; "": none
	ID     string // of the request; "": none
	Took   time.Duration
	Code   codes.Code
	Reason string // DER_...; "" when it succeeded
	Times  int    // of an error: how often it was the same; 0 is once
}

func (e Event) same(other Event) bool {
	return e.Method == other.Method && e.Ref == other.Ref && e.Code == other.Code && e.Reason == other.Reason
}

// Log remembers calls. A nil Log remembers nothing. It is safe for concurrent use.
type Log struct {
	bar atomic.Int64 // a call that took less is not among the slowest of this span

	mu     sync.Mutex
	spans  [slowSpans]span
	errors []Event // the newest last
}

// span has the slowest calls that ended within five minutes.
type span struct {
	number int64 // since 1970
	slow   []Event
}

// Wants reports whether Add would keep such a call. It costs two loads: every call asks.
func (l *Log) Wants(stream bool, took time.Duration, code codes.Code) bool {
	if l == nil {
		return false
	}
	return matters(code) || !stream && int64(took) > l.bar.Load()
}

// matters reports whether an error is one that an operator asks for. The others are answers: that a key is not there is one.
func matters(code codes.Code) bool {
	switch code {
	case codes.OK, codes.NotFound, codes.AlreadyExists, codes.Canceled, codes.Aborted, codes.OutOfRange:
		return false
	}
	return true
}

// Add remembers a call. A stream lasts as long as its client likes, and is never among the slow ones.
func (l *Log) Add(stream bool, e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if matters(e.Code) {
		l.addError(e)
	}
	if !stream {
		l.addSlow(e, time.Now())
	}
}

// addError keeps one of those that are the same, so that a flood of one error does not wash away the others.
func (l *Log) addError(e Event) {
	e.Times = max(e.Times, 1)
	gone := slices.IndexFunc(l.errors, e.same)
	if gone >= 0 {
		e.Times += l.errors[gone].Times
	} else if len(l.errors) == errorKept {
		gone = 0
	}
	if gone >= 0 {
		l.errors = slices.Delete(l.errors, gone, gone+1)
	}
	l.errors = append(l.errors, e)
}

func (l *Log) addSlow(e Event, now time.Time) {
	s := l.spanOf(now)
	i, _ := slices.BinarySearchFunc(s.slow, e, slowest)
	if i == slowKept {
		return
	}
	s.slow = slices.Insert(s.slow, i, e)
	s.slow = s.slow[:min(len(s.slow), slowKept)]
	if len(s.slow) == slowKept {
		l.bar.Store(int64(s.slow[slowKept-1].Took))
	}
}

// spanOf is the span of now, emptied when it was one of an hour ago. Lock held.
func (l *Log) spanOf(now time.Time) *span {
	number := spanNumber(now)
	s := &l.spans[number%slowSpans]
	if s.number != number {
		*s = span{number: number}
		l.bar.Store(0)
	}
	return s
}

func spanNumber(t time.Time) int64 { return t.Unix() / int64(slowSpan/time.Second) }

func slowest(a, b Event) int { return cmp.Compare(b.Took, a.Took) }

// Tick must be called now and then: it begins a new span, so that a call which is slow only now is kept.
func (l *Log) Tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spanOf(now)
}

// Slow are the slowest calls of the last hour, the slowest first.
func (l *Log) Slow(now time.Time) (all []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.spans {
		if s := &l.spans[i]; s.number > spanNumber(now)-slowSpans {
			all = append(all, s.slow...)
		}
	}
	slices.SortStableFunc(all, slowest)
	return all[:min(len(all), slowKept)]
}

// Errors are the last errors that matter, the newest first.
func (l *Log) Errors() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.errors)
	slices.Reverse(all)
	return all
}

// RefOf is what a request names: its object, container or pool. "" when it names none.
func RefOf(req any) string {
	switch r := req.(type) {
	case interface{ GetObject() string }:
		return clip(r.GetObject())
	case interface{ GetContainer() string }:
		return clip(r.GetContainer())
	case interface{ GetPool() string }:
		return clip(r.GetPool())
	case interface{ GetLabel() string }: // of what is to be made
		return clip(r.GetLabel())
	}
	return ""
}

// clip copies, so that a long message is not kept for the sake of a name in it.
func clip(ref string) string {
	if len(ref) <= refMax {
		return strings.Clone(ref)
	}
	return strings.ToValidUTF8(ref[:refMax], "") + "…"
}
