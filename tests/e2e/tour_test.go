// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the programs of build/bin from outside, as a user runs them.
package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestTour is the tour that a newcomer takes, in this process first and then through a gateway that the command line finds by its
// socket: the same words, and the same answers.
func TestTour(t *testing.T) {
	t.Run("local", func(t *testing.T) { tour(t, rig.CLI{T: t, Root: t.TempDir()}) })
	t.Run("gateway", func(t *testing.T) {
		cli := rig.CLI{T: t, Root: t.TempDir()}
		g := rig.StartGateway(t, cli.Root)
		tour(t, cli)
		g.Stop()
		// What was acknowledged is there when the pool is opened without the gateway, whose socket is gone or stale.
		answers(t, cli, "Camp Nou", "kv", "get", "tank/neo/stadium", "Barcelona")
		answers(t, cli, "tank checked\n", "pool", "check", "tank")
	})
}

func answers(t *testing.T, cli rig.CLI, want string, args ...string) {
	t.Helper()
	if got := cli.OK(args...); got != want {
		t.Fatalf("tarn %s: got %q, want %q", strings.Join(args, " "), got, want)
	}
}

func tour(t *testing.T, cli rig.CLI) {
	tree, copied := rig.Tree(t), filepath.Join(t.TempDir(), "copy")
	cli.OK("pool", "create", "tank", "--size", "1G")
	cli.OK("cont", "create", "tank", "neo", "--type", "KV")
	answers(t, cli, "", "kv", "put", "tank/neo/stadium", "Barcelona", "Camp Nou")
	answers(t, cli, "Camp Nou", "kv", "get", "tank/neo/stadium", "Barcelona")
	answers(t, cli, "Barcelona\n", "kv", "list", "tank/neo/stadium")

	files := rig.Files(t, tree)
	if files < 1000 {
		t.Fatalf("%s has %d files only: set TARN_TEST_TREE to a larger tree", tree, files)
	}
	said := cli.OK("import", "tank/neo/headers", tree)
	if !strings.HasPrefix(said, fmt.Sprintf("%d files, ", files)) {
		t.Errorf("import of %d files says %q", files, said)
	}
	answers(t, cli, fmt.Sprintln(files), "kv", "count", "tank/neo/headers")
	cli.OK("export", "tank/neo/headers", copied)
	rig.Same(t, tree, copied)

	everyVerb(t, cli)
}

// everyVerb runs the commands that the tour leaves out.
func everyVerb(t *testing.T, cli rig.CLI) {
	answers(t, cli, "yes\n", "kv", "exists", "tank/neo/stadium", "Barcelona")
	answers(t, cli, "tank synced\n", "pool", "sync", "tank")
	answers(t, cli, "tank checkpointed\n", "pool", "checkpoint", "tank")
	cli.OK("obj", "create", "tank/neo/river")
	var objects []struct{ Name, Type string }
	response(t, cli, &objects, "obj", "list", "tank/neo")
	if fmt.Sprint(objects) != "[{headers KV_LEXICAL} {river KV_LEXICAL} {stadium KV_LEXICAL}]" {
		t.Errorf("objects: %v", objects)
	}
	answers(t, cli, "tank/neo/river destroyed\n", "obj", "destroy", "tank/neo/river", "--yes")

	cli.OK("cont", "create", "tank/py", "--type", "PYTHON", "--prop", "owner=eva", "--prop", "value_max=1K")
	var cont struct {
		Type, Owner string
		ValueMax    uint64 `json:"value_max"`
	}
	response(t, cli, &cont, "cont", "info", "tank/py")
	if fmt.Sprint(cont) != "{PYTHON eva 1024}" {
		t.Errorf("container: %v", cont)
	}
	answers(t, cli, "tank/py destroyed\n", "cont", "destroy", "tank", "py", "--yes")

	var pools []struct {
		Label string
		Total uint64 `json:"total_bytes"`
	}
	response(t, cli, &pools, "pool", "list")
	if fmt.Sprint(pools) != "[{tank 1073741824}]" {
		t.Errorf("pools: %v", pools)
	}
	cli.OK("pool", "create", "pond", "--size", "16M")
	answers(t, cli, "pond destroyed\n", "pool", "destroy", "pond", "--yes")
	answers(t, cli, "", "kv", "del", "tank/neo/stadium", "Barcelona")
	answers(t, cli, "0\n", "kv", "count", "tank/neo/stadium")
	cli.OK("kv", "put", "tank/neo/stadium", "Barcelona", "Camp Nou")
}

// response reads the response of a command that succeeds.
func response(t *testing.T, cli rig.CLI, into any, args ...string) {
	t.Helper()
	doc := struct {
		Response any
		Error    any
		Status   *int
	}{Response: into}
	text := cli.OK(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Error != nil || doc.Status == nil || *doc.Status != 0 {
		t.Fatalf("tarn %s: %v: %s", strings.Join(args, " "), err, text)
	}
}
