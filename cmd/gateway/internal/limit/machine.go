// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	bytesLeast, bytesMost = 64 << 20, 1 << 30
	callsEach, callsLeast = 256, 512
)

// DefaultBytes is what calls may hold together on this machine.
func DefaultBytes() int64 { return min(max(Memory()/16, bytesLeast), bytesMost) }

// DefaultCalls is how many calls may be under way on this machine.
func DefaultCalls() int64 { return max(int64(runtime.GOMAXPROCS(0))*callsEach, callsLeast) }

const (
	heapBase = 160 << 20 // what the Go part needs beside what calls hold: code, connections, caches of handles
	heapStep = 16 << 20
)

// Heap caps the Go part of this process at what calls hold now, a quarter more, and heapBase, as far as the collector can: what was garbage of a peak
// goes when the peak has gone. What GOMEMLIMIT says goes before. The zero value is ready.
type Heap struct{ most int64 }

// Cap sets the cap for calls that hold so many bytes.
func (h *Heap) Cap(bytes int64) {
	most := heapBase + (bytes+bytes/4+heapStep-1)/heapStep*heapStep
	if most == h.most || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	h.most = most
	debug.SetMemoryLimit(most)
}

// Memory is what this process can have: of the machine, or of the narrowest control group (version 2) that it is in. When neither is known
// it is 1 GiB.
func Memory() int64 { return memoryIn("/") }

func memoryIn(root string) int64 {
	least := int64(math.MaxInt64)
	if n, ok := installed(filepath.Join(root, "proc/meminfo")); ok {
		least = n
	}
	group, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(group)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			least = min(least, groupLimit(filepath.Join(root, "sys/fs/cgroup"), path))
		}
	}
	if least == math.MaxInt64 {
		return 1 << 30
	}
	return least
}

// installed is the line "MemTotal: N kB".
func installed(path string) (int64, bool) {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 52)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// groupLimit is the narrowest memory.max from a group up to the root.
func groupLimit(base, path string) int64 {
	least := int64(math.MaxInt64)
	for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
		text, _ := os.ReadFile(filepath.Join(base, path, "memory.max"))
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // else it is "max", or not there
			least = min(least, n)
		}
		if path == "/" {
			return least
		}
	}
}
