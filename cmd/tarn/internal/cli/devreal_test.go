// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/localdev"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/devbench"
	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// real runs a command line on the real library.
func real(t *testing.T, stdin string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	env := newSession(t).env(stdin, &o, &e, false)
	env.Devices, env.Bench = localdev.Devices{}, devbench.Run
	exit = Run(ctx, append([]string{"dev"}, args...), env)
	return o.String(), e.String(), exit
}

// TestRealFiles: on real files, of sizes that are multiples of nothing, every byte arrives.
func TestRealFiles(t *testing.T) {
	seed := systemtest.Seed(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	for _, size := range []int{4096, 5000, 1<<20 + 1, 3<<20 - 513} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		source, target, part := filepath.Join(dir, "source"), filepath.Join(dir, "target"), filepath.Join(dir, "part")
		if err := os.WriteFile(source, want, 0o600); err != nil {
			t.Fatal(err)
		}
		file := func(name string, want []byte) {
			t.Helper()
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("of %d bytes: %s has %d bytes, not those of the source, %v", size, name, len(got), err)
			}
		}
		run := func(stdin string, args ...string) string {
			t.Helper()
			out, stderr, exit := real(t, stdin, args...)
			if exit != 0 {
				t.Errorf("%q: exit %d: %s", args, exit, stderr)
			}
			return out
		}
		run("", "copy", source, target, "--verify")
		file(target, want)
		if got := run("", "read", source); got != string(want) {
			t.Errorf("of %d bytes %d were read", size, len(got))
		}
		run("", "read", source, "--offset", "7", "--to", part)
		file(part, want[7:])
		run(strings.Repeat("x", 1001), "write", target, "--offset", "777")
		copy(want[777:], strings.Repeat("x", 1001))
		file(target, want)
		run("", "copy", target, source)
		file(source, want)
		for _, name := range []string{source, target, part} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRealBench: the fields that others read are there, and are numbers.
func TestRealBench(t *testing.T) {
	out, stderr, exit := real(t, "", "bench", "mem:1M", "--rw", "randrw", "--runtime", "50ms", "-o", "json")
	for _, field := range []string{`"iops":`, `"bandwidth":`, `"p50":`, `"p99_9":`, `"cpu_ns_per_io":`, `"errors":0`} {
		if exit != 0 || !strings.Contains(out, field) {
			t.Errorf("exit %d, no %s in %s%s", exit, field, out, stderr)
		}
	}
	if _, stderr, exit := real(t, "", "bench", "mem:1M", "--bs", "1000"); exit != 2 || !strings.Contains(stderr, "multiple of 512") {
		t.Errorf("a misaligned block: exit %d: %s", exit, stderr)
	}
}

// TestFirstMinute runs the commands that docs/devices.md shows, in a directory of their own, on the real library.
func TestFirstMinute(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```sh\n")
	commands, _, ok := strings.Cut(rest, "```\n")
	if !ok || strings.Count(commands, "\n") < 8 {
		t.Fatalf("the page shows %q", commands)
	}
	t.Chdir(t.TempDir())
	said := map[string]string{}
	for line := range strings.Lines(commands) {
		line = strings.TrimSpace(line)
		echo, command, piped := strings.Cut(line, " | ")
		if !piped {
			echo, command = "", line
		}
		stdin := ""
		if piped {
			stdin = strings.TrimPrefix(echo, "echo ") + "\n"
		}
		out, stderr, exit := real(t, stdin, split(command)[2:]...)
		if exit != 0 {
			t.Errorf("%s: exit %d: %s", line, exit, stderr)
		}
		said[line] = out
	}
	if got := said["tarn dev read disk.img --offset 4k --length 6"]; got != "hello\n" {
		t.Errorf("what was written is read as %q", got)
	}
}
