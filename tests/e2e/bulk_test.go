// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

const (
	sparse    = 96 << 20 // bytes of a value of zeros
	memoryMax = 80 << 20 // bytes of a process that moves it through a gateway
)

// zeros is a standard input of n zeros.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// lean runs a program that may not take more memory than memoryMax.
func lean(t *testing.T, stdin io.Reader, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10; peak > memoryMax {
		t.Errorf("%s took %d MiB of memory, with a value of %d MiB", strings.Join(args, " "), peak>>20, sparse>>20)
	}
}

// TestBulk moves a container from a root directory through files and pipes to a gateway, into another pool, and back, with a value that is
// larger than the memory that it may take.
func TestBulk(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "2G")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("import", "tank/neo/tree", rig.Write(t, rig.Sample(t, 300)))
	file, copied := filepath.Join(t.TempDir(), "neo.tarn"), filepath.Join(t.TempDir(), "copy.tarn")
	cli.OK("bulk", "export", "tank/neo", file)

	g := rig.StartGateway(t, cli.Root)
	tarn, at := rig.Bin(t, "tarn"), "--endpoint=unix:"+g.Socket
	lean(t, zeros(sparse), tarn, at, "kv", "put", "tank/neo/large", "zeros", "-")
	cli.OK("snap", "create", "tank/neo", "now")
	lean(t, nil, tarn, at, "bulk", "export", "tank/neo", file, "--snapshot", "now", "--overwrite")
	lean(t, nil, tarn, at, "bulk", "import", "tank/copy", file, "--create")
	lean(t, nil, tarn, at, "bulk", "import", "tank/copy", file, "--on-conflict", "skip")
	g.Stop()

	cli.OK("bulk", "export", "tank/copy", copied)
	if want, got := counted(t, cli, file), counted(t, cli, copied); got != want || !strings.Contains(want, `"objects":2`) {
		t.Errorf("the copy has %s, want %s", got, want)
	}
	if lines(cli, "tank/neo/tree") != lines(cli, "tank/copy/tree") {
		t.Error("the copy has other keys and values")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2]++
	if r := cli.Input(string(data), "bulk", "import", "tank/other", "-"); r.Exit != 3 {
		t.Errorf("into a container that is not there: exit %d", r.Exit)
	}
	cli.OK("cont", "create", "tank/other")
	if r := cli.Input(string(data), "bulk", "import", "tank/other", "-"); r.Exit != 8 || !strings.Contains(r.Stderr, "damaged at byte") ||
		!strings.Contains(r.Stderr, "had been stored by then") {
		t.Errorf("a damaged stream: exit %d, %s", r.Exit, r.Stderr)
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	cli.OK("cont", "create", "tank/none")
	if r := cli.Run("bulk", "import", "tank/none", file); r.Exit != 8 || cli.OK("obj", "list", "tank/none", "-o", "json") != emptyList {
		t.Errorf("a damaged file: exit %d, %s", r.Exit, r.Stderr)
	}
	if got := cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		t.Error(got)
	}
}

const emptyList = `{"response":[],"error":null,"status":0}` + "\n"

// counted is what a file says that it holds.
func counted(t *testing.T, cli rig.CLI, file string) string {
	t.Helper()
	counts, _, ok := strings.Cut(cli.OK("bulk", "verify", file, "-o", "json"), `,"seconds"`)
	if !ok {
		t.Fatal(counts)
	}
	return counts
}

// lines are an object as lines of JSON, without their header, which names its container.
func lines(cli rig.CLI, object string) string {
	_, rest, _ := strings.Cut(cli.OK("bulk", "export", object, "-", "--format", "jsonl", "--quiet"), "\n")
	return rest
}

// TestCheckPerf: a verdict with figures, here and through a gateway, and nothing stays.
func TestCheckPerf(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	words := []string{"check", "perf", "--load", "s", "--for", "1s", "-o", "json"}
	for _, where := range []string{"here", "gateway"} {
		if where == "gateway" {
			g := rig.StartGateway(t, cli.Root)
			defer g.Stop()
		}
		r := cli.Run(words...)
		var perf struct {
			Response struct {
				Puts     int
				Pass     bool
				Criteria []struct {
					Got, Limit  float64
					Least, Pass bool
				}
			}
		}
		if err := json.Unmarshal([]byte(r.Stdout), &perf); err != nil || perf.Response.Puts != 150 || len(perf.Response.Criteria) != 3 {
			t.Fatalf("%s: %v, %s%s", where, err, r.Stdout, r.Stderr)
		}
		all := true
		for _, c := range perf.Response.Criteria {
			if c.Pass != (c.Least == (c.Got >= c.Limit)) || c.Got <= 0 {
				t.Errorf("%s: %+v", where, c)
			}
			all = all && c.Pass
		}
		if perf.Response.Pass != all || (r.Exit == 0) != all {
			t.Errorf("%s: pass %v, exit %d: %s", where, perf.Response.Pass, r.Exit, r.Stdout)
		}
		if left := cli.OK("pool", "list", "-o", "json"); left != emptyList {
			t.Errorf("%s: the check left %s", where, left)
		}
	}
}
