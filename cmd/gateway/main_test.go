// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/leaktest"
	"github.com/tarn-storage/tarn/cmd/internal/token"
	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/system"
)

// asGateway in the environment makes the test program be the gateway.
const asGateway = "TARN_TEST_GATEWAY"

func TestMain(m *testing.M) {
	if os.Getenv(asGateway) != "" {
		main()
		os.Exit(0)
	}
	leaktest.Main(m)
}

// gateway is one that runs as a process of its own.
type gateway struct {
	t    *testing.T
	cmd  *exec.Cmd
	info struct{ Msg, Listen, Socket, Admin, Root, Version string } // of its ready line
	log  chan string                                                // what it said after that
}

func launch(t *testing.T, args ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, cmd: exec.Command(os.Args[0], args...), log: make(chan string, 1000)}
	g.cmd.Env = append(os.Environ(), asGateway+"=1")
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.cmd.Process.Kill() }) // already gone, when all went well
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &g.info) != nil || g.info.Msg != "ready" {
		t.Fatalf("the first line is %q", lines.Text())
	}
	go func() {
		defer close(g.log)
		for lines.Scan() {
			g.log <- lines.Text()
		}
	}()
	return g
}

// exit sends signals and returns the exit status.
func (g *gateway) exit(signals ...syscall.Signal) int {
	g.t.Helper()
	for _, s := range signals {
		if err := g.cmd.Process.Signal(s); err != nil {
			g.t.Fatal(err)
		}
		select {
		case line := <-g.log: // it has taken notice
			g.t.Log(line)
		case <-time.After(10 * time.Second):
			g.t.Fatalf("no answer to signal %v", s)
		}
	}
	for line := range g.log {
		g.t.Log(line)
	}
	_ = g.cmd.Wait() // the status tells
	return g.cmd.ProcessState.ExitCode()
}

// open opens tank/neo/stadium, and makes what of it is not there. All is closed when the test ends.
func open(t *testing.T, endpoint string) (*client.System, system.KV) {
	t.Helper()
	ctx := t.Context()
	closeAfter := func(c io.Closer) { t.Cleanup(func() { _ = c.Close() }) } // what a failed test leaves open is no news
	sys, err := client.Dial(ctx, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(sys)
	pool, err := sys.OpenPool(ctx, "tank")
	if err != nil {
		if _, err = sys.CreatePool(ctx, "tank", system.CreatePool{Size: 16 << 20}); err != nil {
			t.Fatal(err)
		}
		return open(t, endpoint)
	}
	closeAfter(pool)
	cont, err := pool.OpenContainer(ctx, "neo")
	if err != nil {
		if _, err = pool.CreateContainer(ctx, "neo", system.CreateContainer{}); err != nil {
			t.Fatal(err)
		}
		return open(t, endpoint)
	}
	closeAfter(cont)
	kv, err := cont.OpenKV(ctx, "stadium", true)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(kv)
	return sys, kv
}

// TestLife: start, use over both ways in, be killed, start over the stale socket, stop; everything answered is there.
func TestLife(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	g := launch(t, "--root", root, "--listen", "127.0.0.1:0", "--cache", "8M")
	if host, port, err := net.SplitHostPort(g.info.Listen); err != nil || host != "127.0.0.1" || port == "0" || g.info.Version == "" {
		t.Errorf("ready with %+v", g.info)
	}
	if want := filepath.Join(root, "tarn.sock"); g.info.Socket != want {
		t.Errorf("the socket is %s, want %s", g.info.Socket, want)
	}
	_, kv := open(t, g.info.Listen)
	if err := kv.Put(t.Context(), []byte("Barcelona"), []byte("Camp Nou")); err != nil {
		t.Fatal(err)
	}
	_, lasting := open(t, "unix:"+g.info.Socket)
	if status := g.exitKilled(); status != -1 {
		t.Fatalf("after the kill the status is %d", status)
	}
	if _, err := os.Stat(g.info.Socket); err != nil {
		t.Errorf("the kill left no stale socket: %v", err)
	}
	g = launch(t, "--root", root, "--listen", "")
	if g.info.Listen != "" {
		t.Errorf("with --listen \"\" it listens on %s", g.info.Listen)
	}
	_, kv = open(t, "unix:"+g.info.Socket)
	if got, err := kv.Get(t.Context(), []byte("Barcelona")); err != nil || string(got) != "Camp Nou" {
		t.Errorf("after the kill: %q, %v", got, err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if got, err := lasting.Get(t.Context(), []byte("Barcelona")); err == nil && string(got) == "Camp Nou" {
			break // the client of before found the new gateway by itself
		} else if time.Now().After(end) {
			t.Fatalf("with the handle of before the kill: %q, %v", got, err)
		}
	}
	if status := g.exit(syscall.SIGTERM); status != 0 {
		t.Errorf("after SIGTERM the status is %d", status)
	}
	if _, err := os.Stat(g.info.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after SIGTERM the socket: %v", err)
	}
}

func (g *gateway) exitKilled() int {
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
	_ = g.cmd.Wait() // the status tells
	return g.cmd.ProcessState.ExitCode()
}

// TestSecondSignal: the first waits for a call that does not end, the second does not.
func TestSecondSignal(t *testing.T) {
	g := launch(t, "--root", filepath.Join(t.TempDir(), "root"), "--listen", "")
	_, kv := open(t, "unix:"+g.info.Socket)
	w, err := kv.Writer(t.Context(), []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(make([]byte, 100000)); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = g.cmd.Process.Signal(syscall.SIGINT) })
	if status := g.exit(syscall.SIGINT); status != 130 {
		t.Errorf("the status is %d, want 130", status)
	}
}

// TestHangup: SIGHUP makes it read the files of credentials again, and does not end it.
func TestHangup(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	write := func() {
		_, public, err := token.Generate()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keys, public, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	g := launch(t, "--root", filepath.Join(t.TempDir(), "root"), "--listen", "", "--token-keys", keys)
	write()
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-g.log:
		if !strings.Contains(line, "reloaded") {
			t.Errorf("it says %s", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("it says nothing")
	}
	if status := g.exit(syscall.SIGTERM); status != 0 {
		t.Errorf("the status is %d", status)
	}
}

// TestRefused: what it will not do, it says, and exits.
func TestRefused(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	g := launch(t, "--root", root, "--listen", "")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--root " + root + " --listen 0.0.0.0:7447", 2, "can be reached from other machines"},
		{"--root " + root + " --listen 0.0.0.0:7447 --tls-cert c --tls-key k", 2, "so that the gateway knows who calls"},
		{"--root " + root + " --listen 127.0.0.1:0", 1, "another gateway answers there"},
		{"--root " + file + " --listen 127.0.0.1:0", 1, "DER_NOTDIR"},
		{"--help", 0, "--socket PATH"},
	} {
		cmd := exec.Command(os.Args[0], strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), asGateway+"=1")
		out, _ := cmd.CombinedOutput() // the status tells
		if cmd.ProcessState.ExitCode() != c.status || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: status %d, says %s", c.args, cmd.ProcessState.ExitCode(), out)
		}
	}
	if status := g.exit(syscall.SIGTERM); status != 0 {
		t.Errorf("the first one ended with status %d", status)
	}
}

// TestDrainServer: who has the role admin stops the gateway as SIGTERM does, and its log level was the one that was set.
func TestDrainServer(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	g := launch(t, "--root", root, "--listen", "")
	sys, kv := open(t, "unix:"+g.info.Socket)
	if err := kv.Put(t.Context(), []byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	settings, err := sys.Config(t.Context())
	if err != nil || !slices.Contains(settings, system.Setting{Name: "root", Value: root, Source: "flag"}) {
		t.Errorf("Config: %v, %v", settings, err)
	}
	if _, err := sys.SetLogLevel(t.Context(), slog.LevelDebug); err != nil {
		t.Error(err)
	}
	if err := sys.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	said := ""
	for line := range g.log {
		said += line + "\n"
	}
	_ = g.cmd.Wait() // the status tells
	if status := g.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("after DrainServer the status is %d", status)
	}
	if !strings.Contains(said, `"asked_by":"DrainServer"`) || !strings.Contains(said, `"level":"DEBUG"`) {
		t.Errorf("it said:\n%s", said)
	}
}
