// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// step is a command of a page, with what it prints, when the page says that.
type step struct{ command, prints string }

// steps are the commands of a block; a line of a comment is what the command before it prints.
func steps(block string) (all []step) {
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		prints, comment := strings.CutPrefix(line, "# ")
		switch {
		case comment:
			all[len(all)-1].prints += prints + "\n"
		case line != "":
			all = append(all, step{command: line})
		}
	}
	return all
}

// blocks are the commands that docs/gateway.md shows for curl.
func blocks(t *testing.T) (all []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(rig.Top(t), "docs", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## HTTP and JSON\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		if strings.Contains(found[1], "curl ") {
			all = append(all, found[1])
		}
	}
	if len(all) != 3 {
		t.Fatalf("the page has %d blocks of curl", len(all))
	}
	return all
}

// check runs the commands of a block in one shell, in dir, and compares what they print.
func check(t *testing.T, dir, block string) {
	t.Helper()
	const mark = "\n-- end of a command --\n"
	var script strings.Builder
	all := steps(block)
	for _, s := range all {
		script.WriteString(s.command + "\nprintf '" + strings.ReplaceAll(mark, "\n", `\n`) + "'\n")
	}
	cmd := exec.Command("sh", "-eu", "-c", script.String())
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	said := strings.Split(string(out), mark)
	if err != nil || len(said) != len(all)+1 {
		t.Fatalf("%v\n%s\n%s", err, block, out)
	}
	for i, s := range all {
		switch {
		case s.prints != "" && plain(said[i]) != plain(s.prints):
			t.Errorf("%s\nprints  %s\nand the page says  %s", s.command, said[i], s.prints)
		case strings.Contains(said[i], `"code":`):
			t.Errorf("%s\n%s", s.command, said[i])
		}
	}
}

// plain is text without the spaces that JSON can do without.
func plain(text string) string {
	var short bytes.Buffer
	if json.Compact(&short, []byte(text)) == nil {
		return short.String()
	}
	return strings.TrimSpace(text)
}

// TestCurl runs the commands that docs/gateway.md shows for HTTP, with a gateway that everybody on the loopback may use, and with one
// that asks who calls.
func TestCurl(t *testing.T) {
	page := blocks(t)
	addr := freeAddr(t)
	rig.StartGateway(t, t.TempDir(), "--http", addr)
	for _, block := range page[:2] {
		check(t, t.TempDir(), strings.ReplaceAll(block, "localhost:7449", addr))
	}
	addr = freeAddr(t)
	s := startSecured(t, "--http", addr)
	s.holder("alice", "admin")
	s.write("certs/bob.token", s.cli.OK("token", "sign", "bob", "--role", "reader", "--for", "1h", "--key", s.path("token.key")))
	check(t, s.path("certs"), strings.ReplaceAll(page[2], "gateway.example.org:7449", addr))
}
