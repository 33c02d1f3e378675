// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/attack"
)

// polite is a client that does what clients do, and is always answered.
type polite struct {
	stub apiv1.KeyValueServiceClient
	took []time.Duration
}

// call puts and gets a value as often as it can until the end.
func (p *polite) call(t *testing.T, end time.Time) {
	t.Helper()
	for n := 0; n < 20 || time.Now().Before(end); n++ {
		key, val, begin := fmt.Appendf(nil, "polite-%d", n%50), fmt.Append(nil, n), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := p.stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Value: val})
		if err != nil {
			t.Errorf("put %d: %v", n, err)
		}
		got, err := p.stub.Get(ctx, &apiv1.GetRequest{Object: object, Key: key})
		cancel()
		if err != nil || !bytes.Equal(got.GetValue(), val) {
			t.Errorf("get %d: %q, %v; want %q", n, got.GetValue(), err, val)
		}
		if t.Failed() {
			return
		}
		p.took = append(p.took, time.Since(begin)/2)
		time.Sleep(200 * time.Microsecond)
	}
}

func (p *polite) p99() time.Duration {
	slices.Sort(p.took)
	return p.took[len(p.took)*99/100]
}

// held is what a process has.
type held struct {
	goroutines, files int
	heap              uint64
}

func holds(t *testing.T) held {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return held{runtime.NumGoroutine(), len(files), heap()}
}

// settles waits until everything that an attack took is given back.
func settles(t *testing.T, s *Server, before held, conns int) {
	t.Helper()
	var now held
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		now = holds(t)
		if s.gate.State().Calls == 0 && s.gate.State().Bytes == 0 && s.conns.Open() <= conns &&
			now.goroutines <= before.goroutines+4 && now.files <= before.files+2 && now.heap < before.heap+32<<20 {
			return
		}
	}
	t.Errorf("before %+v, now %+v; the gate has %+v, %d connections are open", before, now, s.gate.State(), s.conns.Open())
}

// attacked is a gateway on the real engine that has something large to be asked for, and its polite client on the Unix socket.
func attacked(t *testing.T, cfg Config) (*Server, *polite) {
	t.Helper()
	dir := t.TempDir()
	cfg.System, cfg.Listen, cfg.Socket = engine(t, filepath.Join(dir, "root")), "127.0.0.1:0", filepath.Join(dir, "sock")
	s := start(t, cfg)
	kv := openKV(t, dial(t, "unix:"+cfg.Socket))
	if err := kv.Put(t.Context(), []byte(attack.BigKey), make([]byte, 512<<10)); err != nil {
		t.Fatal(err)
	}
	p := &polite{stub: apiv1.NewKeyValueServiceClient(connect(t, "unix:"+cfg.Socket))}
	p.call(t, time.Now().Add(300*time.Millisecond))
	return s, p
}

const attackers = 6

// attackFor is how long each attack lasts: TARN_ATTACK says more.
func attackFor(t *testing.T) time.Duration {
	t.Helper()
	if d, err := time.ParseDuration(os.Getenv("TARN_ATTACK")); err == nil {
		return d
	}
	return 60 * time.Millisecond
}

// strike makes one attack until the end, from one of many addresses of this machine, with TLS when secure is set.
func strike(t *testing.T, k attack.Attack, from byte, addr string, secure *tls.Config, end time.Time, frames *atomic.Int64) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, from)}}
	dial := func() (net.Conn, error) {
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err == nil && secure != nil {
			return tls.Client(conn, secure), nil
		}
		return conn, err
	}
	if err := k.Strike(dial, end, frames); err != nil {
		t.Error(err)
	}
}

// TestAttacks: whatever others send, a polite client beside them is answered, and when they have gone nothing of them is left.
func TestAttacks(t *testing.T) {
	s, p := attacked(t, Config{})
	quiet := p.p99()
	conns, length := s.conns.Open(), attackFor(t)
	for i, k := range attack.All {
		t.Run(k.Name, func(t *testing.T) {
			before, frames := holds(t), &atomic.Int64{}
			end := time.Now().Add(length)
			var wg sync.WaitGroup
			for range attackers {
				wg.Go(func() { strike(t, k, byte(i+1), s.Addr(), nil, end, frames) })
			}
			p.took = p.took[:0]
			p.call(t, end)
			most := heap()
			wg.Wait()
			settles(t, s, before, conns)
			t.Logf("%d frames; p99 %v, %v without; heap %d MiB", frames.Load(), p.p99(), quiet, most>>20)
		})
	}
}

// TestHandshakes: who stalls in a handshake, with TLS or before HTTP/2, is cut, and does not keep others out.
func TestHandshakes(t *testing.T) {
	r := newAuthRig(t)
	s, p := attacked(t, Config{Auth: r.config(), Handshakes: 16})
	conns, before := s.conns.Open(), holds(t)
	end := time.Now().Add(attackFor(t))
	stalled := attack.Attack{Name: "TLS half-open", Bare: true, Run: func(a *attack.Attacker) { a.Wait() }}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { strike(t, stalled, 1, s.Addr(), nil, end, &atomic.Int64{}) })
		wg.Go(func() {
			strike(t, attack.All[0], 1, s.Addr(), &tls.Config{InsecureSkipVerify: true}, end, &atomic.Int64{})
		})
	}
	p.call(t, end)
	wg.Wait()
	settles(t, s, before, conns)
	for _, k := range attack.Handshakes {
		t.Run(k.Name, func(t *testing.T) {
			end, frames := time.Now().Add(attackFor(t)), &atomic.Int64{}
			wg.Go(func() { strike(t, k, 1, s.Addr(), nil, end, frames) })
			p.call(t, end)
			wg.Wait()
			settles(t, s, before, conns)
			t.Logf("%d frames", frames.Load())
		})
	}
	alice := r.client("alice", 0)
	if _, err := apiv1.NewAdminServiceClient(r.dialTLS(s.Addr(), &alice)).Echo(t.Context(), &apiv1.EchoRequest{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestStrangersWithFarDeadlines: a refusal of who is not known leaves nothing behind, however far the deadline.
func TestStrangersWithFarDeadlines(t *testing.T) {
	r := newAuthRig(t)
	s, _ := attacked(t, Config{Auth: r.config()})
	stub := apiv1.NewAdminServiceClient(r.dialTLS(s.Addr(), nil))
	ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
	defer cancel()
	call := func(n int) {
		for range n {
			if _, err := stub.Echo(ctx, &apiv1.EchoRequest{}); status.Code(err) != codes.Unauthenticated {
				t.Fatalf("a stranger: %v", err)
			}
		}
	}
	call(100)
	before := heap()
	call(3000)
	if now := heap(); now > before+600<<10 { // a timer and its context are 300 bytes
		t.Errorf("3000 refused calls left %d KiB", (now-before)>>10)
	}
}
