// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// part is what happens whole or not at all: the keys that it changes, each with its new value, or nil when it is deleted.
type part map[string]*string

// worker changes keys of its own in one way, and knows what must be there. Its goroutine alone uses it while the gateway runs. No two
// parts that are under way have a key in common.
type worker struct {
	kind    kind
	name    string
	random  *rand.Rand
	serial  int               // of the last value: no two are equal
	have    map[string]string // acknowledged
	pending []part            // of calls that were not acknowledged
	since   []part            // acknowledged since the last comparison, in order; of relaxed workers
	base    map[string]string // at the last comparison; of relaxed workers
	acked   int
	failure error // a call that failed although nobody ended the gateway, or with a code that does not say so
}

func newWorker(i int, k kind, random *rand.Rand) *worker {
	return &worker{kind: k, name: fmt.Sprintf("%02d", i), random: random, have: map[string]string{}, base: map[string]string{}}
}

// run works until the gateway is gone, and counts the calls that were acknowledged.
func (w *worker) run(conn *grpc.ClientConn, calls *atomic.Int64) {
	stub := apiv1.NewKeyValueServiceClient(conn)
	for {
		if err := w.kind.work(w, stub, calls); err != nil {
			if status.Code(err) != codes.Unavailable && !errors.Is(err, io.EOF) {
				w.failure = err
			}
			return
		}
	}
}

// key is one of the worker's n keys.
func (w *worker) key(n int) string { return fmt.Sprintf("%s-%03d", w.name, w.random.IntN(n)) }

// value is one that nobody else has put, of some hundred bytes up to a size.
func (w *worker) value(size int) *string {
	w.serial++
	text := fmt.Sprintf("%s#%d ", w.name, w.serial)
	text = strings.Repeat(text, 1+w.random.IntN(size)/len(text))
	return &text
}

// begin notes a part as under way.
func (w *worker) begin(p part) part {
	w.pending = append(w.pending, p)
	return p
}

// done notes that a part was acknowledged.
func (w *worker) done(p part) {
	for i := range w.pending {
		if w.pending[i] != nil && sameKeys(w.pending[i], p) {
			w.pending = append(w.pending[:i], w.pending[i+1:]...)
			break
		}
	}
	apply(w.have, p)
	if w.kind.cont == "lax" {
		w.since = append(w.since, p)
	}
	w.acked++
}

func sameKeys(a, b part) bool {
	for key := range a {
		_, ok := b[key]
		return ok
	}
	return false
}

func apply(to map[string]string, p part) {
	for key, val := range p {
		if val == nil {
			delete(to, key)
		} else {
			to[key] = *val
		}
	}
}

// settle compares what was found with what must be there. What was under way has happened or not, and is taken over if it has. Of a
// relaxed worker a kill leaves a beginning of what was acknowledged.
func (w *worker) settle(found map[string]string, killed bool) (complaints []string) {
	if w.failure != nil {
		complaints = append(complaints, fmt.Sprintf("a call failed: %v", w.failure))
	}
	own := map[string]string{}
	for key, val := range found {
		if strings.HasPrefix(key, w.name+"-") {
			own[key] = val
		}
	}
	if killed && w.kind.cont == "lax" && !w.beginning(own) {
		complaints = append(complaints, fmt.Sprintf("what is there is no beginning of the %d changes since the last comparison", len(w.since)))
	}
	for _, p := range w.pending {
		if holds(own, p) {
			apply(w.have, p)
		}
	}
	complaints = append(complaints, differences(w.have, own)...)
	w.pending, w.since, w.base = nil, nil, maps.Clone(w.have)
	return complaints
}

// beginning sets have to the beginning of the acknowledged changes that was found.
func (w *worker) beginning(own map[string]string) bool {
	state := w.base
	for i := 0; ; i++ {
		if maps.Equal(state, own) {
			w.have, w.pending = state, nil
			return true
		}
		if i == len(w.since) {
			break
		}
		apply(state, w.since[i])
	}
	w.have = state // with all of them; and what was under way may be there, too
	return len(w.pending) > 0 && holds(own, w.pending[0])
}

func holds(found map[string]string, p part) bool {
	for key, val := range p {
		got, there := found[key]
		if there != (val != nil) || there && got != *val {
			return false
		}
	}
	return true
}

func differences(have, own map[string]string) (all []string) {
	for key, val := range have {
		if got, there := own[key]; got != val {
			all = append(all, fmt.Sprintf("%s: acknowledged %.30q of %d bytes, found: %v, %.30q of %d bytes", key, val, len(val), there, got, len(got)))
		}
	}
	for key, got := range own {
		if _, there := have[key]; !there {
			all = append(all, fmt.Sprintf("%s: nothing is to be there, found %.30q", key, got))
		}
	}
	return all
}

// clientCreds are alice's.
func clientCreds(t *testing.T, dir string) credentials.TransportCredentials {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "alice.pem"), filepath.Join(dir, "alice.key"))
	fatal(t, err)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	fatal(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots})
}

// TestWorker checks that a worker notices what must not happen.
func TestWorker(t *testing.T) {
	one, two := "one", "two"
	a1, b2 := part{"00-a": &one}, part{"00-b": &two}
	both := part{"00-a": &two, "00-b": &two}
	for _, c := range []struct {
		name    string
		cont    string
		acked   []part
		pending part
		found   map[string]string
		killed  bool
		bad     bool
	}{
		{"as acknowledged", "neo", []part{a1}, nil, map[string]string{"00-a": one}, true, false},
		{"lost", "neo", []part{a1}, nil, nil, true, true},
		{"another value", "neo", []part{a1}, nil, map[string]string{"00-a": two}, true, true},
		{"from nowhere", "neo", []part{a1}, nil, map[string]string{"00-a": one, "00-c": one}, true, true},
		{"of somebody else", "neo", []part{a1}, nil, map[string]string{"00-a": one, "01-c": one}, true, false},
		{"under way, and happened", "neo", []part{a1}, both, map[string]string{"00-a": two, "00-b": two}, true, false},
		{"under way, and did not", "neo", []part{a1}, both, map[string]string{"00-a": one}, true, false},
		{"half of it", "neo", []part{a1}, both, map[string]string{"00-a": two}, true, true},
		{"relaxed, the end lost by a kill", "lax", []part{a1, b2}, nil, map[string]string{"00-a": one}, true, false},
		{"relaxed, the end lost by a stop", "lax", []part{a1, b2}, nil, map[string]string{"00-a": one}, false, true},
		{"relaxed, the beginning lost", "lax", []part{a1, b2}, nil, map[string]string{"00-b": two}, true, true},
		{"relaxed, under way", "lax", []part{a1}, b2, map[string]string{"00-a": one, "00-b": two}, true, false},
		{"relaxed, under way without what was before", "lax", []part{a1}, b2, map[string]string{"00-b": two}, true, true},
	} {
		w := newWorker(0, kind{cont: c.cont}, nil)
		for _, p := range c.acked {
			w.done(w.begin(p))
		}
		if c.pending != nil {
			w.begin(c.pending)
		}
		if got := w.settle(c.found, c.killed); (len(got) > 0) != c.bad {
			t.Errorf("%s: complaints %v", c.name, got)
		}
	}
}
