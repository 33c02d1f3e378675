// SPDX-License-Identifier: Apache-2.0

package server

import (
	"os"
	"runtime/debug"
)

const (
	collectPercent = 400     // of what is in use: the gateway uses a few MiB, so that is little, and Go's 100 costs a fifth of the processor time
	collectAt      = 1 << 30 // bytes, of Go's memory: from there on it is collected as often as it takes
)

// CollectSeldom makes the garbage collector of this process run seldom. What GOGC and GOMEMLIMIT say goes before.
func CollectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(collectAt)
	}
}
