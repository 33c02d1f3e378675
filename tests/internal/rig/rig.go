// SPDX-License-Identifier: Apache-2.0

// Package rig runs the programs in build/bin for tests: the command line, and gateways that are started, killed and stopped.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slow is how long a program may take before a test gives up on it.
const slow = 3 * time.Minute

// Top is the directory of the module.
func Top(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("there is no go.mod above the working directory (%v)", err)
	return ""
}

// Bin is the path of a program that make built. To look at it makes the test depend on it: go test runs again when it changed.
func Bin(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(Top(t), "build", "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run 'make all' first", err)
	}
	return path
}

// Tree is a directory with thousands of files of all sizes: /usr/include, or what TARN_TEST_TREE names.
func Tree(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TARN_TEST_TREE")
	if dir == "" {
		dir = "/usr/include"
	}
	if _, err := os.ReadDir(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Result is how a program ended.
type Result struct {
	Stdout, Stderr string
	Exit           int
}

// Run runs a program to its end. Its environment has no setting of Tarn but env.
func Run(t testing.TB, stdin string, env []string, name string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = append(cleanEnv(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %s: %v %v\n%s", name, strings.Join(args, " "), err, ctx.Err(), &stderr)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// settings are the variables of the environment that the programs read.
var settings = regexp.MustCompile(`^TARN_(ROOT|ENDPOINT|TLS_\w+|TOKEN(_FILE)?)=`)

func cleanEnv() (env []string) {
	for _, e := range os.Environ() {
		if !settings.MatchString(e) {
			env = append(env, e)
		}
	}
	return env
}

// CLI is the command line on one root directory.
type CLI struct {
	T    testing.TB
	Root string
}

// Run runs "tarn ARGS".
func (c CLI) Run(args ...string) Result { return c.Input("", args...) }

// Input runs "tarn ARGS" with a standard input.
func (c CLI) Input(stdin string, args ...string) Result {
	c.T.Helper()
	return Run(c.T, stdin, []string{"TARN_ROOT=" + c.Root}, Bin(c.T, "tarn"), args...)
}

// OK runs "tarn ARGS", which must succeed, and returns what it prints.
func (c CLI) OK(args ...string) string {
	c.T.Helper()
	r := c.Run(args...)
	if r.Exit != 0 {
		c.T.Fatalf("tarn %s: exit %d\n%s%s", strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Gateway is a running gateway.
type Gateway struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	Socket string
}

// StartGateway starts a gateway on a root directory and waits until it answers. It is killed at the end of the test.
func StartGateway(t testing.TB, root string, args ...string) *Gateway {
	t.Helper()
	g := &Gateway{t: t, stderr: &bytes.Buffer{}, Socket: filepath.Join(root, "tarn.sock")}
	g.cmd = exec.Command(Bin(t, "tarn-gateway"), append([]string{"--root", root, "--listen", "127.0.0.1:0", "--socket", g.Socket}, args...)...)
	g.cmd.Env = cleanEnv()
	g.cmd.Stdout, g.cmd.Stderr = g.stderr, g.stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", g.Socket)
		if err == nil {
			conn.Close()
			return g
		}
		if time.Since(start) > 20*time.Second {
			g.Kill()
			t.Fatalf("the gateway does not answer: %v\n%s", err, g.stderr)
		}
	}
}

// Kill ends the gateway as a crash would: kill -9. It may be called again.
func (g *Gateway) Kill() {
	if g.cmd.ProcessState == nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait() // "signal: killed"
	}
}

// Stop ends the gateway gracefully; it must agree.
func (g *Gateway) Stop() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	if err := g.cmd.Wait(); err != nil {
		g.t.Fatalf("the gateway ended with %v\n%s", err, g.stderr)
	}
}

// Log is what the gateway has said; only after Kill or Stop.
func (g *Gateway) Log() string { return g.stderr.String() }

// Same fails the test unless two trees are equal to diff -r.
func Same(t testing.TB, a, b string) {
	t.Helper()
	if r := Run(t, "", nil, "diff", "-r", a, b); r.Exit != 0 || r.Stdout != "" {
		text := r.Stdout + r.Stderr
		t.Fatalf("diff -r %s %s: exit %d\n%s", a, b, r.Exit, text[:min(len(text), 2000)])
	}
}

// Files counts the regular files of a tree, as find -L does.
func Files(t testing.TB, dir string) int {
	t.Helper()
	r := Run(t, "", nil, "find", "-L", dir, "-type", "f", "-printf", ".")
	if r.Exit != 0 {
		t.Fatal(fmt.Sprint("find: ", r.Stderr))
	}
	return len(r.Stdout)
}

// Pid is the gateway's process.
func (g *Gateway) Pid() int { return g.cmd.Process.Pid }
