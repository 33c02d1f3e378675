// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/tests/internal/rig"
)

var (
	terms = flag.Int("terms", 5, "how often the gateway is told to stop under load")
	kills = flag.Int("kills", 4, "how often it is killed under load")
)

// drain is how long a gateway that is told to stop may take, and a second.
const drain = 21 * time.Second

// siege is one pool, the gateways that come and go over it, and the workers that know what must be in it.
type siege struct {
	t       *testing.T
	cli     rig.CLI
	dir     string // of certificates
	addr    string
	random  *rand.Rand
	workers []*worker
	tls     bool // of the round
	slowest time.Duration
}

// TestSiege stops and kills gateways in the middle of every kind of change, over the Unix socket and over TLS in turns, and compares what
// is there afterwards with what was acknowledged. A gateway that is told to stop exits with 0 within its deadline; what was under way is
// done or UNAVAILABLE; then relaxed changes are there, too. After a kill a beginning of the relaxed ones is.
func TestSiege(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the workload with -seed %d -terms %d -kills %d", *seed, *terms, *kills)
	s := newSiege(t)
	ends := make([]bool, *terms+*kills) // true: killed
	for i := range *kills {
		ends[i] = true
	}
	s.random.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
	for i, killed := range ends {
		s.tls = s.random.IntN(2) == 0
		calls := s.round(killed)
		if len(ends) < 20 || i%50 == 49 {
			t.Logf("round %d: killed: %v, TLS: %v, %d calls; acknowledged so far: %s", i+1, killed, s.tls, calls, s.acked())
		}
		if i%100 == 99 || i == len(ends)-1 {
			s.check()
		}
	}
	t.Logf("%d stops, the slowest took %v; %d kills", *terms, s.slowest, *kills)
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{t: t, cli: rig.CLI{T: t, Root: t.TempDir()}, dir: filepath.Join(t.TempDir(), "certs"), random: rand.New(rand.NewPCG(*seed, 0))}
	s.addr = quietAddr(t)
	s.cli.OK("cert", "ca", "--dir", s.dir)
	s.cli.OK("cert", "server", "127.0.0.1", "--dir", s.dir)
	s.cli.OK("cert", "client", "alice", "--role", "admin", "--dir", s.dir)
	s.cli.OK("pool", "create", "tank", "--size", "512M", "--log-size", "4M")
	s.cli.OK("cont", "create", "tank/neo")
	s.cli.OK("cont", "create", "tank/lax", "--prop", "durability=relaxed")
	s.cli.OK("obj", "create", "tank/neo/acked")
	s.cli.OK("obj", "create", "tank/lax/acked")
	for i, k := range kinds {
		s.workers = append(s.workers, newWorker(i, k, rand.New(rand.NewPCG(*seed, uint64(i)+1))))
	}
	return s
}

// quietAddr is an address that nobody listens on, and whose port no connection gets by chance.
func quietAddr(t *testing.T) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if l, err := net.Listen("tcp", addr); err == nil {
			fatal(t, l.Close())
			return addr
		}
	}
}

func (s *siege) acked() string {
	text := ""
	for _, w := range s.workers {
		text += fmt.Sprintf(" %s %d", w.kind.name, w.acked)
	}
	return text[1:]
}

// round runs the workload on a gateway until that is ended, and compares on the next. It returns the number of acknowledged calls.
func (s *siege) round(killed bool) int64 {
	s.t.Helper()
	g := s.start()
	conn := s.connect(g)
	var calls atomic.Int64
	var running sync.WaitGroup
	for _, w := range s.workers {
		running.Go(func() { w.run(conn, &calls) })
	}
	time.Sleep(time.Duration(20+s.random.IntN(150)) * time.Millisecond)
	for slow := time.Now(); calls.Load() < enough && time.Since(slow) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if killed {
		g.Kill()
	} else {
		s.stop(g)
	}
	running.Wait()
	fatal(s.t, conn.Close())
	s.compare(killed)
	if calls.Load() < enough {
		s.t.Errorf("%d calls were acknowledged: too few for a test", calls.Load())
	}
	return calls.Load()
}

func (s *siege) start() *rig.Gateway {
	file := func(name string) string { return filepath.Join(s.dir, name) }
	return rig.StartGateway(s.t, s.cli.Root, "--listen", s.addr, "--tls-cert", file("127.0.0.1.pem"), "--tls-key", file("127.0.0.1.key"),
		"--tls-client-ca", file("ca.pem"))
}

// connect is a bare connection, for what the Go client would not do.
func (s *siege) connect(g *rig.Gateway) *grpc.ClientConn {
	s.t.Helper()
	endpoint, creds := "unix:"+g.Socket, insecure.NewCredentials()
	if s.tls {
		endpoint, creds = s.addr, clientCreds(s.t, s.dir)
	}
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(creds))
	fatal(s.t, err)
	return conn
}

// stop tells a gateway to stop. rig wants it to agree; here it has to do so in time.
func (s *siege) stop(g *rig.Gateway) {
	s.t.Helper()
	late := time.AfterFunc(drain, func() { _ = syscall.Kill(g.Pid(), syscall.SIGKILL) })
	begin := time.Now()
	g.Stop()
	late.Stop()
	s.slowest = max(s.slowest, time.Since(begin))
}

// compare starts a gateway, and compares all that is there with what the workers expect.
func (s *siege) compare(killed bool) {
	s.t.Helper()
	g := s.start()
	found := map[string]map[string]string{"neo": s.read(g, "neo"), "lax": s.read(g, "lax")}
	g.Stop()
	expected := 0
	for _, w := range s.workers {
		for _, complaint := range w.settle(found[w.kind.cont], killed) {
			s.t.Errorf("%s: %s", w.kind.name, complaint)
		}
		expected += len(w.have)
	}
	if there := len(found["neo"]) + len(found["lax"]); there != expected {
		s.t.Errorf("there are %d keys, want %d", there, expected)
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// read is all that is in an object.
func (s *siege) read(g *rig.Gateway, cont string) map[string]string {
	s.t.Helper()
	ctx, found := s.t.Context(), map[string]string{}
	sys, err := client.Dial(ctx, "unix:"+g.Socket)
	fatal(s.t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	fatal(s.t, err)
	c, err := pool.OpenContainer(ctx, cont)
	fatal(s.t, err)
	kv, err := c.OpenKV(ctx, "acked", false)
	fatal(s.t, err)
	for e, err := range kv.List(ctx, system.Range{}) {
		fatal(s.t, err)
		if e.Omitted {
			e.Value, err = kv.Get(ctx, e.Key)
			fatal(s.t, err)
		}
		found[string(e.Key)] = string(e.Value)
	}
	for _, c := range []interface{ Close() error }{kv, c, pool, sys} {
		fatal(s.t, c.Close())
	}
	return found
}

// check verifies the pool from end to end.
func (s *siege) check() {
	s.t.Helper()
	if got := s.cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		s.t.Fatal(got)
	}
}
