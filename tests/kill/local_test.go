// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestKillLocal kills imports that run without a gateway. Each time the pool opens again, and every file that is there is whole.
func TestKillLocal(t *testing.T) {
	files := rig.Sample(t, 2000)
	tree := rig.Write(t, files)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "256M", "--log-size", "2M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("obj", "create", "tank/neo/tree")
	for range min(5, *rounds) {
		importer := exec.Command(rig.Bin(t, "tarn"), "--root", cli.Root, "import", "tank/neo/tree", tree)
		fatal(t, importer.Start())
		time.Sleep(time.Duration(30+rand.IntN(250)) * time.Millisecond)
		_ = importer.Process.Kill()
		_ = importer.Wait()
		whole(t, cli, files)
	}
	cli.OK("import", "tank/neo/tree", tree)
	whole(t, cli, files)
	copied := filepath.Join(t.TempDir(), "copy")
	cli.OK("export", "tank/neo/tree", copied)
	rig.Same(t, tree, copied)
}

// whole compares every file that is there with what was imported.
func whole(t *testing.T, cli rig.CLI, files map[string][]byte) {
	t.Helper()
	if got := cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		t.Error(got)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	cli.OK("export", "tank/neo/tree", copied)
	keys := strings.Fields(cli.OK("kv", "list", "tank/neo/tree"))
	for _, key := range keys {
		data, err := os.ReadFile(filepath.Join(copied, key))
		if err != nil || !bytes.Equal(data, files[key]) {
			t.Errorf("%s holds %d bytes, want %d: %v", key, len(data), len(files[key]), err)
		}
	}
	t.Logf("%d of %d files", len(keys), len(files))
}
