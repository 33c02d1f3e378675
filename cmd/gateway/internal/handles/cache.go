// SPDX-License-Identifier: Apache-2.0

// Package handles keeps pools, containers and objects open between the calls that use them.
//
// Always true: a handle with users is never closed; a handle holds one use of its parent, so that a parent outlives its children; an
// entry without users is open, and idle. Handles are closed by the janitor, by Drop and by Close, outside the lock; who asks for one
// meanwhile waits until it is gone, and opens it again.
package handles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Options bound a cache.
type Options struct {
	Max  int           // handles kept open while nobody uses them
	Idle time.Duration // a handle that was not used for so long is closed
	// Patience is how long Drop waits for calls that use what it closes.
	Patience time.Duration
	Log      *slog.Logger // hears of handles that failed to close
	// Check decides whether the caller of a context may use a handle, or (below) learn whether there is something of a name in what the
	// handle is of; nil: everybody may.
	Check func(ctx context.Context, h *Handle, below bool) error
}

// pollEvery is how often Drop and Close look whether handles are still in use.
const pollEvery = 5 * time.Millisecond

// Cache keeps handles open. It is safe for concurrent use.
type Cache struct {
	sys  system.System
	opts Options
	wake chan struct{} // tells the janitor that there are too many
	done chan struct{} // closed by Close
	gone chan struct{} // closed when the janitor has ended

	changes atomic.Uint64 // of who may use what
	known   known

	mu      sync.Mutex
	entries map[Ref]*Handle
	idle    int // entries that are idle, and not being closed
	closed  bool
}

// Handle is one use of an open pool, container or object: the field that its call asked for is set. Release ends the use.
type Handle struct {
	Pool      system.Pool
	Container system.Container
	KV        system.KV

	cache       *Cache
	ref         Ref
	parent      *Handle
	uuid, label string        // what else a pool or container is called
	epoch       uint64        // of the snapshot that a container is; 0: the container itself
	opened      chan struct{} // closed when opening has ended; then err, and all above, stay as they are
	err         error
	access      atomic.Pointer[Access] // of the pool or container, when it was looked at

	// under cache.mu
	users     int
	forgotten bool          // not in entries any more: the last use closes it
	closing   chan struct{} // not nil: being closed; closed when it is gone
	idleSince time.Time     // when the last use ended
}

// New returns an empty cache and starts its janitor.
func New(sys system.System, opts Options) *Cache {
	c := &Cache{
		sys: sys, opts: opts, wake: make(chan struct{}, 1), done: make(chan struct{}), gone: make(chan struct{}),
		entries: map[Ref]*Handle{},
	}
	go c.janitor()
	return c
}

// Get returns a use of what ref names, opened if need be, when the caller of ctx may use it. The caller must Release it.
func (c *Cache) Get(ctx context.Context, ref Ref) (*Handle, error) {
	h, err := c.get(ctx, ref)
	switch {
	case c.opts.Check == nil:
		return h, err
	case err != nil:
		return nil, c.tellable(ctx, ref, err)
	}
	if err := c.opts.Check(ctx, h, false); err != nil {
		h.Release()
		return nil, err
	}
	return h, nil
}

// tellable is why what ref names was not opened; or that the caller may not know.
func (c *Cache) tellable(ctx context.Context, ref Ref, err error) error {
	up := ref.holder()
	if up == "" {
		return err
	}
	h, upErr := c.get(ctx, up)
	if upErr != nil {
		return c.tellable(ctx, up, upErr)
	}
	defer h.Release()
	if no := c.opts.Check(ctx, h, true); no != nil {
		return no
	}
	return err
}

func (c *Cache) get(ctx context.Context, ref Ref) (*Handle, error) {
	for {
		h, mine, err := c.claim(ref)
		if err != nil {
			return nil, err
		}
		if h.closing != nil { // and not claimed: when it is gone, open it again
			if err := wait(ctx, h.closing, ref); err != nil {
				return nil, err
			}
			continue
		}
		if mine {
			c.open(ctx, h)
		}
		if err := wait(ctx, h.opened, ref); err != nil {
			h.Release()
			return nil, err
		}
		if h.err == nil {
			return h, nil
		}
		if mine || !endedByContext(h.err) {
			return nil, h.err
		} // else the caller that was opening it gave up: this one tries
	}
}

func wait(ctx context.Context, done <-chan struct{}, ref Ref) error {
	select {
	case <-done:
		return nil
	default: // before ctx is looked at: what is done is done
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errno.FromContext("open", string(ref), ctx)
	}
}

func endedByContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// claim finds the entry of ref and adds a user, unless it is being closed; or makes the entry, and mine says that the caller opens it.
func (c *Cache) claim(ref Ref) (h *Handle, mine bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, errno.New("open", string(ref), errno.Shutdown, "the gateway is going down")
	}
	h = c.entries[ref]
	switch {
	case h == nil:
		h = &Handle{cache: c, ref: ref, users: 1, opened: make(chan struct{})}
		c.entries[ref] = h
		return h, true, nil
	case h.closing == nil:
		h.use()
	}
	return h, false, nil
}

// use adds a user. Lock held.
func (h *Handle) use() {
	if h.users == 0 {
		h.cache.idle--
	}
	h.users++
}

// open opens the entry that claim made; the parent first.
func (c *Cache) open(ctx context.Context, h *Handle) {
	h.err = h.openIn(ctx)
	if h.err != nil {
		c.mu.Lock()
		h.leave()
		c.mu.Unlock()
		if h.parent != nil {
			h.parent.Release()
		}
	}
	close(h.opened)
}

func (h *Handle) openIn(ctx context.Context) (err error) {
	up := h.ref.Parent()
	if up == "" {
		return h.openPool(ctx)
	}
	if h.parent, err = h.cache.get(ctx, up); err != nil {
		return err
	}
	if up.Parent() == "" {
		return h.openContainer(ctx)
	}
	h.KV, err = h.parent.Container.OpenKV(ctx, h.ref.Name(), false)
	return err
}

func (h *Handle) openPool(ctx context.Context) (err error) {
	if h.Pool, err = h.cache.sys.OpenPool(ctx, h.ref.Name()); err != nil {
		return err
	}
	info, err := h.Pool.Info(ctx)
	if err != nil {
		return errors.Join(err, h.Pool.Close())
	}
	h.uuid, h.label = info.UUID, info.Label
	return nil
}

func (h *Handle) openContainer(ctx context.Context) (err error) {
	label, at, isSnapshot, err := h.ref.Snapshot()
	if err != nil {
		return err
	}
	if h.Container, err = h.parent.Pool.OpenContainer(ctx, label); err != nil {
		return err
	}
	if isSnapshot {
		live := h.Container
		h.Container, err = live.OpenSnapshot(ctx, at)
		if err = errors.Join(err, live.Close()); err != nil {
			return err
		}
	}
	info, err := h.Container.Info(ctx)
	if err != nil {
		return errors.Join(err, h.Container.Close())
	}
	h.uuid, h.label, h.epoch = info.UUID, info.Label, info.Epoch
	return nil
}

// Release ends a use.
func (h *Handle) Release() {
	c := h.cache
	c.mu.Lock()
	over := h.unuse() && c.idle > c.opts.Max
	last := h.forgotten && h.users == 0 && h.isOpen() && h.err == nil
	if last {
		h.closing = make(chan struct{})
	}
	c.mu.Unlock()
	if last {
		h.close()
	}
	if over {
		select {
		case c.wake <- struct{}{}:
		default: // it has been told already
		}
	}
}

// unuse takes a user away; it reports whether the handle became idle. Lock held.
func (h *Handle) unuse() bool {
	h.idleSince = time.Now()
	h.users--
	if h.users > 0 || h.cache.entries[h.ref] != h { // in use; or it never opened
		return false
	}
	h.cache.idle++
	return true
}

func (h *Handle) closer() io.Closer {
	switch {
	case h.KV != nil:
		return h.KV
	case h.Container != nil:
		return h.Container
	}
	return h.Pool
}

// close closes an entry that retire has marked.
func (h *Handle) close() {
	c := h.cache
	if err := h.closer().Close(); err != nil {
		c.opts.Log.Error("close", "of", string(h.ref), "error", err)
	}
	c.mu.Lock()
	h.leave()
	c.mu.Unlock()
	close(h.closing)
	if h.parent != nil {
		h.parent.Release()
	}
}

// leave takes the entry out, unless there is another one in its place. Lock held.
func (h *Handle) leave() {
	if h.cache.entries[h.ref] == h {
		delete(h.cache.entries, h.ref)
	}
}

// retire marks idle entries for closing, and returns them. Lock held.
func (c *Cache) retire(doomed func(*Handle) bool) (all []*Handle) {
	for _, h := range c.entries {
		if h.users == 0 && h.closing == nil && doomed(h) {
			h.closing = make(chan struct{})
			c.idle--
			all = append(all, h)
		}
	}
	return all
}

// sweep closes what is doomed, then the parents that became idle by it and are doomed too.
func (c *Cache) sweep(doomed func(*Handle) bool) {
	for {
		c.mu.Lock()
		all := c.retire(doomed)
		c.mu.Unlock()
		if len(all) == 0 {
			return
		}
		for _, h := range all {
			h.close()
		}
	}
}

// janitor closes handles that were idle for too long, and those that are too many.
func (c *Cache) janitor() {
	defer close(c.gone)
	tick := time.NewTicker(max(c.opts.Idle/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
		case <-tick.C:
		}
		limit := c.limit()
		c.sweep(func(h *Handle) bool { return !h.idleSince.After(limit) })
	}
}

// limit is when a handle must have been used to stay open. When too many are idle, an eighth of them goes beyond those that are too
// many, so that the next release does not wake the janitor again.
func (c *Cache) limit() time.Time {
	limit := time.Now().Add(-c.opts.Idle)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle <= c.opts.Max {
		return limit
	}
	var since []time.Time
	for _, h := range c.entries {
		if h.users == 0 && h.closing == nil {
			since = append(since, h.idleSince)
		}
	}
	slices.SortFunc(since, time.Time.Compare)
	keep := c.opts.Max - c.opts.Max/8
	if oldest := since[len(since)-1-keep]; oldest.After(limit) {
		return oldest
	}
	return limit
}

// Drop closes every handle on what ref names, under any of its names, and on what is in it, so that it can be destroyed. Calls that
// use one of them get a short while to end: a stream that its client has just left is still on its way. Then it is BUSY.
func (c *Cache) Drop(ctx context.Context, ref Ref) error {
	names := ref.parts()
	return c.drop(ctx, ref, func(h *Handle) bool { return h.isIn(names) })
}

// DropSnapshot is Drop of the snapshot of that epoch of the container that ref names.
func (c *Cache) DropSnapshot(ctx context.Context, ref Ref, epoch uint64) error {
	names := ref.parts()
	return c.drop(ctx, ref, func(h *Handle) bool { return h.isIn(names) && h.isOfEpoch(epoch) })
}

// Forget makes the next Get of what ref names, under any of its names, open it anew: that is called otherwise now. Uses that there are
// go on, and the last one closes the handle. What is just being opened is forgotten whenever it may be that.
func (c *Cache) Forget(ref Ref) {
	names := ref.parts()
	var idle []*Handle
	c.mu.Lock()
	for _, h := range c.entries {
		if h.closing != nil || !(h.isIn(names) || len(h.ref.parts()) == len(names) && !h.isOpen()) {
			continue
		}
		h.forgotten = true
		h.leave()
		if h.users == 0 {
			h.closing = make(chan struct{})
			c.idle--
			idle = append(idle, h)
		}
	}
	c.mu.Unlock()
	for _, h := range idle {
		h.close()
	}
}

func (c *Cache) drop(ctx context.Context, ref Ref, inside func(*Handle) bool) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Patience)
	defer cancel()
	for {
		c.sweep(inside)
		used := c.find(inside)
		if used == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errno.New("destroy", string(ref), errno.Busy,
				fmt.Sprintf("a call that is running uses %s; try again when it has ended", used.ref))
		case <-time.After(pollEvery):
		}
	}
}

func (c *Cache) find(wanted func(*Handle) bool) *Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.entries {
		if wanted(h) {
			return h
		}
	}
	return nil
}

// isIn reports whether the handle is of what names names, or of something in it. A handle that is just being opened is known by the
// name that it was asked for only.
func (h *Handle) isIn(names []string) bool {
	own := h.ref.parts()
	if len(own) < len(names) {
		return false
	}
	for at := h; at != nil; at = at.parentIfOpen() {
		depth := len(at.ref.parts())
		if depth <= len(names) && !at.isCalled(names[depth-1]) {
			return false
		}
	}
	return true
}

func (h *Handle) isOfEpoch(epoch uint64) bool {
	for at := h; at != nil; at = at.parentIfOpen() {
		if at.isOpen() && at.Container != nil {
			return at.epoch == epoch
		}
	}
	return false
}

func (h *Handle) isOpen() bool {
	select {
	case <-h.opened:
		return true
	default:
		return false
	}
}

func (h *Handle) parentIfOpen() *Handle {
	if h.isOpen() {
		return h.parent
	}
	return nil
}

func (h *Handle) isCalled(name string) bool {
	own, _, _ := strings.Cut(h.ref.Name(), "@") // of a snapshot: the container; but objects have any name
	if h.ref.Parent().Parent() != "" {
		own = h.ref.Name()
	}
	return name == own || h.isOpen() && (name == h.uuid || name == h.label)
}

// Open is the number of handles that are open, or on their way.
func (c *Cache) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Close closes every handle, and waits for those that are in use until ctx ends: then BUSY. No handle is given out afterwards.
func (c *Cache) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if first {
		close(c.done)
	}
	<-c.gone
	for {
		c.sweep(func(*Handle) bool { return true })
		c.mu.Lock()
		left := len(c.entries)
		c.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errno.New("close", "", errno.Busy, fmt.Sprintf("%d handles are still in use", left))
		case <-time.After(pollEvery):
		}
	}
}
