// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// usage is what was used so far: processor time, and pieces of memory taken by the server.
type usage struct {
	client, server time.Duration
	allocs         uint64
}

// server knows what a server has used.
type server interface {
	used(ctx context.Context) (cpu time.Duration, allocs uint64, err error)
}

func usageOf(ctx context.Context, s server) (u usage, err error) {
	if s != nil {
		if u.server, u.allocs, err = s.used(ctx); err != nil {
			return u, err
		}
	}
	var r syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	u.client = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return u, err
}

// stats is a gateway, which says itself what it has used.
type stats struct{ admin apiv1.AdminServiceClient }

func (s stats) used(ctx context.Context) (time.Duration, uint64, error) {
	resp, err := s.admin.GetStats(ctx, &apiv1.GetStatsRequest{})
	return time.Duration(resp.GetCpuSeconds() * float64(time.Second)), resp.GetAllocations(), err
}

// used is the time of all threads of the process. Those that have ended are not counted, which the peers' do not while they serve.
func (p *process) used(context.Context) (cpu time.Duration, allocs uint64, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err == nil && len(files) == 0 {
		err = p.gone()
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread that has just ended
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		cpu += time.Duration(ns)
	}
	return cpu, 0, err
}

// process is a server that this program has started.
type process struct {
	cmd  *exec.Cmd
	dir  string
	said *tail
}

// newProcess is one that is not started. An interrupt from the terminal does not reach it: end ends it, in its turn.
func newProcess(dir, program string, args ...string) *process {
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return &process{cmd: cmd, dir: dir, said: &tail{}}
}

// start starts a program with a scratch directory as its working directory. The method end ends it and removes the directory.
func start(dir, program string, args ...string) (*process, error) {
	p := newProcess(dir, program, args...)
	cmd := p.cmd
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p.said, p.said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) gone() error {
	return fmt.Errorf("%s has ended; the last it said: %s", filepath.Base(p.cmd.Path), p.said)
}

// end asks the process to end, and after 10 s makes it.
func (p *process) end() error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait() // how it ends does not matter: its data goes
	if errors.Is(err, os.ErrProcessDone) {
		err = p.gone()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 2000; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// scratch makes a directory of the run's own.
func (o *Options) scratch(name string) (string, error) {
	return os.MkdirTemp(o.Dir, "tarn-bench-"+name+"-")
}

// gatewayProgram finds tarn-gateway.
func (o *Options) gatewayProgram() (string, error) {
	if o.Gateway != "" {
		return o.Gateway, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "tarn-gateway")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("tarn-gateway")
	if err != nil {
		return "", fmt.Errorf("there is no tarn-gateway beside this program or in the path: name it with --gateway (%w)", err)
	}
	return path, nil
}

// startGateway starts a gateway on a scratch root, and returns where it listens: on TCP and on a Unix socket.
func (o *Options) startGateway() (p *process, tcp, unix string, err error) {
	program, err := o.gatewayProgram()
	if err != nil {
		return nil, "", "", err
	}
	dir, err := o.scratch("gateway")
	if err != nil {
		return nil, "", "", err
	}
	p = newProcess(dir, program, "--root", filepath.Join(dir, "root"), "--listen", "127.0.0.1:0", "--socket", filepath.Join(dir, "sock"))
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, "", "", errors.Join(err, os.RemoveAll(dir))
	}
	var ready struct{ Msg, Listen, Socket string }
	lines := bufio.NewReader(stderr)
	line, _ := lines.ReadBytes('\n')
	_, _ = p.said.Write(line)
	go func() { _, _ = io.Copy(p.said, lines) }()
	if json.Unmarshal(line, &ready) != nil || ready.Msg != "ready" {
		return nil, "", "", errors.Join(p.gone(), p.end())
	}
	return p, ready.Listen, "unix:" + ready.Socket, nil
}
