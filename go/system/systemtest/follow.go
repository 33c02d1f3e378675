// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// flaky is an object whose watches break after their first answer, or later, and which cannot be watched for a while then. What they show comes in small pieces.
type flaky struct {
	system.KV
	rng    *rand.Rand
	breaks int
	code   errno.Code // of what breaks
}

func (f *flaky) fail(op string) error {
	f.breaks++
	return errno.New(op, "", f.code, "the test broke it")
}

func (f *flaky) OpenWatch(ctx context.Context, o system.WatchOptions) (system.Watch, error) {
	if f.breaks > 0 && f.rng.IntN(3) == 0 {
		return nil, f.fail("open")
	}
	w, err := system.OpenWatch(ctx, f.KV, o)
	return &flakyWatch{Watch: w, f: f, left: 1 + f.rng.IntN(4), rev: o.Start, seen: o.Position}, err
}

type flakyWatch struct {
	system.Watch
	f    *flaky
	left int
	have system.Changes
	rev  uint64 // of what was shown last
	seen uint64 // so many changes of it
}

func (w *flakyWatch) Next(ctx context.Context) (c system.Changes, err error) {
	if w.left--; w.left < 0 {
		return c, w.f.fail("next")
	}
	if len(w.have.Changes) == 0 {
		if w.have, err = w.Watch.Next(ctx); err != nil || len(w.have.Changes) == 0 {
			return w.have, err
		}
	}
	n := 1 + w.f.rng.IntN(min(len(w.have.Changes), 50))
	c = w.have
	c.Changes, w.have.Changes = c.Changes[:n], w.have.Changes[n:]
	for _, change := range c.Changes {
		if change.Revision != w.rev {
			w.rev, w.seen = change.Revision, 0
		}
		w.seen++
	}
	if len(w.have.Changes) > 0 {
		c.Revision, c.Position = w.have.Changes[0].Revision-1, 0
		if w.rev > c.Revision {
			c.Position = w.seen
		}
	}
	return c, nil
}

// testWatchFollow: what breaks off again and again, in the middle of batches too, shows each change once.
func testWatchFollow(t *testing.T, f *fixture) {
	kv, rng := f.kv(t), rand.New(rand.NewPCG(Seed(t), 0))
	w, base := openWatch(t, kv, system.WatchOptions{})
	for i := range 60 {
		batch := make([]system.Mutation, 1+rng.IntN(20))
		for j := range batch {
			batch[j] = system.Mutation{Key: fmt.Appendf(nil, "%02d", j), Value: fmt.Append(nil, i), Delete: rng.IntN(5) == 0}
		}
		must(t, kv.Apply(t.Context(), batch))
	}
	var want, got []string
	for at := base; at < base+60; {
		c, err := w.Next(t.Context())
		must(t, err)
		for _, change := range c.Changes {
			want = append(want, text(change, base))
		}
		at = c.Revision
	}
	broken := &flaky{KV: kv, rng: rng, code: errno.Unreach}
	for c, err := range system.Follow(t.Context(), broken, system.WatchOptions{Start: base + 1, Progress: system.ProgressMin}) {
		must(t, err)
		for _, change := range c.Changes {
			got = append(got, text(change, base))
		}
		if c.Revision >= base+60 {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("after %d breaks the follower has seen %d changes, of %d:\n%q", broken.breaks, len(got), len(want), got)
	}
	if broken.breaks == 0 {
		t.Error("nothing broke")
	}
}

// testWatchFollowErrors: other errors end it, and so does one of the first try; an end of ctx tells what was wrong, too.
func testWatchFollowErrors(t *testing.T, f *fixture) {
	kv := f.kv(t)
	ends := func(ctx context.Context, kv system.KV, o system.WatchOptions) (n int, err error) {
		for _, err = range system.Follow(ctx, kv, o) {
			n++
		}
		return n, err
	}
	for _, c := range []errno.Code{errno.IO, errno.NonExist} {
		broken := &flaky{KV: kv, rng: rand.New(rand.NewPCG(1, 1)), code: c}
		_, err := ends(t.Context(), broken, system.WatchOptions{Progress: system.ProgressMin})
		wantCode(t, "a watch that fails", err, c)
	}
	_, err := ends(t.Context(), kv, system.WatchOptions{Start: 1 << 60})
	wantCode(t, "a follower from the future", err, errno.Overflow)
	first := &flaky{KV: kv, rng: rand.New(rand.NewPCG(1, 1)), code: errno.Unreach, breaks: 1}
	for n := 1; n > 0; { // until the first try fails
		ctx, cancel := context.WithCancel(t.Context())
		n = 0
		for _, err = range system.Follow(ctx, first, system.WatchOptions{}) {
			if err == nil {
				n++
				break
			}
		}
		cancel()
	}
	wantCode(t, "a follower that never began", err, errno.Unreach)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := &flaky{KV: kv, rng: rand.New(rand.NewPCG(1, 1)), code: errno.Unreach}
	for _, err = range system.Follow(ctx, broken, system.WatchOptions{Progress: system.ProgressMin}) {
		if broken.breaks > 3 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a follower whose context ends: %v", err)
	}
}
