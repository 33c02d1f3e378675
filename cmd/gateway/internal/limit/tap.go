// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

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
	case method == apiv1.KeyValueService_GetStream_FullMethodName:
		return valueBytes
	case c.streams[method]:
		return streamBytes
	}
	return callBytes
}

// Tap gives a call its place when its headers have come, or refuses it before anything else of it is read. It is called by the goroutine
// that reads the connection, and does not wait.
func (c *Calls) Tap(ctx context.Context, method string, who Caller) (context.Context, error) {
	n := c.bytesOf(method)
	t := c.Gate.enter(who, n)
	_, known := c.streams[method]
	if t == nil {
		if t = c.refuse(ctx, who, n); t == nil {
			return nil, errFull()
		}
	} else if who.Conn != nil && known {
		who.Conn.admitted()
	} else if who.Conn != nil {
		who.Conn.refused()
		who.Conn.spend(unknownCost)
		t.heard.Store(true) // that is all that it costs
	}
	ctx, t.cancel = context.WithCancelCause(context.WithValue(ctx, ticketKey{}, t))
	t.waits(arriving)
	t.unhook = context.AfterFunc(ctx, t.drop)
	return ctx, nil
}

// refuse makes a call that finds no place cost its connection something. It returns a ticket when the call must not be refused yet.
func (c *Calls) refuse(ctx context.Context, who Caller, n int64) (t *Ticket) {
	if who.Conn != nil {
		who.Conn.refused()
		who.Conn.learn(c.Gate, who, n)
		who.Conn.hold(c.Gate)
	}
	if c.Gate.Lingers(ctx) {
		if t = c.Gate.enterLate(who); t != nil {
			return t
		}
		if deadline, _ := ctx.Deadline(); who.Conn != nil && time.Until(deadline) > distant {
			_ = who.Conn.Close() // thousands of others are being refused
		}
	}
	c.Gate.left(ctx)
	return nil
}

// Refuse makes a call that is refused for another reason cost its connection something.
func (c *Calls) Refuse(ctx context.Context, who Caller, err error) (context.Context, error) {
	if who.Conn != nil {
		who.Conn.refused()
	}
	c.Gate.left(ctx)
	return nil, err
}
