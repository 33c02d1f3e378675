// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
)

// interruptible is a reader whose Read ends when its context does, although the read below it, of a terminal or a pipe, goes on and
// takes what it reads with it. One goroutine may use it.
type interruptible struct {
	ctx context.Context
	src io.Reader
}

type readResult struct {
	data []byte
	err  error
}

func (r interruptible) Read(p []byte) (int, error) {
	done := make(chan readResult, 1)
	go func() {
		buf := make([]byte, len(p)) // not p, which is the caller's again when the context ends
		n, err := r.src.Read(buf)
		done <- readResult{buf[:n], err}
	}()
	select {
	case got := <-done:
		return copy(p, got.data), got.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}
