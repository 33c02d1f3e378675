// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/handles"
	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	fuzzHang  = 30 * time.Second       // a call that lasts so long hangs
	fuzzIdle  = 100 * time.Millisecond // after which a stream that has no end of its own is left
	fuzzRenew = 2000                   // calls on one pool
	fuzzMsgs  = 16                     // messages of one stream
)

// lasting are the streams that end when their client likes.
var lastingMethods = map[protoreflect.Name]bool{"Watch": true, "StreamStats": true}

// FuzzCalls calls any method with messages that are well-formed and mostly nonsense, made up of what the fuzzer says.
func FuzzCalls(f *testing.F) {
	z := newFuzzer(f)
	f.Fuzz(func(t *testing.T, method string, data []byte) {
		m := z.method(method)
		src := &source{data}
		n := 1
		if m.IsStreamingClient() {
			n = src.pick(fuzzMsgs)
		}
		var msgs [][]byte
		for range n {
			msg := newMessage(t, m.Input())
			src.fill(msg.ProtoReflect(), 4)
			tame(msg)
			msgs = append(msgs, must[[]byte](t)(proto.Marshal(msg)))
		}
		z.run(t, m, msgs, src.pick(8) == 1)
	})
}

// FuzzMessages calls any method with the fuzzer's own bytes for messages. What is no message is INTERNAL, as gRPC has it.
func FuzzMessages(f *testing.F) {
	z := newFuzzer(f)
	f.Fuzz(func(t *testing.T, method string, data []byte) {
		m := z.method(method)
		msgs, wellFormed := [][]byte{data}, true
		if m.IsStreamingClient() {
			msgs = pieces(data)
		}
		for i := range msgs {
			msg := newMessage(t, m.Input())
			if proto.Unmarshal(msgs[i], msg) != nil {
				wellFormed = false
			} else if tame(msg) {
				msgs[i] = must[[]byte](t)(proto.Marshal(msg))
			}
		}
		if code := z.run(t, m, msgs, false); !wellFormed && !m.IsStreamingClient() && code != codes.Internal {
			t.Errorf("%s: %v for what is no message", m.FullName(), code)
		}
	})
}

// pieces cuts data into messages: each has its length before it.
func pieces(data []byte) (msgs [][]byte) {
	for len(data) > 0 && len(msgs) < fuzzMsgs {
		n := min(int(data[0]), len(data)-1)
		msgs, data = append(msgs, data[1:1+n]), data[1+n:]
	}
	return msgs
}

// tame keeps a fuzzer from filling the disk: a new pool has 64 MiB at most, or more than any disk has. It reports whether it changed something.
func tame(msg proto.Message) bool {
	req, ok := msg.(*apiv1.CreatePoolRequest)
	if !ok {
		return false
	}
	small := func(n uint64) uint64 {
		if n > 64<<20 && n < 1<<60 {
			return 64 << 20
		}
		return n
	}
	req.Size, req.LogBytes = small(req.GetSize()), small(req.GetLogBytes())
	return true
}

// fuzzer is a gateway in this process on the real engine, with a small pool, and a connection to it.
type fuzzer struct {
	s       *Server
	sys     system.System
	devices *fakedev.Devices
	conn    *grpc.ClientConn
	all     []protoreflect.MethodDescriptor
	calls   int
}

func newFuzzer(f *testing.F) *fuzzer {
	f.Helper()
	z := &fuzzer{sys: engine(f, f.TempDir()), devices: fakedev.New(), all: methods(f)}
	z.devices.Add("block:/dev/fuzz", "block", "fuzz", 1<<20)
	s, err := New(Config{System: z.sys, Socket: filepath.Join(f.TempDir(), "s"), Log: slog.New(slog.DiscardHandler), Devices: z.devices, AllowRaw: true,
		Timeout: 300 * time.Millisecond, Patience: 5 * time.Second, InFlight: 64 << 20, Version: "0.0.0-test"})
	if err != nil {
		f.Fatal(err)
	}
	z.s = s
	pipe := bufconn.Listen(1 << 20)
	s.listeners = append(s.listeners, pipe)
	s.Serve()
	z.conn, err = grpc.NewClient("passthrough:fuzz", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = z.conn.Close() // all is known
		if err := s.Stop(); err != nil {
			f.Errorf("Stop: %v", err)
		}
	})
	z.renew(f)
	z.seed(f)
	return z
}

// seed gives the fuzzer a few calls of each method to begin with.
func (z *fuzzer) seed(f *testing.F) {
	for _, m := range z.all {
		random := rand.New(rand.NewPCG(1, uint64(len(m.FullName()))))
		for _, n := range []int{0, 12, 40, 150} {
			data := make([]byte, n)
			for j := range data {
				data[j] = byte(random.IntN(256))
			}
			f.Add(string(m.FullName()), data)
		}
	}
}

// method is the one of that name, or another one.
func (z *fuzzer) method(name string) protoreflect.MethodDescriptor {
	for _, m := range z.all {
		if string(m.FullName()) == name {
			return m
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return z.all[int(h.Sum32())%len(z.all)]
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	return must[protoreflect.MessageType](t)(protoregistry.GlobalTypes.FindMessageByName(d.FullName())).New().Interface()
}

// run makes one call, leaves it early if it is to, and wants an answer that is one, and nothing left behind.
func (z *fuzzer) run(t *testing.T, m protoreflect.MethodDescriptor, msgs [][]byte, leave bool) codes.Code {
	t.Helper()
	if z.calls++; z.calls%fuzzRenew == 0 {
		z.renew(t)
	}
	err := z.call(t, m, msgs, leave)
	code := status.Code(err)
	damaged := code == codes.DataLoss && !m.IsStreamingClient() // an upload may have the wrong checksum
	if code == codes.Unknown || damaged || code == codes.Internal && allWellFormed(t, m, msgs) {
		t.Errorf("%s: %v", m.FullName(), err)
	}
	for begin := time.Now(); !z.idle(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > fuzzHang {
			t.Fatalf("%s: %d calls still run, with %d bytes and %d devices", m.FullName(), z.s.services.Counts.Running(), z.held(), z.devices.InUse())
		}
	}
	if !strings.HasPrefix(string(m.FullName()), "tarn.v1.KeyValueService.") {
		z.restore(t)
	}
	return code
}

// idle reports whether nothing is under way. A call that was left may be late, and begin after that.
func (z *fuzzer) idle() bool {
	return z.s.services.Counts.Running() == 0 && z.held() == 0 && z.devices.InUse() == 0
}

func (z *fuzzer) held() int64 {
	used, _ := z.s.gate.Used()
	return used
}

func allWellFormed(t *testing.T, m protoreflect.MethodDescriptor, msgs [][]byte) bool {
	for _, msg := range msgs {
		if proto.Unmarshal(msg, newMessage(t, m.Input())) != nil {
			return false
		}
	}
	return true
}

// call makes a call with messages that are ready to be sent, and reads its answers to the end.
func (z *fuzzer) call(t *testing.T, m protoreflect.MethodDescriptor, msgs [][]byte, leave bool) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	full := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	stream, err := z.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, full, grpc.ForceCodecV2(asIs{}))
	if err != nil {
		return err
	}
	hang := errors.New("it hangs")
	watchdog := time.AfterFunc(fuzzHang, func() { cancel(hang) })
	defer watchdog.Stop()
	for _, msg := range msgs {
		if stream.SendMsg(msg) != nil {
			break // the answer says why
		}
	}
	if leave {
		cancel(nil)
		return status.FromContextError(ctx.Err()).Err()
	}
	_ = stream.CloseSend() // never fails
	if lastingMethods[m.Name()] {
		time.AfterFunc(fuzzIdle, func() { cancel(nil) })
	}
	for {
		var answer []byte
		switch err := stream.RecvMsg(&answer); {
		case context.Cause(ctx) == hang:
			t.Fatalf("%s hangs", m.FullName())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := proto.Unmarshal(answer, newMessage(t, m.Output())); err != nil {
			t.Errorf("%s: an answer that is none: %v", m.FullName(), err)
		}
	}
}

// renew begins with a new pool. That the old one can be closed says that no call has left a use of it behind.
func (z *fuzzer) renew(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	if err := z.s.handles.Drop(ctx, handles.Ref("tank")); err != nil {
		t.Fatalf("after %d calls a handle is in use: %v", z.calls, err)
	}
	_ = z.sys.DestroyPool(ctx, "tank", true) // it may be gone
	z.restore(t)
	for key, size := range map[string]int{"a": 10, "b": 200_000} {
		_, err := apiv1.NewKeyValueServiceClient(z.conn).Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte(key), Value: make([]byte, size)})
		z.fine(t, err)
	}
	_, err := apiv1.NewSnapshotServiceClient(z.conn).CreateSnapshot(ctx, &apiv1.CreateSnapshotRequest{Container: "tank/neo", Name: "snap"})
	z.fine(t, err)
}

// restore brings tank/neo/stadium back, open to all, and removes every other pool.
func (z *fuzzer) restore(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	pools, err := z.sys.Pools(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pools {
		if p.Label != "tank" {
			_, err = apiv1.NewPoolServiceClient(z.conn).DeletePool(ctx, &apiv1.DeletePoolRequest{Pool: p.UUID, Force: true})
			z.fine(t, err)
		}
	}
	_, err = apiv1.NewPoolServiceClient(z.conn).CreatePool(ctx, &apiv1.CreatePoolRequest{Label: "tank", Size: 32 << 20})
	z.fine(t, err)
	_, err = apiv1.NewPoolServiceClient(z.conn).DeletePoolAcl(ctx, &apiv1.DeletePoolAclRequest{Pool: "tank", All: true})
	z.fine(t, err)
	conts := apiv1.NewContainerServiceClient(z.conn)
	_, err = conts.CreateContainer(ctx, &apiv1.CreateContainerRequest{Pool: "tank", Label: "neo"})
	z.fine(t, err)
	_, err = conts.DeleteContainerAcl(ctx, &apiv1.DeleteContainerAclRequest{Container: "tank/neo", All: true})
	z.fine(t, err)
	_, err = apiv1.NewObjectServiceClient(z.conn).CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: "stadium"})
	z.fine(t, err)
}

// fine wants what the gateway may say when it is asked to restore something: it is there, there is no room for it now, it is busy.
func (z *fuzzer) fine(t testing.TB, err error) {
	t.Helper()
	switch status.Code(err) {
	case codes.OK, codes.AlreadyExists, codes.NotFound, codes.ResourceExhausted, codes.FailedPrecondition, codes.Unavailable:
	default:
		t.Errorf("after %d calls: %v", z.calls, err)
	}
}

// asIs is a codec whose messages are bytes already.
type asIs struct{}

func (asIs) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (asIs) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (asIs) Name() string { return "proto" }
