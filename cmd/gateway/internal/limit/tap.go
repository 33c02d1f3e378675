// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// distant is a deadline so far away that grpc may not be told to refuse the call before its message: it would keep the timer of that
// deadline until then.
const distant = time.Minute

// Distant is whether the deadline of a call is so far away that a tap.ServerInHandle must not refuse it.
func Distant(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) > distant
}

// Methods learns which methods there are, and which are streams, before the server serves.
func (c *Calls) Methods(services map[string]grpc.ServiceInfo) {
	c.streams = map[string]bool{}
	for name, s := range services {
		for _, m := range s.Methods {
			full := "/" + name + "/" + m.Name
			c.streams[full] = (m.IsClientStream || m.IsServerStream) && !endless[full]
		}
	}
}

// bytesOf is what a call holds from the beginning to the end.
func (c *Calls) bytesOf(method string) int64 {
	switch {
	case method == apiv1.KeyValueService_Watch_FullMethodName:
		return watchBytes
	case c.streams[method]:
		return streamBytes
	}
	return callBytes
}

// Tap gives a call its place when its headers have come, or refuses it before anything else of it is read. It is called by the goroutine
// that reads the connection, and does not wait.
func (c *Calls) Tap(ctx context.Context, method string, who Caller) (context.Context, error) {
	t := c.Gate.enter(who, c.bytesOf(method))
	_, known := c.streams[method]
	who.judged(t != nil && known)
	if t == nil {
		if !Distant(ctx) {
			return nil, errFull()
		}
		if t = c.Gate.enterLate(who); t == nil {
			if who.Conn != nil {
				_ = who.Conn.Close() // a thousand others are being refused
			}
			return nil, errFull()
		}
	}
	ctx, t.cancel = context.WithCancelCause(context.WithValue(ctx, ticketKey{}, t))
	t.waits(arriving)
	t.unhook = context.AfterFunc(ctx, t.drop)
	return ctx, nil
}

// judged tells the connection what became of a call.
func (c Caller) judged(admitted bool) {
	switch {
	case c.Conn == nil:
	case admitted:
		c.Conn.admitted()
	default:
		c.Conn.refused()
	}
}

// Refuse makes a call that is refused for another reason cost its connection as much.
func (c Caller) Refuse(err error) (context.Context, error) {
	c.judged(false)
	return nil, err
}
