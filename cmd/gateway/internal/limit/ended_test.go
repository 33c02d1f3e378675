// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"io"
	"testing"

	"google.golang.org/grpc"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// late is a stream whose message comes when it likes.
type late struct {
	grpc.ServerStream
	come chan struct{}
}

func (l late) RecvMsg(m any) error {
	if _, ok := <-l.come; !ok {
		return io.EOF
	}
	m.(*apiv1.GetRequest).Object = "tank/neo/stadium"
	return nil
}

// TestLateMessage: what a stream is about can be asked while its first message still comes. The race detector says whether it can.
func TestLateMessage(t *testing.T) {
	l := late{come: make(chan struct{}, 1)}
	o := &opening{ServerStream: l}
	received := make(chan error)
	go func() { received <- o.RecvMsg(&apiv1.GetRequest{}) }()
	l.come <- struct{}{}
	for range 1000 {
		if about := o.GetObject(); about != "" && about != "tank/neo/stadium" {
			t.Fatalf("it is about %q", about)
		}
	}
	if err := <-received; err != nil || o.GetObject() != "tank/neo/stadium" {
		t.Errorf("%v; it is about %q", err, o.GetObject())
	}
	close(l.come)
	if err := o.RecvMsg(&apiv1.GetRequest{}); err != io.EOF || o.GetObject() != "tank/neo/stadium" {
		t.Errorf("at the end: %v; it is about %q", err, o.GetObject())
	}
}
