// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// peer is a server that a gateway is compared with, on a scratch directory and the loopback. Each of its calls is made by one goroutine.
type peer interface {
	name() string
	serverOf() server
	get(d *data) call   // of a value
	put(d *data) call   // durable when it returns
	batch(d *data) call // batchKeys puts, durable together
	end() error
}

// openPeers starts the peers that are installed. One that is not is an error, which says how to get it.
func (r *run) openPeers(ctx context.Context) error {
	for _, open := range []func(context.Context, *run) (peer, error){openEtcd, openRedis} {
		p, err := open(ctx, r)
		if err != nil {
			return err
		}
		r.onEnd(p.end)
		r.peers = append(r.peers, p)
		if err := fillPeer(ctx, p, r.data); err != nil {
			return err
		}
	}
	return nil
}

// fillPeer stores every key, in batches.
func fillPeer(ctx context.Context, p peer, d *data) error {
	for i := 0; i < len(d.keys); i += batchKeys {
		part := &data{keys: d.keys[i:min(i+batchKeys, len(d.keys))], val: d.val}
		if err := p.batch(part)(ctx); err != nil {
			return fmt.Errorf("fill %s: %w", p.name(), err)
		}
	}
	return nil
}

// launch starts a program on free ports of the loopback.
func (r *run) launch(program, pack string, ports int, args func(dir string, ports []int) []string) (*process, []int, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, nil, fmt.Errorf("there is no %s to compare with: install Debian's package %s (.ci/deps.sh bench does)", program, pack)
	}
	dir, err := r.o.scratch(program)
	if err != nil {
		return nil, nil, err
	}
	free, err := freePorts(ports)
	var p *process
	if err == nil {
		p, err = start(dir, path, args(dir, free)...)
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, free, nil
}

// freePorts are ports that nobody listens on, now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// answers waits until a server that was just started answers.
func (p *process) answers(ctx context.Context, ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(p.gone(), err, p.end())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

const peerBatches = "peers: durable batches of 100"

// beside is a group of the same call of the gateway and of every peer.
func (r *run) beside(name string, depth int, of func(peer, *data) call, own, joined call) *group {
	units, unit := 1, "calls"
	if name == peerBatches {
		units, unit = min(batchKeys, len(r.data.keys)), "keys"
	}
	cells := []*measured{r.way[0].cell("tarn", depth, unit, loop(units, times(depth, own)...))}
	if joined != nil {
		cells = append(cells, r.way[0].cell("tarn, joined", depth, unit, loop(units, times(depth, joined)...)))
	}
	for _, p := range r.peers {
		calls := make([]call, depth)
		for i := range calls {
			calls[i] = of(p, r.data)
		}
		cells = append(cells, &measured{
			row:    Row{Engine: p.name(), Name: p.name(), Over: "tcp", Depth: depth, Unit: unit},
			job:    loop(units, calls...),
			server: p.serverOf(), scale: 1,
		})
	}
	return r.longer(fmt.Sprintf("%s, depth %d", name, depth), cells...)
}
