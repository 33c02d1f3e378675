// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
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
