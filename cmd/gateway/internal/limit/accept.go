// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net"
	"sync"
	"time"
)

// Listen is a listener that has at most so many connections at once. One more waits until another goes; and when there is one that is idle,
// that one is closed. A connection for whose handshake there is no place is closed here, where that costs no goroutine, and after crowdRun
// of them the listener rests for crowdPause, so that a crowd takes a part of a processor. Who comes behind it waits in the system's queue, which
// may hold thousands of connections: it is gone through in less than half a second.
func (cs *Conns) Listen(l net.Listener) net.Listener {
	return &limited{Listener: l, conns: cs, places: make(chan struct{}, cs.Most), closing: make(chan struct{})}
}

type limited struct {
	net.Listener
	conns   *Conns
	places  chan struct{}
	closing chan struct{}
	once    sync.Once
	crowd   int // connections that found no place for their handshake; of the goroutine that accepts
}

const (
	crowdRun   = 32
	crowdPause = 500 * time.Microsecond
)

// evictEvery is how often who waits for a place looks for a connection that has become idle.
const evictEvery = 100 * time.Millisecond

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.place() {
			_ = conn.Close() // nothing was sent yet
			return nil, net.ErrClosed
		}
		addr, _ := addressOf(conn)
		if from, wait, ok := l.conns.shake(addr, time.Now()); ok {
			return l.shaking(conn, from, wait), nil
		}
		<-l.places
		_ = conn.Close() // likewise
		if l.crowd++; l.crowd%crowdRun == 0 {
			time.Sleep(crowdPause)
		}
	}
}

// arrived is a connection that has a place for its handshake, until that has ended, or it is closed.
type arrived struct {
	countedConn
	from   *origin
	wait   time.Duration // before the handshake
	shaken func()
}

func (l *limited) shaking(conn net.Conn, from *origin, wait time.Duration) *arrived {
	shaken := sync.OnceFunc(func() { l.conns.shaken(from) })
	return &arrived{countedConn{conn, sync.OnceFunc(func() { shaken(); <-l.places })}, from, wait, shaken}
}

// place waits for a place; false when the listener was closed.
func (l *limited) place() bool {
	select {
	case l.places <- struct{}{}:
		return true
	default:
	}
	ticker := time.NewTicker(evictEvery)
	defer ticker.Stop()
	for {
		l.conns.evict(time.Now())
		select {
		case l.places <- struct{}{}:
			return true
		case <-ticker.C:
		case <-l.closing:
			return false
		}
	}
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// evict closes the connection that was idle longest, if it was for long enough.
func (cs *Conns) evict(now time.Time) {
	var oldest *Conn
	for _, c := range cs.idle(now, idleEnough) {
		if oldest == nil || c.used.Load() < oldest.used.Load() {
			oldest = c
		}
	}
	if oldest != nil {
		_ = oldest.Close() // the other side sees it
	}
}
