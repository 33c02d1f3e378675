// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

func TestGate(t *testing.T) {
	g, ctx := NewGate(10, 100), context.Background()
	if err := g.Take(ctx, 101); !errors.Is(err, errno.OverloadRetry) || g.Free() != 100 {
		t.Errorf("more than there is: %v, %d are free", err, g.Free())
	}
	if err := g.Take(ctx, 100); err != nil || g.Free() != 0 {
		t.Errorf("all: %v, %d are free", err, g.Free())
	}
	if err := g.Take(ctx, 1); !errors.Is(err, errno.OverloadRetry) {
		t.Errorf("of a full one: %v", err)
	}
	g.Give(ctx, 100)
	if err := g.Take(ctx, 1); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

// TestShares: one caller alone gets 4/5, and then there is still a place for each that comes; who holds less than others gets more.
func TestShares(t *testing.T) {
	const total = 1000
	g := NewGate(total, 1<<30)
	enter := func(who string, weight int64) (all []*Ticket) {
		for {
			ticket := g.enter(Caller{Key: who, Weight: weight}, 1)
			if ticket == nil {
				return all
			}
			all = append(all, ticket)
		}
	}
	hog := enter("hog", 4)
	if len(hog) != total*4/5 {
		t.Errorf("one alone got %d of %d", len(hog), total)
	}
	second, admin := enter("second", 4), enter("admin", 8)
	for i := range 20 {
		if ticket := g.enter(Caller{Key: fmt.Sprint("next ", i), Weight: 4}, 1); ticket == nil {
			t.Errorf("caller %d got nothing", i)
		} else {
			ticket.drop()
		}
	}
	if len(second) != 160 || len(admin) < 30 {
		t.Errorf("the second got %d, and an admin %d", len(second), len(admin))
	}
	for _, ticket := range hog[:700] { // as the hog's calls end, the others grow past it, up to their shares
		ticket.drop()
	}
	second = append(second, enter("second", 4)...)
	if more := enter("hog", 4); len(second) < 400 || 100+len(more) > len(second) {
		t.Errorf("the second has %d, and the hog took %d more", len(second), len(more))
	}
}

// TestAnswerHasRoom: what the handler of a unary call read with is kept for the answer; nobody comes between, and nothing is counted twice.
func TestAnswerHasRoom(t *testing.T) {
	g := NewGate(10, 1000)
	one, other := g.enter(Caller{Key: "one", Weight: 4}, 0), g.enter(Caller{Key: "other", Weight: 4}, 0)
	one.keeps = true
	if err := one.take(700); err != nil {
		t.Fatal(err)
	}
	one.give(700)
	if err := other.take(400); !errors.Is(err, errno.OverloadRetry) {
		t.Errorf("bytes that are kept were given to another: %v", err)
	}
	if err := one.take(600); err != nil || g.Free() != 300 {
		t.Errorf("from what is kept: %v, %d are free", err, g.Free())
	}
	one.give(600)
	one.answers(500)
	if g.Free() != 500 {
		t.Errorf("beside an answer of 500 bytes %d are free", g.Free())
	}
	one.drop()
	other.drop()
	if g.Free() != 1000 {
		t.Errorf("at the end %d are free", g.Free())
	}
}

// TestGateConcurrent: never more is taken than there is, and nothing is lost.
func TestGateConcurrent(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const calls, total = 20, 1000
	g := NewGate(calls, total)
	var wg sync.WaitGroup
	for w := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, w))
		wg.Go(func() {
			for range 3000 {
				ticket := g.enter(Caller{Key: fmt.Sprint(w % 3), Weight: 4}, random.Int64N(100))
				if ticket == nil {
					continue
				}
				if n := random.Int64N(400); ticket.take(n) == nil {
					if s := g.State(); s.Bytes > s.BytesMax || s.Calls > s.CallsMax {
						t.Errorf("%+v", s)
					}
					ticket.give(n)
				}
				if ticket.hold() {
					ticket.drop()
				}
				ticket.drop()
			}
		})
	}
	wg.Wait()
	if s := g.State(); s.Bytes != 0 || s.Calls != 0 || s.Callers != 0 {
		t.Errorf("in the end %+v", s)
	}
}

// TestSweep: a call whose client has stalled is ended, when its time is up and not before.
func TestSweep(t *testing.T) {
	for phase, limit := range patience {
		if limit == 0 {
			continue
		}
		g := NewGate(10, 1000)
		ticket, cut := g.enter(Caller{Key: "a", Weight: 4}, 100), error(nil)
		ticket.cancel = func(why error) { cut = why }
		ticket.waits(int64(phase))
		g.Sweep(time.Now().Add(limit - time.Second))
		if s := g.State(); s.Calls != 1 || cut != nil {
			t.Errorf("phase %d: it ended too early: %v", phase, cut)
		}
		g.Sweep(time.Now().Add(limit + time.Second))
		if s := g.State(); phase == delivering && s.Bytes != 0 || phase != delivering && cut == nil {
			t.Errorf("phase %d: it did not end: %v, %+v", phase, cut, s)
		}
	}
}

// TestHurry: while more than half of the gate is taken a client that takes nothing is cut sooner, and one whose request is to come is not.
func TestHurry(t *testing.T) {
	for phase, cut := range []bool{arriving: false, sending: true, delivering: true} {
		for _, n := range []int64{100, 900} {
			g := NewGate(10, 1000)
			ticket, ended := g.enter(Caller{Key: "a", Weight: 10}, n), false
			if ticket == nil {
				t.Fatal("there is no place")
			}
			ticket.cancel = func(error) { ended = true }
			ticket.waits(int64(phase))
			g.Sweep(time.Now().Add(patience[phase]/hurry + time.Second))
			if ended = ended || g.State().Calls == 0; ended != (cut && n > 500) {
				t.Errorf("phase %d, %d bytes of 1000: ended %v", phase, n, ended)
			}
		}
	}
}

// TestLively: while calls wait for a processor who has many gets no more, and who has few does; calls that wait for their clients do not count.
func TestLively(t *testing.T) {
	g := NewGate(1000, 1<<30)
	enter := func(who string, n, bytes int64) (all []*Ticket) {
		for range n {
			if ticket := g.enter(Caller{Key: who, Weight: 4}, bytes); ticket != nil {
				all = append(all, ticket)
			}
		}
		return all
	}
	streams := enter("a", 100, valueBytes)
	g.lively = 50
	many := enter("b", 100, 1)
	if len(streams) != 100 || len(many) != 40 {
		t.Errorf("of 100 streams %d are there, and of 100 calls %d, want 40", len(streams), len(many))
	}
	g.lively = 0
	if few := enter("c", 100, 1); len(few) != fewCalls {
		t.Errorf("another has %d calls, want %d", len(few), fewCalls)
	}
	for _, ticket := range append(streams, many...) {
		ticket.end()
	}
	if g.idle != 0 {
		t.Errorf("%d calls count as idle", g.idle)
	}
}

// TestTry: what a call can do without is not refused when it is not there.
func TestTry(t *testing.T) {
	g := NewGate(10, 1000)
	ticket := g.enter(Caller{Key: "a", Weight: 4}, 0)
	ctx := context.WithValue(t.Context(), ticketKey{}, ticket)
	if !g.Try(ctx, 500) || g.Try(ctx, 501) || g.Try(t.Context(), 1) || g.Free() != 500 || g.State().Refused != 0 {
		t.Errorf("%d are free, %d were refused", g.Free(), g.State().Refused)
	}
	g.Give(ctx, 500)
	ticket.drop()
	if g.Try(ctx, 1) || g.Free() != 1000 {
		t.Errorf("behind its end %d are free", g.Free())
	}
}

// TestMemory reads made files of the kernel.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  int64
	}{
		{nil, 1 << 30},
		{map[string]string{"proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n"}, 2 << 20},
		{map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n"}, 1000},
		{map[string]string{"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "1:x:/a\n0::/../..\n", "sys/fs/cgroup/memory.max": "-5\n"}, 2 << 20},
		{map[string]string{"proc/meminfo": "MemTotal: lots\n", "proc/self/cgroup": "\x00"}, 1 << 30},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := memoryIn(root); got != c.want {
			t.Errorf("%v: %d, want %d", c.files, got, c.want)
		}
	}
}
