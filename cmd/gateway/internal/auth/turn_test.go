// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
)

// TestTurns: of those whose bytes have come as many go on as there are turns, who waits for bytes has none, and who waits for long gives up.
func TestTurns(t *testing.T) {
	all := make(turns, 1)
	shake := func(within time.Duration) (*turning, net.Conn) {
		raw, client := net.Pipe()
		t.Cleanup(func() { _, _ = raw.Close(), client.Close() })
		return all.begin(raw, within), client
	}
	byteOf := func(c *turning, client net.Conn) error {
		go client.Write([]byte{22}) // its end is that of the pipe
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	first, firstClient := shake(time.Minute)
	if err := byteOf(first, firstClient); err != nil || len(all) != 1 {
		t.Fatalf("the first has no turn: %v", err)
	}
	late, lateClient := shake(10 * time.Millisecond)
	if err := byteOf(late, lateClient); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that waits for its turn for too long: %v", err)
	}
	second, secondClient := shake(time.Minute)
	done := make(chan error)
	go func() { done <- byteOf(second, secondClient) }()
	select {
	case err := <-done:
		t.Fatalf("the second goes on beside the first: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	go first.Read(make([]byte, 1)) // it waits for its client now, until the pipe is closed
	if err := <-done; err != nil {
		t.Errorf("the second: %v", err)
	}
	second.end()
	if err := byteOf(second, secondClient); err != nil || len(all) != 0 {
		t.Errorf("behind the handshake: %v, %d turns are taken", err, len(all))
	}
}

// listening is a listener of another protocol than gRPC, with TLS, and its turns.
func listening(t *testing.T) (l net.Listener, addr string, taken func() int) {
	t.Helper()
	ca, err := pki.NewCA("here", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server([]string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{turns: make(turns, 1)}
	g.state.Store(&state{cert: &tls.Certificate{Certificate: [][]byte{pair.Cert.Raw}, PrivateKey: pair.Key}})
	g.state.Load().finish()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() }) // fails when it is closed already
	return tls.NewListener(g.Turns(raw), g.TLS("http/1.1")), raw.Addr().String(), func() int { return len(g.turns) }
}

// TestTurnsOfAListener: a handshake of TLS on the port of another protocol waits for its turn, too; behind it the connection takes none.
func TestTurnsOfAListener(t *testing.T) {
	l, addr, taken := listening(t)
	dialed := make(chan error, 1)
	go func() {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			defer conn.Close()
			_, err = conn.Write([]byte("x"))
		}
		dialed <- err
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	shaking := conn.(*tls.Conn).NetConn().(*turning)
	shaking.turns <- struct{}{} // somebody's, of gRPC
	shaken := make(chan error, 1)
	go func() { shaken <- conn.(*tls.Conn).Handshake() }()
	select {
	case err := <-shaken:
		t.Fatalf("the handshake went on beside another: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	<-shaking.turns
	if err := errors.Join(<-shaken, <-dialed); err != nil || taken() != 0 {
		t.Fatalf("the handshake, in its turn: %v; %d turns are taken behind it", err, taken())
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil || taken() != 0 {
		t.Errorf("what comes behind the handshake: %v; %d turns are taken", err, taken())
	}
}

// TestTurnOfClosed: a connection that is closed in its turn gives it back, and one that is closed while it waits takes none.
func TestTurnOfClosed(t *testing.T) {
	all := make(turns, 1)
	raw, client := net.Pipe()
	defer client.Close()
	c := all.begin(raw, time.Minute)
	go client.Write([]byte{22}) // its end is that of the pipe
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil || len(all) != 1 {
		t.Fatalf("it has no turn: %v", err)
	}
	_, _ = c.Close(), c.Close()
	if len(all) != 0 {
		t.Error("a closed connection has a turn")
	}
	if err := c.take(); !errors.Is(err, net.ErrClosed) || len(all) != 0 {
		t.Errorf("a closed connection takes a turn: %v", err)
	}
}
