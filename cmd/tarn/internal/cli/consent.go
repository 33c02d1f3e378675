// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
)

// consent is how a user agrees to a loss of data: by a flag, or by an answer on a terminal.
type consent struct{ yes, force bool }

func (c *consent) flags(cmd *cobra.Command, force string) {
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	if force != "" {
		cmd.Flags().BoolVarP(&c.force, "force", "f", false, force)
	}
}

// ask returns nil when the user agrees. Without a terminal it does not wait for an answer that cannot come, but refuses.
func (a *app) ask(c consent, what string) error {
	if c.yes || c.force {
		return nil
	}
	if !a.StdinTTY || !a.StderrTTY {
		return out.WithHint(usage("refused to %s: nobody can be asked here", what), "give --yes to go on without a question")
	}
	fmt.Fprintf(a.Stderr, "Really %s? [y/N] ", what)
	answer, err := readLine(a.Stdin)
	if err != nil {
		fmt.Fprintln(a.Stderr)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed: the answer was not yes")
}

// readLine reads one line and nothing behind it, which may be what the command reads next.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		if n == 1 && b[0] == '\n' {
			return string(line), nil
		}
		if line = append(line, b[:n]...); err != nil {
			return string(line), err
		}
	}
}

// destroyHint adds what to do when something cannot be destroyed.
func destroyHint(err error, absent string) error {
	if errno.CodeOf(err) == errno.Busy {
		return out.WithHint(err, "give --force to destroy it with what it holds; what is open has to be closed first")
	}
	return ifAbsent(err, absent)
}
