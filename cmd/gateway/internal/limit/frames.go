// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"encoding/binary"
	"net"
	"sync"

	"golang.org/x/net/http2"
)

const frameHead = 9

// frames finds the heads of frames in bytes that come in pieces of any size.
type frames struct {
	head [frameHead]byte
	got  int // of head
	skip int // bytes before the next head
}

// headOf is what the head of a frame says.
func headOf(b []byte) (kind http2.FrameType, flags http2.Flags, length int, stream uint32) {
	return http2.FrameType(b[3]), http2.Flags(b[4]), int(binary.BigEndian.Uint32(b) >> 8), binary.BigEndian.Uint32(b[5:]) &^ (1 << 31)
}

// scan calls found for each head that ends in p.
func (f *frames) scan(p []byte, found func(kind http2.FrameType, flags http2.Flags, length int)) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
			continue
		}
		n := copy(f.head[f.got:], p)
		f.got, p = f.got+n, p[n:]
		if f.got == frameHead {
			kind, flags, length, _ := headOf(f.head[:])
			f.got, f.skip = 0, length
			found(kind, flags, length)
		}
	}
}

// between is whether the last frame has come wholly.
func (f *frames) between() bool { return f.got == 0 && f.skip == 0 }

// outgoing is what is written to a connection: by grpc, in pieces that may end within a frame, and whole frames by who refuses calls before
// grpc sees them, which go between the others.
type outgoing struct {
	mu      sync.Mutex
	written frames
	open    bool   // headers are not at their end
	waiting []byte // frames for which there was no place yet
}

// write writes for grpc, and then what waits.
func (o *outgoing) write(to net.Conn, p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := to.Write(p)
	o.written.scan(p[:n], func(kind http2.FrameType, flags http2.Flags, _ int) {
		if kind == http2.FrameHeaders || kind == http2.FrameContinuation {
			o.open = !flags.Has(http2.FlagHeadersEndHeaders) // the same bit in both
		}
	})
	if err == nil && len(o.waiting) > 0 && o.place() {
		_, err = to.Write(o.waiting)
		o.waiting = o.waiting[:0]
	}
	return n, err
}

// place is whether a frame may come now.
func (o *outgoing) place() bool { return o.written.between() && !o.open }

// insert writes whole frames as soon as they have a place.
func (o *outgoing) insert(to net.Conn, frames []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.place() {
		o.waiting = append(o.waiting, frames...) // grpc goes on with what it has begun
		return nil
	}
	_, err := to.Write(frames)
	return err
}
