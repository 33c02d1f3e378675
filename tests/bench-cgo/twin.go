// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// twin is the process of the C side. It waits for a line while it is not its turn.
type twin struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startTwin(program string) (*twin, error) {
	t := &twin{cmd: exec.Command(program, "turns")}
	t.cmd.Stderr = os.Stderr
	in, err := t.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.in, t.out = in, bufio.NewReader(out)
	return t, t.cmd.Start()
}

// stop ends the process, which removes its store.
func (t *twin) stop() {
	t.in.Close()
	_ = t.cmd.Wait() // it has told what went wrong
}

// turn returns the ns of a call.
func (t *twin) turn(c call) (float64, error) {
	if _, err := fmt.Fprintf(t.in, "%s %d\n", c.twinName(), c.count); err != nil {
		return 0, err
	}
	var ns float64
	if _, err := fmt.Fscanln(t.out, &ns); err != nil {
		return 0, fmt.Errorf("the C side did not answer %s: %w", c.name, err)
	}
	return ns / float64(c.count), nil
}
