// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestOddTree imports and exports names of every kind, sizes on both sides of every limit, links and empty directories.
func TestOddTree(t *testing.T) {
	tree := oddTree(t)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "128M")
	cli.OK("cont", "create", "tank/neo")
	through := func(object string) func(t *testing.T) {
		return func(t *testing.T) {
			cli, copied := rig.CLI{T: t, Root: cli.Root}, filepath.Join(t.TempDir(), "copy")
			cli.OK("import", object, tree)
			cli.OK("export", object, copied)
			rig.Same(t, tree, copied)
		}
	}
	t.Run("local", through("tank/neo/here"))
	g := rig.StartGateway(t, cli.Root)
	t.Run("gateway", through("tank/neo/there"))
	g.Stop()
}

func oddTree(t *testing.T) string {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"a b", "line\nbreak", "\xff\xfe", `"quoted"`, "-dash", "@at", "..dots..", "...", "back\\slash", "Köln",
		strings.Repeat("n", 255), strings.Repeat("deep/", 100) + "file"} {
		files["names/"+name] = []byte(name)
	}
	for _, limit := range []int{512, 4096, 16 << 10, 31 << 10, 64 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20} {
		for size := limit - 1; size <= limit+1; size++ {
			files[fmt.Sprintf("sizes/%d", size)] = bytes.Repeat([]byte{byte(size), 'x', byte(size >> 8)}, size/3+1)[:size]
		}
	}
	files["sizes/0"], files["sizes/1"] = nil, []byte("1")
	dir := rig.Write(t, files)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "empty", "also"), 0o777),
		os.Symlink("names/a b", filepath.Join(dir, "link")),
		os.Symlink("sizes", filepath.Join(dir, "linked")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
