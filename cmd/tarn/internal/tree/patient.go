// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// How often a call that was refused is made again: after 10 ms, 20 ms and so on, for about 20 seconds in all.
const (
	firstPause = 10 * time.Millisecond
	attempts   = 12
)

// Patient makes a call, again and again while the answer is that there is no room for it now. Such a call has done nothing.
func Patient(ctx context.Context, call func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := call()
		code := errno.CodeOf(err)
		if code != errno.OverloadRetry && code != errno.Again || attempt == attempts {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause *= 2
	}
}
