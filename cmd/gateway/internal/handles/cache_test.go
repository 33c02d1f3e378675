// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// world counts what is open in it, and finds fault with a handle that is closed in use or before its children.
type world struct {
	system.System
	t       *testing.T
	opening func(ctx context.Context, name string) error
	opens   atomic.Int64
	open    atomic.Int64
	asked   atomic.Int64 // who may use a container
}

func (w *world) entry(ctx context.Context, name string, parent *thing) (*thing, error) {
	if err := w.opening(ctx, name); err != nil {
		return nil, err
	}
	w.opens.Add(1)
	w.open.Add(1)
	if parent != nil {
		parent.children.Add(1)
	}
	return &thing{w: w, name: name, parent: parent}, nil
}

type thing struct {
	w        *world
	name     string
	parent   *thing
	children atomic.Int64
	users    atomic.Int64
	closed   atomic.Bool
}

func (e *thing) Close() error {
	if e.closed.Swap(true) || e.users.Load() != 0 || e.children.Load() != 0 {
		e.w.t.Errorf("%s was closed twice, or with %d users and %d children", e.name, e.users.Load(), e.children.Load())
	}
	e.w.open.Add(-1)
	if e.parent != nil {
		e.parent.children.Add(-1)
	}
	return nil
}

type (
	pool struct {
		system.Pool
		*thing
	}
	container struct {
		system.Container
		*thing
	}
	kv struct {
		system.KV
		*thing
	}
)

func (p pool) Close() error      { return p.thing.Close() }
func (c container) Close() error { return c.thing.Close() }
func (k kv) Close() error        { return k.thing.Close() }

func (w *world) OpenPool(ctx context.Context, name string) (system.Pool, error) {
	e, err := w.entry(ctx, name, nil)
	return pool{thing: e}, err
}

func (p pool) Info(context.Context) (system.PoolInfo, error) {
	return system.PoolInfo{Label: "tank", UUID: "uuid-of-tank"}, nil
}

func (p pool) OpenContainer(ctx context.Context, name string) (system.Container, error) {
	e, err := p.w.entry(ctx, name, p.thing)
	return container{thing: e}, err
}

func (c container) Info(context.Context) (system.ContainerInfo, error) {
	return system.ContainerInfo{Label: "neo", UUID: "uuid-of-neo"}, nil
}

func (c container) OpenKV(ctx context.Context, name string, _ bool) (system.KV, error) {
	e, err := c.w.entry(ctx, name, c.thing)
	return kv{thing: e}, err
}

func newWorld(t *testing.T, o Options) (*world, *Cache) {
	w := &world{t: t, opening: func(context.Context, string) error { return nil }}
	o.Log = slog.New(slog.DiscardHandler)
	o.Patience = max(o.Patience, 10*time.Millisecond)
	c := New(w, o)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil || w.open.Load() != 0 {
			t.Errorf("Close: %v; %d handles are left", err, w.open.Load())
		}
	})
	return w, c
}

func get(t *testing.T, c *Cache, ref Ref) *Handle {
	t.Helper()
	h, err := c.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// eventually waits for what the janitor does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestParse(t *testing.T) {
	for text, parts := range map[string]int{"tank": 1, "tank/neo": 2, "tank/neo/stadium": 3, "a/b/ö x": 3} {
		r, err := Parse(text, parts)
		if err != nil || string(r) != text {
			t.Errorf("Parse(%q) = %q, %v", text, r, err)
		}
		if _, err := Parse(text, parts%3+1); !errors.Is(err, errno.Inval) {
			t.Errorf("Parse(%q) as %d parts: %v", text, parts%3+1, err)
		}
	}
	for _, text := range []string{"/a/b", "a//b", "a/b/", "//", string(make([]byte, 1000)) + "/a/b"} {
		if _, err := Parse(text, 3); !errors.Is(err, errno.Inval) {
			t.Errorf("Parse(%.20q): %v", text, err)
		}
	}
	if r := Ref("tank/neo/stadium"); r.Parent() != "tank/neo" || r.Name() != "stadium" || Ref("tank").Parent() != "" {
		t.Errorf("parent %q, name %q", r.Parent(), r.Name())
	}
}

// TestOnce: however many ask at once, a thing is opened once, with its parents.
func TestOnce(t *testing.T) {
	w, c := newWorld(t, Options{Max: 10, Idle: time.Hour})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			h := get(t, c, "tank/neo/stadium")
			if h.KV.(kv).closed.Load() {
				t.Error("a handle that is closed")
			}
			h.Release()
		})
	}
	wg.Wait()
	if n := w.opens.Load(); n != 3 {
		t.Errorf("%d were opened, want pool, container and object", n)
	}
}

// TestIdle: what is not used is closed after a while, children first; what is used is not.
func TestIdle(t *testing.T) {
	w, c := newWorld(t, Options{Max: 10, Idle: 10 * time.Millisecond})
	held := get(t, c, "tank/neo/held")
	get(t, c, "tank/neo/idle").Release()
	eventually(t, "the idle one is closed", func() bool { return w.open.Load() == 3 })
	time.Sleep(50 * time.Millisecond)
	if held.KV.(kv).closed.Load() || w.open.Load() != 3 {
		t.Errorf("a handle in use was closed; %d are open", w.open.Load())
	}
	held.Release()
	eventually(t, "all are closed", func() bool { return w.open.Load() == 0 })
}

// TestMax: of too many idle handles those used longest ago go.
func TestMax(t *testing.T) {
	w, c := newWorld(t, Options{Max: 5, Idle: time.Hour})
	keep := get(t, c, "tank/neo/keep")
	for i := range 20 {
		get(t, c, Ref(fmt.Sprintf("tank/neo/o%02d", i))).Release()
	}
	eventually(t, "5 idle ones are left", func() bool { return w.open.Load() == 3+5 })
	before := w.opens.Load()
	get(t, c, "tank/neo/o19").Release()
	if w.opens.Load() != before {
		t.Error("the one that was used last was closed")
	}
	keep.Release()
}

// TestOpenFails: a failure is told to all who waited, and not remembered; one caller's cancellation does not fail another.
func TestOpenFails(t *testing.T) {
	w, c := newWorld(t, Options{Max: 5, Idle: time.Hour})
	w.opening = func(_ context.Context, name string) error {
		if name == "stadium" {
			return errno.NonExist
		}
		return nil
	}
	for range 3 {
		if _, err := c.Get(t.Context(), "tank/neo/stadium"); !errors.Is(err, errno.NonExist) {
			t.Errorf("Get: %v", err)
		}
	}
	began := make(chan struct{}, 2)
	w.opening = func(ctx context.Context, name string) error {
		if name == "slow" {
			began <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { _, err := c.Get(ctx, "tank/neo/slow"); first <- err }()
	<-began
	second := make(chan error)
	short, cancel2 := context.WithCancel(t.Context())
	go func() { _, err := c.Get(short, "tank/neo/slow"); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	<-began // the second tries for itself
	cancel2()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
}

// TestDrop: everything below a name is closed, under whatever name it was opened; what is in use makes it BUSY.
func TestDrop(t *testing.T) {
	w, c := newWorld(t, Options{Max: 50, Idle: time.Hour})
	for _, ref := range []Ref{"tank/neo/a", "uuid-of-tank/neo/b", "tank/uuid-of-neo/c", "uuid-of-tank/uuid-of-neo/d"} {
		get(t, c, ref).Release()
	}
	used := get(t, c, "uuid-of-tank/neo/e")
	if err := c.Drop(t.Context(), "tank/neo"); !errors.Is(err, errno.Busy) {
		t.Errorf("Drop of what is in use: %v", err)
	}
	used.Release()
	if err := c.Drop(t.Context(), "tank/neo"); err != nil || w.open.Load() != 2 {
		t.Errorf("Drop of the container: %v; %d are open, want the pool under two names", err, w.open.Load())
	}
	if err := c.Drop(t.Context(), "uuid-of-tank"); err != nil || w.open.Load() != 0 {
		t.Errorf("Drop of the pool: %v; %d are open", err, w.open.Load())
	}
	used = get(t, c, "tank/neo/e")
	time.AfterFunc(5*time.Millisecond, used.Release)
	c.opts.Patience = 10 * time.Second
	if err := c.Drop(t.Context(), "tank"); err != nil {
		t.Errorf("Drop of what is in use for a moment: %v", err)
	}
}

// TestForget: what is asked for after it is opened anew, under whatever name; who uses the old handle keeps it, and the last one closes it.
func TestForget(t *testing.T) {
	w, c := newWorld(t, Options{Max: 50, Idle: time.Hour})
	for _, ref := range []Ref{"uuid-of-tank/neo/a", "tank/neo/b", "tank/neo/ab"} {
		get(t, c, ref).Release()
	}
	used, also := get(t, c, "tank/neo/a"), get(t, c, "tank/neo/a")
	open := w.open.Load()
	c.Forget("tank/uuid-of-neo/a") // its container under another name
	c.Forget("tank/neo/a")
	if w.open.Load() != open-1 {
		t.Errorf("%d are open, want %d: the one of the other name was idle", w.open.Load(), open-1)
	}
	again := get(t, c, "tank/neo/a")
	if again.KV == used.KV {
		t.Error("what was forgotten was given out")
	}
	used.Release()
	if used.KV.(kv).closed.Load() {
		t.Error("a handle was closed in use")
	}
	also.Release()
	if !used.KV.(kv).closed.Load() || again.KV.(kv).closed.Load() {
		t.Error("the last use did not close the handle, or closed the new one")
	}
	again.Release()
	for _, ref := range []Ref{"tank/neo/b", "tank/neo/ab"} {
		opens := w.opens.Load()
		get(t, c, ref).Release()
		if w.opens.Load() != opens {
			t.Errorf("%s was forgotten, too", ref)
		}
	}
}

// TestForgetOpening: what is just being opened under the old name is not given to who comes later.
func TestForgetOpening(t *testing.T) {
	w, c := newWorld(t, Options{Max: 50, Idle: time.Hour})
	began, goOn := make(chan struct{}, 2), make(chan struct{})
	w.opening = func(_ context.Context, name string) error {
		if name == "a" {
			began <- struct{}{}
			<-goOn
		}
		return nil
	}
	first := make(chan *Handle)
	go func() { first <- get(t, c, "tank/neo/a") }()
	<-began
	c.Forget("uuid-of-tank/neo/a")
	close(goOn)
	old := <-first
	again := get(t, c, "tank/neo/a")
	if again.KV == old.KV {
		t.Error("what was being opened was given out")
	}
	old.Release()
	again.Release()
}

func TestClosed(t *testing.T) {
	_, c := newWorld(t, Options{Max: 5, Idle: time.Hour})
	h := get(t, c, "tank/neo/stadium")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, errno.Busy) {
		t.Errorf("Close with a handle in use: %v", err)
	}
	if _, err := c.Get(t.Context(), "tank"); !errors.Is(err, errno.Shutdown) {
		t.Errorf("Get after Close: %v", err)
	}
	h.Release()
}

// TestChurn: users, the janitor, Drop and Forget at once; the world finds fault when one closes under another.
func TestChurn(t *testing.T) {
	_, c := newWorld(t, Options{Max: 3, Idle: time.Millisecond, Patience: time.Millisecond})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	end := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	for i := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, i))
			for time.Now().Before(end) {
				if rng.IntN(20) == 0 {
					c.Forget(Ref(fmt.Sprintf("tank/neo/o%d", rng.IntN(6))))
				}
				if rng.IntN(20) == 0 {
					_ = c.Drop(t.Context(), "tank/neo") // BUSY as often as not
					continue
				}
				h := get(t, c, Ref(fmt.Sprintf("tank/neo/o%d", rng.IntN(6))))
				e := h.KV.(kv).thing
				e.users.Add(1)
				if e.closed.Load() {
					t.Error("a handle that is closed was given out")
				}
				time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
				e.users.Add(-1)
				h.Release()
			}
		})
	}
	wg.Wait()
}
