// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// poll is how often files and live calls are looked at.
const poll = 500 * time.Millisecond

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// loadFirst reads all files; one that is not good is an error.
func (g *Guard) loadFirst() error {
	s := &state{generation: 1}
	for _, p := range g.parts {
		sig, err := p.signature()
		if err == nil {
			err = p.read(s)
		}
		if err != nil {
			return fmt.Errorf("the %s cannot be loaded: %w", p.name, err)
		}
		p.used, p.seen = sig, sig
	}
	s.finish()
	g.state.Store(s)
	return nil
}

// Reload reads the files that changed. What is not good is logged, and the old stays in use.
func (g *Guard) Reload() { g.reload(true) }

// reload reads the files that changed; those that are still being written, only when told to do it now.
func (g *Guard) reload(now bool) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	next := *g.state.Load()
	changed := false
	for _, p := range g.parts {
		changed = g.reloadPart(p, &next, now) || changed
	}
	if changed {
		next.generation++
		next.finish()
		g.state.Store(&next)
	}
}

// reloadPart reports whether it put something new into next.
func (g *Guard) reloadPart(p *part, next *state, now bool) bool {
	sig, err := p.signature()
	if err != nil {
		g.complain(p, err)
		return false
	}
	settled := now || sig == p.seen
	p.seen = sig
	if sig == p.used || !settled {
		return false
	}
	if err := p.read(next); err != nil {
		g.complain(p, err)
		return false
	}
	p.used, p.said = sig, ""
	g.cfg.Log.Info("reloaded", "what", p.name)
	return true
}

// complain logs the same complaint once.
func (g *Guard) complain(p *part, err error) {
	if p.said != err.Error() {
		p.said = err.Error()
		g.cfg.Log.Error("not reloaded; the old stays in use", "what", p.name, "error", err)
	}
}

// watch looks at the files and at the live calls until it is stopped.
func (g *Guard) watch() {
	defer close(g.stopped)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-tick.C:
			g.reload(false)
			g.live.check(g.state.Load(), time.Now())
		}
	}
}
