// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// bad is something that cannot be done: it has an exit status, a named error, and a sentence that says what was found.
type bad struct {
	name   string
	args   string // cut at spaces; "_" stands for a space, LONG for 128 letters, DIR for a scratch directory
	stdin  string
	exit   int
	reason string
	says   string
}

var badInput = []bad{
	{"label malformed", "pool create bad_label --size 16M", "", 2, "DER_INVAL", "bad label"},
	{"label too long", "pool create LONG --size 16M", "", 2, "DER_INVAL", "127"},
	{"label empty", "cont create tank/", "", 2, "DER_INVAL", "empty part"},
	{"label taken", "pool create tank --size 16M", "", 4, "DER_EXIST", "tank"},
	{"pool too small", "pool create pond --size 1M", "", 2, "DER_INVAL", "4194304"},
	{"pool larger than the file system", "pool create pond --size 900P", "", 7, "DER_NOSPACE", "free"},
	{"no size", "pool create pond", "", 2, "DER_INVAL", "--size"},
	{"size that is none", "pool create pond --size 1X", "", 2, "DER_INVAL", "1X"},
	{"pool absent", "pool info pond", "", 3, "DER_NONEXIST", "pond"},
	{"container label taken", "cont create tank/neo", "", 4, "DER_EXIST", "neo"},
	{"container label malformed", "cont create tank/n@o", "", 2, "DER_INVAL", "label"},
	{"container type unknown", "cont create tank/a --type FOO", "", 2, "DER_INVAL", "FOO"},
	{"container absent", "kv get tank/nobody/stadium k", "", 3, "DER_CONT_NONEXIST", "nobody"},
	{"container not empty", "cont destroy tank/neo --yes", "", 6, "DER_BUSY", ""},
	{"pool not empty", "pool destroy tank --yes", "", 6, "DER_BUSY", ""},
	{"destroy without a terminal", "pool destroy tank", "", 2, "DER_INVAL", "nobody can be asked"},
	{"object name taken", "obj create tank/neo/stadium", "", 4, "DER_EXIST", "stadium"},
	{"object absent", "kv list tank/neo/none", "", 3, "DER_NONEXIST", "none"},
	{"path with too many parts", "kv get tank/neo/stadium/x k", "", 2, "DER_INVAL", "POOL/CONTAINER/OBJECT"},
	{"key absent", "kv get tank/neo/stadium Rome", "", 3, "DER_NONEXIST", ""},
	{"key there", "kv put tank/neo/stadium k w --insert", "", 4, "DER_EXIST", ""},
	{"key not there", "kv put tank/neo/stadium Rome w --update", "", 3, "DER_NONEXIST", ""},
	{"one key of a deletion absent", "kv del tank/neo/stadium k Rome", "", 3, "DER_NONEXIST", ""},
	{"key empty", "kv put tank/neo/stadium - v", "", 2, "DER_INVAL", "empty"},
	{"key over-long", "kv put tank/neo/stadium - v", strings.Repeat("k", 65537), 2, "DER_KEY2BIG", "65536"},
	{"value over the container's limit", "kv put tank/small/stadium k -", strings.Repeat("v", 1025), 2, "DER_REC2BIG", "1024"},
	{"value larger than the pool", "kv put tank/neo/stadium big @DIR/20M", "", 7, "DER_NOSPACE", "free"},
	{"file absent", "kv put tank/neo/stadium k @DIR/none", "", 3, "DER_ENOENT", "none"},
	{"not hexadecimal", "kv get tank/neo/stadium xyz --hex", "", 2, "DER_INVAL", "xyz"},
	{"import of a file", "import tank/neo/tree DIR/20M", "", 2, "DER_NOTDIR", "directory"},
	{"import of nothing", "import tank/neo/tree DIR/none", "", 3, "DER_ENOENT", "none"},
	{"import of more than there is room for", "import tank/neo/tree DIR", "", 7, "DER_NOSPACE", "free"},
	{"export of a key that leads out", "export tank/neo/evil DIR/out", "", 2, "DER_BADPATH", "../evil"},
	{"export onto a file", "export tank/neo/stadium DIR/full", "", 4, "DER_EXIST", "--overwrite"},
	{"command unknown", "kv fetch tank/neo/stadium k", "", 2, "DER_INVAL", "fetch"},
	{"flag unknown", "kv get tank/neo/stadium k --fast", "", 2, "DER_INVAL", "--fast"},
	{"argument missing", "kv get tank/neo/stadium", "", 2, "DER_INVAL", "missing"},
	{"nobody at the endpoint", "--endpoint unix:DIR/none.sock pool list", "", 9, "DER_UNREACH", "none.sock"},
	{"endpoint that is none", "--endpoint nonsense pool list", "", 2, "DER_INVAL", "nonsense"},
	{"root that is a file", "--root DIR/20M pool list", "", 2, "DER_NOTDIR", "20M"},
}

// TestBadInput gives every command what it cannot do, in this process and through a gateway: each time there is the same named error,
// a sentence on the standard error, one JSON document when that is asked for, and nothing is lost.
func TestBadInput(t *testing.T) {
	t.Run("local", func(t *testing.T) { refuse(t, rig.CLI{T: t, Root: t.TempDir()}) })
	t.Run("gateway", func(t *testing.T) {
		cli := rig.CLI{T: t, Root: t.TempDir()}
		g := rig.StartGateway(t, cli.Root)
		refuse(t, cli)
		g.Stop()
	})
}

func refuse(t *testing.T, cli rig.CLI) {
	dir := scratch(t)
	cli.OK("pool", "create", "tank", "--size", "16M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("cont", "create", "tank/small", "--prop", "value_max=1K")
	cli.OK("kv", "put", "tank/neo/stadium", "k", "v")
	cli.OK("kv", "put", "tank/neo/evil", "../evil", "v")
	for _, b := range badInput {
		t.Run(b.name, func(t *testing.T) {
			cli := rig.CLI{T: t, Root: cli.Root}
			b.refused(t, cli, dir)
			answers(t, cli, "v", "kv", "get", "tank/neo/stadium", "k")
		})
	}
	answers(t, cli, "k\n", "kv", "list", "tank/neo/stadium")
	answers(t, cli, "tank checked\n", "pool", "check", "tank")
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "evil")); err == nil {
		t.Error("export wrote a file outside of its directory")
	}
}

// scratch is a directory with a file that is too large for the pool, and a directory in which the key k exists.
func scratch(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "scratch")
	if err := os.MkdirAll(filepath.Join(dir, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"20M": 20 << 20, "full/k": 1} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (b bad) words(dir string) []string {
	words := strings.Fields(strings.NewReplacer("DIR", dir, "LONG", strings.Repeat("x", 128)).Replace(b.args))
	for i, w := range words {
		if strings.HasPrefix(w, "bad_") {
			words[i] = strings.ReplaceAll(w, "_", " ")
		}
	}
	return words
}

// refused runs the command twice: for people, and for programs.
func (b bad) refused(t *testing.T, cli rig.CLI, dir string) {
	words := b.words(dir)
	r := cli.Input(b.stdin, words...)
	if r.Exit != b.exit || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "tarn: ") || !strings.Contains(r.Stderr, b.says) {
		t.Errorf("exit %d, want %d and %q; stdout %q, stderr %q", r.Exit, b.exit, b.says, r.Stdout, r.Stderr)
	}
	r = cli.Input(b.stdin, append([]string{"-o", "json"}, words...)...)
	doc := errorDocument(t, r.Stdout)
	if r.Exit != b.exit || r.Stderr != "" || doc.Error.Reason != b.reason || !strings.Contains(doc.Error.Message, b.says) {
		t.Errorf("exit %d, want %d and %s: %s%s", r.Exit, b.exit, b.reason, r.Stdout, r.Stderr)
	}
}

type document struct {
	Response any
	Error    *struct {
		Code            int
		Reason, Message string
	}
	Status int
}

// errorDocument reads the one document that a command which failed has written.
func errorDocument(t *testing.T, text string) document {
	t.Helper()
	var doc document
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil || decoder.More() {
		t.Fatalf("not one document: %v: %s", err, text)
	}
	if doc.Error == nil || doc.Error.Code >= 0 || doc.Status != doc.Error.Code {
		t.Fatalf("no error in the document: %s", text)
	}
	return doc
}

// TestBadPools opens files that are no pools, or not any more. The good pool beside them goes on.
func TestBadPools(t *testing.T) {
	good := rig.CLI{T: t, Root: t.TempDir()}
	good.OK("pool", "create", "tank", "--size", "16M")
	good.OK("cont", "create", "tank/neo")
	good.OK("kv", "put", "tank/neo/stadium", "k", "v")
	pool, err := os.ReadFile(filepath.Join(good.Root, "tank.pool"))
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, len(pool))
	for i := range random {
		random[i] = byte(i * i * 31 >> 7)
	}
	for _, c := range []struct {
		name, label string
		data        []byte
		exit        int
		reason      string
	}{
		{"empty", "tank", nil, 8, "DER_DF_INVAL"},
		{"random", "tank", random, 8, "DER_DF_INVAL"},
		{"text", "tank", []byte(strings.Repeat("not a pool\n", 4096)), 8, "DER_DF_INVAL"},
		{"truncated", "tank", pool[:1<<20], 8, "DER_DF_INVAL"},
		{"of another pool", "pond", pool, 1, "DER_ID_MISMATCH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cli := rig.CLI{T: t, Root: t.TempDir()}
			file := filepath.Join(cli.Root, c.label+".pool")
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			cli.OK("pool", "create", "well", "--size", "16M")
			for _, args := range []string{"pool info %s", "kv put %s/neo/stadium k w", "pool destroy %s --yes"} {
				bad{args: fmt.Sprintf(args, c.label), exit: c.exit, reason: c.reason}.refused(t, cli, "")
			}
			bad{args: "pool create " + c.label + " --size 16M", exit: 4, reason: "DER_EXIST"}.refused(t, cli, "")
			if after, err := os.ReadFile(file); err != nil || string(after) != string(c.data) {
				t.Errorf("the file was changed: %v", err)
			}
			if !strings.Contains(cli.OK("pool", "list"), "well") {
				t.Error("the pool beside it is not listed any more")
			}
		})
	}
}

// TestHeldPool checks that a pool which a gateway holds is refused to another process at once, by name of the holder, and that a
// socket which a killed gateway left behind is no obstacle.
func TestHeldPool(t *testing.T) {
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "16M")
	cli.OK("cont", "create", "tank/neo")
	g := rig.StartGateway(t, cli.Root)
	cli.OK("kv", "put", "tank/neo/stadium", "k", "v") // now the gateway holds the pool
	hidden := g.Socket + ".hidden"
	if err := os.Rename(g.Socket, hidden); err != nil {
		t.Fatal(err)
	}
	bad{args: "pool info tank", exit: 6, reason: "DER_BUSY", says: fmt.Sprint(g.Pid())}.refused(t, cli, "")
	if err := os.Rename(hidden, g.Socket); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	if _, err := os.Stat(g.Socket); err != nil {
		t.Fatalf("a killed gateway removed its socket? %v", err)
	}
	answers(t, cli, "v", "kv", "get", "tank/neo/stadium", "k")
}
