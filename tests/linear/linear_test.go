// SPDX-License-Identifier: Apache-2.0

// Package linear tests that what concurrent clients of a gateway see could have happened one call after the other, with kills between.
package linear

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

var (
	rounds  = flag.Int("rounds", 8, "how many histories are recorded")
	clients = flag.Int("clients", 4, "that call at once")
	seed    = flag.Uint64("seed", 0, "of the calls and of the times of the kills (0: a new one)")
)

// patience is how long the checker may think about one history, whose orders can be very many.
const patience = 20 * time.Second

// tally counts histories and what is in them.
type tally struct{ histories, kills, operations, unknown, undecided int }

// TestLinearizable records histories of clients that read, put, delete and increment three keys, under conditions and in transactions,
// batches and sessions, and has porcupine check each. In the middle of a history the gateway is killed or told to stop, and started again;
// in the end all keys are read once more.
//
// A read may see a change that is applied and not yet durable. When a kill undoes that change, the reader has seen what never was. So of
// a history with a kill, what was before it must be linearizable by itself; and the changes of that time together with all that was
// after it. A change that was acknowledged counts with everything that it saw: what it saw is durable before it.
func TestLinearizable(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the calls with -seed %d -rounds %d -clients %d", *seed, *rounds, *clients)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "128M", "--log-size", "4M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("obj", "create", object)
	var n tally
	for round := range *rounds {
		before, after, killed := record(t, cli, round)
		n.histories++
		if !killed {
			n.judge(t, append(before, after...))
			continue
		}
		n.kills++
		n.judge(t, before)
		n.judge(t, append(changes(before), after...))
	}
	if n.unknown == 0 && n.kills > 4 || n.undecided > n.histories/4 {
		t.Errorf("too little for a test: %+v", n)
	}
	t.Logf("%+v", n)
}

// judge checks a history, or a part of one.
func (n *tally) judge(t *testing.T, h []porcupine.Operation) {
	t.Helper()
	for _, o := range h {
		if o.Output.(output).unknown {
			n.unknown++
		}
	}
	n.operations += len(h)
	switch result, info := porcupine.CheckOperationsVerbose(model, h, patience); result {
	case porcupine.Unknown:
		n.undecided++
	case porcupine.Illegal:
		t.Fatalf("history %d is not linearizable; it is in %s", n.histories, keep(t, h, info))
	}
}

// changes leaves out what changed nothing: reads, and changes that were refused for what they saw.
func changes(h []porcupine.Operation) (some []porcupine.Operation) {
	for _, o := range h {
		in, out := o.Input.(input), o.Output.(output)
		steps := in.success
		if out.failed {
			steps = in.failure
		}
		if out.unknown || out.code == codes.OK && slices.ContainsFunc(steps, func(s step) bool { return s.what != "get" }) {
			some = append(some, o)
		}
	}
	return some
}

// record is one history: before the gateway was ended, and after.
func record(t *testing.T, cli rig.CLI, round int) (before, after []porcupine.Operation, killed bool) {
	t.Helper()
	random := rand.New(rand.NewPCG(*seed, uint64(round)<<32))
	epoch := time.Now()
	all := make([]*client, *clients)
	for i := range all {
		all[i] = &client{id: i, prefix: fmt.Sprintf("r%d", round), epoch: epoch, random: rand.New(rand.NewPCG(*seed, uint64(round)<<32+uint64(i)+1))}
	}
	killed = random.IntN(4) > 0
	g, running, closed := serve(t, cli, all, 1000)
	time.Sleep(time.Duration(30+random.IntN(120)) * time.Millisecond)
	if killed {
		g.Kill()
	} else {
		g.Stop()
	}
	running.Wait()
	closed()
	before = take(t, all)

	g, running, closed = serve(t, cli, all, 15)
	running.Wait()
	all[0].record(t.Context(), input{rpc: "Scan", success: reads()})
	g.Stop()
	closed()
	return before, take(t, all), killed
}

// serve starts a gateway, at which every client makes so many calls, or fewer when the gateway goes.
func serve(t *testing.T, cli rig.CLI, all []*client, calls int) (g *rig.Gateway, running *sync.WaitGroup, closed func()) {
	t.Helper()
	g = rig.StartGateway(t, cli.Root)
	conn, err := grpc.NewClient("unix:"+g.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	running = &sync.WaitGroup{}
	for _, c := range all {
		running.Go(func() { c.run(t.Context(), conn, calls) })
	}
	return g, running, func() { _ = conn.Close() } // all is known
}

// take is what the clients have recorded since the last time.
func take(t *testing.T, all []*client) (h []porcupine.Operation) {
	t.Helper()
	for _, c := range all {
		if c.err != nil {
			t.Fatal(c.err)
		}
		h = append(h, c.history...)
		c.history = nil
	}
	return h
}

// keep writes a history that is not right where it can be looked at.
func keep(t *testing.T, h []porcupine.Operation, info porcupine.LinearizationInfo) string {
	t.Helper()
	dir := filepath.Join(rig.Top(t), "build", "log")
	path := filepath.Join(dir, "history.txt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(show(h, longest(info))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
