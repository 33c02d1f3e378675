// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/wire"
)

// Gateway measures a gateway, and with Options.Peers what it is compared with.
func Gateway(ctx context.Context, o Options) (report Report, err error) {
	o.setDefaults()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // of all clients alike: less of what is measured is this program
	r := &run{o: o, data: newData(o)}
	report = r.report()
	defer func() { err = errors.Join(err, r.close()) }()
	if err = r.open(ctx); err != nil {
		return report, err
	}
	return report, r.measure(ctx, r.groups(), &report)
}

// report is what is known before anything is measured.
func (r *run) report() Report {
	dir := r.o.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	return Report{ValueBytes: r.o.ValueSize, Rounds: r.o.Rounds, CPUs: runtime.NumCPU(), Load: load(), Dir: dir}
}

func (r *run) measure(ctx context.Context, groups []*group, report *Report) error {
	for _, g := range groups {
		fmt.Fprintf(r.o.Progress, "measuring %s\n", g.name)
		rows, err := g.run(ctx)
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
	}
	return nil
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// data are keys and values.
type data struct {
	keys [][]byte
	val  []byte
}

func newData(o Options) *data {
	d := &data{keys: make([][]byte, o.Keys), val: make([]byte, o.ValueSize)}
	for i := range d.keys {
		d.keys[i] = fmt.Appendf(nil, "key-%012d", i)
	}
	for i := range d.val {
		d.val[i] = byte(rand.Uint32())
	}
	return d
}

func (d *data) key() []byte { return d.keys[rand.IntN(len(d.keys))] }

// some is so many keys in a row, from any on.
func (d *data) some(n int) [][]byte {
	n = min(n, len(d.keys))
	i := rand.IntN(len(d.keys) - n + 1)
	return d.keys[i : i+n]
}

// run is a run: what it measures, and what it must end.
type run struct {
	o     Options
	data  *data
	way   []*way // how the gateway is reached: TCP, then the Unix socket
	pool  string
	peers []peer
	ends  []func() error // in the order in which they began
}

// way is a way to the gateway.
type way struct {
	over    string
	kv      apiv1.KeyValueServiceClient
	admin   apiv1.AdminServiceClient
	objects map[system.Durability]system.KV // by the client library
	run     *run
}

func (r *run) onEnd(f func() error) { r.ends = append(r.ends, f) }

func (r *run) close() (err error) {
	for _, end := range slices.Backward(r.ends) {
		err = errors.Join(err, end())
	}
	return err
}

func (r *run) open(ctx context.Context) error {
	endpoints := map[string]string{"tcp": r.o.Endpoint}
	if strings.HasPrefix(r.o.Endpoint, "unix:") {
		endpoints = map[string]string{"unix": r.o.Endpoint}
	}
	if r.o.Endpoint == "" {
		p, tcp, unix, err := r.o.startGateway()
		if err != nil {
			return err
		}
		r.onEnd(p.end)
		endpoints = map[string]string{"tcp": tcp, "unix": unix}
	}
	r.pool = fmt.Sprintf("bench-%08x", rand.Uint32())
	for _, over := range []string{"tcp", "unix"} {
		if endpoints[over] == "" {
			continue
		}
		if err := r.reach(ctx, over, endpoints[over]); err != nil {
			return err
		}
	}
	if r.o.Peers {
		return r.openPeers(ctx)
	}
	return nil
}

// reach opens a way to the gateway; the first one makes the objects.
func (r *run) reach(ctx context.Context, over, endpoint string) error {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})), experimental.WithBufferPool(wire.Pool))
	if err != nil {
		return err
	}
	r.onEnd(conn.Close)
	sys, err := client.Dial(ctx, endpoint)
	if err != nil {
		return err
	}
	r.onEnd(sys.Close)
	w := &way{over: over, run: r, kv: apiv1.NewKeyValueServiceClient(conn), admin: apiv1.NewAdminServiceClient(conn),
		objects: map[system.Durability]system.KV{}}
	if len(r.way) == 0 {
		if err := r.create(ctx, sys); err != nil {
			return err
		}
	}
	r.way = append(r.way, w)
	return w.openObjects(ctx, sys)
}

// create makes the pool, which goes when the run ends.
func (r *run) create(ctx context.Context, sys system.System) error {
	size := uint64(1<<30) + 8*uint64(r.o.StreamMiB)<<20
	if _, err := sys.CreatePool(ctx, r.pool, system.CreatePool{Size: size}); err != nil {
		return err
	}
	r.onEnd(func() error { return sys.DestroyPool(context.WithoutCancel(ctx), r.pool, true) })
	pool, err := sys.OpenPool(ctx, r.pool)
	if err != nil {
		return err
	}
	for _, d := range durabilities {
		if _, err := pool.CreateContainer(ctx, string(d), system.CreateContainer{Properties: system.Properties{Durability: &d}}); err != nil {
			return errors.Join(err, pool.Close())
		}
	}
	return pool.Close()
}

var durabilities = []system.Durability{system.Durable, system.Relaxed}

// object is the name of the object in the container of that durability.
func (r *run) object(d system.Durability) string { return r.pool + "/" + string(d) + "/stadium" }

func (w *way) openObjects(ctx context.Context, sys system.System) error {
	pool, err := sys.OpenPool(ctx, w.run.pool)
	if err != nil {
		return err
	}
	w.run.onEnd(pool.Close)
	for _, d := range durabilities {
		cont, err := pool.OpenContainer(ctx, string(d))
		if err != nil {
			return err
		}
		w.run.onEnd(cont.Close)
		kv, err := cont.OpenKV(ctx, "stadium", true)
		if err != nil {
			return err
		}
		w.run.onEnd(kv.Close)
		if w.objects[d] = kv; len(w.run.way) == 1 {
			if err := w.run.data.fill(ctx, kv); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill stores every key.
func (d *data) fill(ctx context.Context, kv system.KV) error {
	for keys := range slices.Chunk(d.keys, 1000) {
		if err := kv.Apply(ctx, d.mutations(keys)); err != nil {
			return err
		}
	}
	return nil
}

func (d *data) mutations(keys [][]byte) []system.Mutation {
	muts := make([]system.Mutation, len(keys))
	for i, key := range keys {
		muts[i] = system.Mutation{Key: key, Value: d.val}
	}
	return muts
}

// asked are the groups that were asked for.
func (r *run) asked(of map[string][]*group) (all []*group) {
	for _, name := range GroupNames {
		if len(r.o.Groups) == 0 || slices.Contains(r.o.Groups, name) {
			all = append(all, of[name]...)
		}
	}
	for _, g := range all {
		g.only(r.o.Rows)
	}
	return all
}

// groups are what there is to measure.
func (r *run) groups() []*group {
	of := map[string][]*group{}
	for _, w := range r.way {
		of["calls"] = append(of["calls"], w.calls(1), w.calls(64))
	}
	w := r.way[0]
	of["batches"], of["session"], of["streams"] = []*group{w.batches()}, []*group{w.sessions()}, []*group{w.streams()}
	if r.o.Peers {
		for _, depth := range []int{1, 64} {
			of["peers"] = append(of["peers"], r.beside("peers: gets", depth, peer.get, w.get, nil),
				r.beside("peers: durable puts", depth, peer.put, w.put(system.Durable), w.joined(system.Durable)))
		}
		of["peers"] = append(of["peers"], r.beside(peerBatches, 1, peer.batch, w.batchPut(system.Durable), nil))
	}
	return r.asked(of)
}

// longer is a group of calls that take longer: fewer rounds of longer windows.
func (r *run) longer(name string, cells ...*measured) *group {
	return &group{name: name, cells: cells, rounds: (r.o.Rounds + 5) / 6, window: 5 * r.o.Window}
}

// cell is a cell of this way; the row's unit is a call or a key.
func (w *way) cell(name string, depth int, unit string, j job) *measured {
	c := &measured{row: Row{Engine: "tarn", Name: name, Over: w.over, Depth: depth, Unit: unit}, job: j, scale: 1}
	if w.admin != nil {
		c.server = stats{w.admin}
	}
	return c
}
