// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestTerminal runs the command line on a terminal, which script(1) makes: a value ends with a newline, and destroying asks.
func TestTerminal(t *testing.T) {
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("there is no script(1) to make a terminal with: it is in Debian's package bsdutils")
	}
	if r := rig.Run(t, "", nil, script, "-qec", "true", "/dev/null"); r.Exit != 0 {
		t.Skipf("script(1) cannot make a terminal here (is /dev/pts mounted?): %s", r.Stderr)
	}
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "16M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("kv", "put", "tank/neo/stadium", "k", "v")
	typed := func(answer, command string) rig.Result {
		t.Helper()
		command = rig.Bin(t, "tarn") + " --root " + cli.Root + " " + command
		return rig.Run(t, answer, nil, script, "-qec", command, "/dev/null")
	}
	if r := typed("", "kv get tank/neo/stadium k"); r.Stdout != "v\r\n" {
		t.Errorf("kv get on a terminal writes %q", r.Stdout)
	}
	question := "Really destroy the object tank/neo/stadium with all its keys? [y/N]"
	r := typed("n\n", "obj destroy tank/neo/stadium")
	if !strings.Contains(r.Stdout, question) || r.Exit != 1 {
		t.Errorf("exit %d: %q", r.Exit, r.Stdout)
	}
	answers(t, cli, "v", "kv", "get", "tank/neo/stadium", "k")
	r = typed("y\n", "obj destroy tank/neo/stadium")
	if !strings.Contains(r.Stdout, question) || r.Exit != 0 {
		t.Errorf("exit %d: %q", r.Exit, r.Stdout)
	}
	if r := cli.Run("kv", "get", "tank/neo/stadium", "k"); r.Exit != 3 {
		t.Errorf("exit %d after the object was destroyed", r.Exit)
	}
}
