// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestLargeValue streams a value of 40 MiB in through the standard input and out through the standard output, here and remotely.
func TestLargeValue(t *testing.T) {
	value := make([]byte, 40<<20+123)
	for i := range value {
		value[i] = byte(i>>3*7 + i)
	}
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "512M")
	cli.OK("cont", "create", "tank/neo")
	there := func(t *testing.T, key string) {
		cli := rig.CLI{T: t, Root: cli.Root}
		if r := cli.Input(string(value), "kv", "put", "tank/neo/large", key, "-"); r.Exit != 0 {
			t.Fatal(r.Stderr)
		}
		if got := cli.OK("kv", "get", "tank/neo/large", key); !bytes.Equal([]byte(got), value) {
			t.Errorf("%d bytes came back, want the %d that were put", len(got), len(value))
		}
	}
	t.Run("local", func(t *testing.T) { there(t, "here") })
	g := rig.StartGateway(t, cli.Root)
	t.Run("gateway", func(t *testing.T) { there(t, "there") })
	g.Stop()
	answers(t, cli, "here\nthere\n", "kv", "list", "tank/neo/large")
}

// TestInterrupt stops a put that waits for the rest of its value: it ends at once, with 130 and a sentence, and leaves nothing.
func TestInterrupt(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "64M")
	cli.OK("cont", "create", "tank/neo")
	cmd := exec.Command(rig.Bin(t, "tarn"), "--root", cli.Root, "kv", "put", "tank/neo/stadium", "k", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	if _, err := stdin.Write(make([]byte, 5<<20)); err != nil { // by then the pool is open, and a part of the value is in it
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if exit := cmd.ProcessState.ExitCode(); !hung.Stop() || exit != 130 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit %d, want 130: %s", exit, &stderr)
	}
	answers(t, cli, "", "kv", "list", "tank/neo/stadium")
	answers(t, cli, "tank checked\n", "pool", "check", "tank")
}

// TestClosedPipe lists into a pipe whose reader goes away, as head does: the list ends and nothing hangs.
func TestClosedPipe(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "64M")
	cli.OK("cont", "create", "tank/neo")
	files := rig.Sample(t, 3000)
	for name := range files {
		files[name] = nil // only the names are wanted
	}
	dir := rig.Write(t, files)
	cli.OK("import", "tank/neo/names", dir)
	cmd := exec.Command(rig.Bin(t, "tarn"), "--root", cli.Root, "kv", "list", "tank/neo/names", "--long")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(pipe, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Success() {
		t.Errorf("a list whose reader went away ended with %v", err)
	}
	answers(t, cli, "tank checked\n", "pool", "check", "tank")
}

// TestCompletion asks the programs that complete words for the shell: names come from the live pool.
func TestCompletion(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "16M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("obj", "create", "tank/neo/stadium")
	for word, want := range map[string]string{"": "tank/\n", "ta": "tank/\n", "tank/": "tank/neo/\n", "tank/neo/s": "tank/neo/stadium\n", "x": ""} {
		got := cli.OK("__complete", "kv", "get", word)
		if names, _, _ := strings.Cut(got, ":"); names != want {
			t.Errorf("%q completes to %q, want %q", word, names, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := cli.OK("completion", shell); !strings.Contains(got, "__complete") {
			t.Errorf("the script for %s: %.200q", shell, got)
		}
	}
}
