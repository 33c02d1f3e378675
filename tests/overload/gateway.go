// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/tests/attack"
)

// gateway is a real one, in a process of its own, on a pool of its own.
type gateway struct {
	cmd               *exec.Cmd
	ended             chan error // how it ended
	dir               string
	addr, unix, admin string
}

// startGateway starts a gateway, and fills a pool with what is asked for.
func startGateway(ctx context.Context, program, dir string, at place, args ...string) (*gateway, error) {
	dir, err := os.MkdirTemp(dir, "tarn-overload-")
	if err != nil {
		return nil, err
	}
	g := &gateway{dir: dir}
	if err = g.start(program, at, args...); err == nil {
		err = g.fill(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

func (g *gateway) start(program string, at place, args ...string) error {
	root := filepath.Join(g.dir, "root")
	g.cmd = at.command(program, append([]string{"--root", root, "--listen", "127.0.0.1:0", "--socket", filepath.Join(g.dir, "sock"), "--admin", "127.0.0.1:0",
		"--log-format", "json"}, args...)...)
	stderr, err := os.Create(filepath.Join(g.dir, "log"))
	if err != nil {
		return err
	}
	defer stderr.Close()
	g.cmd.Stderr = stderr
	if err := g.cmd.Start(); err != nil {
		return err
	}
	g.ended = make(chan error, 1)
	go func() { g.ended <- g.cmd.Wait() }()
	return g.ready()
}

// fill makes what is asked for.
func (g *gateway) fill(ctx context.Context) (err error) {
	sys, err := client.Dial(ctx, g.unix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	if _, err := sys.CreatePool(ctx, "tank", system.CreatePool{Size: 1 << 30}); err != nil {
		return err
	}
	pool, err := sys.OpenPool(ctx, "tank")
	if err != nil {
		return err
	}
	if _, err := pool.CreateContainer(ctx, "neo", system.CreateContainer{}); err != nil {
		return err
	}
	cont, err := pool.OpenContainer(ctx, "neo")
	if err != nil {
		return err
	}
	kv, err := cont.OpenKV(ctx, "stadium", true)
	if err != nil {
		return err
	}
	return errors.Join(fillKV(ctx, kv), kv.Close(), cont.Close(), pool.Close())
}

func fillKV(ctx context.Context, kv system.KV) error {
	for first := 0; first < keys; first += 1000 {
		var all []system.Mutation
		for i := range 1000 {
			all = append(all, system.Mutation{Key: key(first + i), Value: make([]byte, 100)})
		}
		if err := kv.Apply(ctx, all); err != nil {
			return err
		}
	}
	return kv.Put(ctx, []byte(attack.BigKey), make([]byte, 512<<10))
}

// ready waits until the gateway says where it listens.
func (g *gateway) ready() error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && len(g.ended) == 0; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(g.dir, "log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			var said struct{ Msg, Listen, Socket, Admin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "ready" {
				g.addr, g.unix, g.admin = said.Listen, "unix:"+said.Socket, said.Admin
				return nil
			}
		}
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "log"))
	return fmt.Errorf("the gateway is not ready: %s", text)
}

func (g *gateway) pid() int { return g.cmd.Process.Pid }

// stop ends the gateway and removes what it had.
func (g *gateway) stop() error {
	var err error
	if g.ended != nil {
		_ = g.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
		timer := time.AfterFunc(30*time.Second, func() { _ = g.cmd.Process.Kill() })
		err = <-g.ended
		timer.Stop()
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

// classes is how many refusals took at most so long, in s, by the gateway's own clock.
type classes struct {
	bound []float64
	n     []float64 // of this class and those before it
}

// refusals reads them.
func (g *gateway) refusals() (classes, error) {
	resp, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		return classes{}, err
	}
	defer resp.Body.Close()
	return readClasses(resp.Body)
}

func readClasses(text io.Reader) (c classes, err error) {
	for lines := bufio.NewScanner(text); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), `tarn_gateway_refusal_seconds_bucket{le="`)
		if !ok {
			continue
		}
		bound, n, _ := strings.Cut(rest, `"} `)
		b, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			return c, err
		}
		count, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return c, err
		}
		c.bound, c.n = append(c.bound, b), append(c.n, count)
	}
	if len(c.n) == 0 {
		return c, errors.New("the gateway tells no tarn_gateway_refusal_seconds")
	}
	return c, nil
}

// since is percentiles of what came after an earlier reading, in ms: upper ends of classes.
func (c classes) since(before classes) (t Times) {
	last := len(c.n) - 1
	all := c.n[last] - before.n[last]
	at := func(share float64) float64 {
		for i, b := range c.bound {
			if c.n[i]-before.n[i] >= share*all {
				return b * 1000
			}
		}
		return 0
	}
	if all > 0 {
		t = Times{at(0.5), at(0.99), at(1)}
	}
	return t
}
