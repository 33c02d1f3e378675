// SPDX-License-Identifier: Apache-2.0

package limit

// room are those who wait until the gate has room, in the order in which they came.
type room struct{ waiters []chan struct{} }

// Room returns a channel that is closed when less than half of the gate is taken, and it is this one's turn. The caller calls end when it does not
// wait any longer.
func (g *Gate) Room() (turn <-chan struct{}, end func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan struct{})
	g.room.waiters = append(g.room.waiters, c)
	g.wake()
	return c, func() { g.leave(c) }
}

// wake lets one go on who waits, when there is room. Lock held.
func (g *Gate) wake() {
	if len(g.room.waiters) > 0 && g.hasRoom() && g.calls.used-g.idle < (g.lively+1)/2 {
		close(g.room.waiters[0])
		g.room.waiters = g.room.waiters[1:]
	}
}

// hasRoom is whether less than half of the gate is taken. Lock held.
func (g *Gate) hasRoom() bool {
	return g.calls.used < (g.calls.most+1)/2 && g.bytes.used < (g.bytes.most+1)/2
}

func (g *Gate) leave(c chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.room.waiters {
		if other == c {
			g.room.waiters = append(g.room.waiters[:i], g.room.waiters[i+1:]...)
			return
		}
	}
}
