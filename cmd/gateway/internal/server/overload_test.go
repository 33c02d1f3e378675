// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/attack"
)

// limitedDevice is a hook of a double that serves so many puts at once, each for a while: what the system can carry is known.
type limitedDevice struct {
	places chan struct{}
	each   time.Duration
	most   atomic.Int64 // waiting and being served
	now    atomic.Int64
}

func (d *limitedDevice) hook(ctx context.Context, op string) error {
	if op != "put" {
		return nil
	}
	if n := d.now.Add(1); n > d.most.Load() {
		d.most.Store(n)
	}
	defer d.now.Add(-1)
	select {
	case d.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	time.Sleep(d.each)
	<-d.places
	return nil
}

// offer calls from so many goroutines, without a pause, until the end. What is not done must be a refusal that says when to come again.
type offer struct {
	done, refused atomic.Int64
	slowest       atomic.Int64 // refusal, in ns
}

// run offers until enough says that it is enough, which may look at what was done; 30 s are too much. It returns how much was done each second.
func (o *offer) run(t *testing.T, stubs []apiv1.KeyValueServiceClient, workers, size int, enough func() bool) float64 {
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			req := &apiv1.PutRequest{Object: object, Key: []byte{byte(w), byte(w >> 8)}, Value: make([]byte, size)}
			for !enough() && !t.Failed() && time.Since(begin) < 30*time.Second {
				o.call(t, stubs[w%len(stubs)], req)
			}
		})
	}
	wg.Wait()
	return float64(o.done.Load()) / time.Since(begin).Seconds()
}

func puts(conn grpc.ClientConnInterface) apiv1.KeyValueServiceClient {
	return apiv1.NewKeyValueServiceClient(conn)
}

func (o *offer) call(t *testing.T, stub apiv1.KeyValueServiceClient, req *apiv1.PutRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	begin := time.Now()
	_, err := stub.Put(ctx, req)
	if err == nil {
		o.done.Add(1)
		return
	}
	info, other := detailsOf(status.Convert(err))
	if status.Code(err) != codes.ResourceExhausted || other != "RetryInfo" || info.GetReason() != "DER_OVERLOAD_RETRY" {
		t.Errorf("under load: %v, %s", err, other)
	}
	o.refused.Add(1)
	o.slowest.Store(max(o.slowest.Load(), int64(time.Since(begin))))
	time.Sleep(20 * time.Millisecond) // so that ten times what is carried is offered, and no more
}

// TestTenfold: what is offered beyond what the system can carry is refused, and told so; the system never has more to do than the limit
// says; and who asks for little beside that gets all of it. With TARN_OVERLOAD=10s it measures how much is still carried.
func TestTenfold(t *testing.T) {
	const calls, carried = 40, 8
	d := &limitedDevice{places: make(chan struct{}, carried), each: 20 * time.Millisecond}
	sock := filepath.Join(t.TempDir(), "sock")
	s := start(t, Config{System: newDouble(d.hook), Calls: calls, Listen: "127.0.0.1:0", Socket: sock})
	var stubs []apiv1.KeyValueServiceClient
	for range 8 {
		stubs = append(stubs, puts(connect(t, s.Addr())))
	}
	length, _ := time.ParseDuration(os.Getenv("TARN_OVERLOAD")) // 0: as little as shows it
	var peak, tenfold, modest offer
	begin := time.Now()
	most := peak.run(t, stubs, 2*carried, 100, func() bool { return peak.done.Load() > 200 && time.Since(begin) > length })
	begin = time.Now()
	enough := func() bool {
		return tenfold.done.Load() > 200 && tenfold.refused.Load() > 200 && modest.done.Load() > 20 && time.Since(begin) > length
	}
	var beside sync.WaitGroup
	var little float64
	beside.Go(func() {
		little = modest.run(t, []apiv1.KeyValueServiceClient{puts(connect(t, "unix:"+sock))}, 2, 100, enough)
	})
	much := tenfold.run(t, stubs, 20*carried, 100, enough)
	beside.Wait()
	t.Logf("peak %.0f calls/s; at tenfold %.0f and %.0f beside, %.0f %% of it; %d refused, the slowest in %v; at most %d at once", most, much,
		little, 100*(much+little)/most, tenfold.refused.Load(), time.Duration(tenfold.slowest.Load()), d.most.Load())
	if peak.refused.Load() > 0 || modest.refused.Load() > 0 {
		t.Errorf("%d refused at the peak, and %d of who asks for little", peak.refused.Load(), modest.refused.Load())
	}
	if n := s.conns.Refusals.Counts().Total(); n == 0 {
		t.Error("the gateway has timed no refusal")
	}
	if !enough() || d.most.Load() > calls {
		t.Errorf("%d done, %d refused, %d done beside, %d at once", tenfold.done.Load(), tenfold.refused.Load(), modest.done.Load(), d.most.Load())
	}
}

// TestMemoryUnderLoad: large requests are carried within the bytes that there are, whatever is offered.
func TestMemoryUnderLoad(t *testing.T) {
	const bytes = 16 << 20
	d := &limitedDevice{places: make(chan struct{}, 4), each: time.Millisecond}
	s := start(t, Config{System: newDouble(d.hook), InFlight: bytes})
	var stubs []apiv1.KeyValueServiceClient
	for range 4 {
		stubs = append(stubs, apiv1.NewKeyValueServiceClient(connect(t, s.Addr())))
	}
	var o offer
	var most atomic.Int64
	o.run(t, stubs, 64, 900<<10, func() bool {
		used, _ := s.gate.Used()
		most.Store(max(most.Load(), used))
		return o.done.Load() > 50 && o.refused.Load() > 50
	})
	if most.Load() > bytes || o.done.Load() == 0 || o.refused.Load() == 0 {
		t.Errorf("%d bytes at once of %d; %d done, %d refused", most.Load(), bytes, o.done.Load(), o.refused.Load())
	}
	t.Logf("%d done, %d refused, %d MiB at once", o.done.Load(), o.refused.Load(), most.Load()>>20)
}

// TestUnreadAnswers: answers that nobody reads hold no more than their address's share of the bytes, over however many connections, until these go.
func TestUnreadAnswers(t *testing.T) {
	const bytes = 32 << 20
	s, p := attacked(t, Config{InFlight: bytes})
	conns := s.conns.Open()
	end := time.Now().Add(30 * time.Second) // of a machine that is slow; the connections are closed below
	var open []*attack.Attacker
	ask := func(from byte) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		conn, err := d.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		a := attack.New(conn, end, &atomic.Int64{})
		a.Greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 120 {
			a.Did(a.Framer.WriteData(a.Open(attack.PathGet), true, attack.GetBig))
		}
		a.Flush()
		open = append(open, a)
	}
	defer func() {
		for _, a := range open {
			_ = a.Close()
		}
	}()
	used := func(least int64) (now int64) {
		for deadline := time.Now().Add(5 * time.Second); now < least && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			now, _ = s.gate.Used()
		}
		p.call(t, time.Now().Add(100*time.Millisecond))
		now, _ = s.gate.Used()
		return now
	}
	for from := range byte(4) {
		ask(2 + from)
	}
	if most := used(bytes / 2); most < bytes/2 || most > bytes*5/8 {
		t.Errorf("unread answers of four addresses hold %d bytes of %d", most, bytes)
	}
	for range 4 {
		ask(2) // each has one answer
	}
	if most := used(bytes/2 + 1); most > bytes*3/4 {
		t.Errorf("four connections more of one of the addresses, and they hold %d bytes of %d", most, bytes)
	}
	for _, a := range open {
		_ = a.Close()
	}
	settles(t, s, holds(t), conns)
}
