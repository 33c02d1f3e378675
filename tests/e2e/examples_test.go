// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestExamples runs the example programs in C, Go and Python: each stores a tree, reads it back and compares byte for byte. Then the
// command line exports what each has stored, and diff compares once more.
func TestExamples(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "1G")
	tree := plainTree(t)
	t.Run("C", func(t *testing.T) {
		example(t, cli, tree, rig.Bin(t, "example-import"), cli.Root, "tank", "c", "headers", tree)
	})
	t.Run("Go", func(t *testing.T) {
		bin := filepath.Join(t.TempDir(), "import")
		if r := rig.Run(t, "", nil, "go", "build", "-o", bin, filepath.Join(rig.Top(t), "go", "examples", "import")); r.Exit != 0 {
			t.Fatal(r.Stderr)
		}
		example(t, cli, tree, bin, cli.Root, "tank", "go", "headers", tree)
	})
	t.Run("Python", func(t *testing.T) {
		python := filepath.Join(rig.Top(t), "build", "venv", "bin", "python")
		if _, err := os.Stat(python); err != nil {
			t.Skip("there is no Python with grpcio in build/venv: run 'make test', which makes it")
		}
		g := rig.StartGateway(t, cli.Root)
		defer g.Stop()
		script := filepath.Join(rig.Top(t), "clients", "python", "examples", "import.py")
		example(t, cli, tree, python, script, "unix:"+g.Socket, "tank", "python", "headers", tree)
	})
	if got := cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		t.Error(got)
	}
}

// example runs one program; its container is named by the last argument but two.
func example(t *testing.T, cli rig.CLI, tree string, args ...string) {
	t.Helper()
	r := rig.Run(t, "", nil, args[0], args[1:]...)
	if r.Exit != 0 {
		t.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	files := regexp.MustCompile(`\d+ files`).FindString(r.Stdout)
	if want := cli.OK("kv", "count", "tank/"+args[len(args)-3]+"/headers"); strings.TrimSpace(want)+" files" != files {
		t.Errorf("%s said %q, but %s keys are there", args[0], r.Stdout, want)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	cli.OK("export", "tank/"+args[len(args)-3]+"/headers", copied)
	rig.Same(t, tree, copied)
}

// plainTree is some thousands of the tree's files, of every size there is, without links.
func plainTree(t *testing.T) string {
	t.Helper()
	files := rig.Sample(t, 3000)
	if len(files) < 1000 {
		t.Fatalf("%s has %d files only: set TARN_TEST_TREE to a larger tree", rig.Tree(t), len(files))
	}
	return rig.Write(t, files)
}
