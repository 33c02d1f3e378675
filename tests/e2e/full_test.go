// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestFullPool imports more than there is room for. What has been stored is whole and right, the pool goes on, and there is room again
// when the object has been destroyed.
func TestFullPool(t *testing.T) {
	files := rig.Sample(t, 3000)
	tree := rig.Write(t, files)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "12M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("kv", "put", "tank/neo/stadium", "Barcelona", "Camp Nou")
	for range 3 {
		r := cli.Run("import", "tank/neo/headers", tree)
		if r.Exit != 7 || !strings.Contains(r.Stderr, "DER_NOSPACE") {
			t.Fatalf("an import of too much: exit %d, %s", r.Exit, r.Stderr)
		}
		stored(t, cli, files)
		answers(t, cli, "Camp Nou", "kv", "get", "tank/neo/stadium", "Barcelona")
		answers(t, cli, "tank checked\n", "pool", "check", "tank")
		cli.OK("obj", "destroy", "tank/neo/headers", "--yes")
		cli.OK("kv", "put", "tank/neo/stadium", "large", "@"+filepath.Join(tree, "large", "value"))
		cli.OK("kv", "del", "tank/neo/stadium", "large")
	}
	answers(t, cli, "Barcelona\n", "kv", "list", "tank/neo/stadium")
}

// stored exports what there is, and compares each file with what was imported.
func stored(t *testing.T, cli rig.CLI, files map[string][]byte) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	cli.OK("export", "tank/neo/headers", copied)
	keys := strings.Fields(cli.OK("kv", "list", "tank/neo/headers"))
	for _, key := range keys {
		data, err := os.ReadFile(filepath.Join(copied, key))
		if err != nil || !bytes.Equal(data, files[key]) {
			t.Errorf("%s holds %d bytes, want %d: %v", key, len(data), len(files[key]), err)
		}
	}
	if len(keys) < 100 {
		t.Errorf("%d files were stored before the pool was full: too few for a test", len(keys))
	}
}
