// SPDX-License-Identifier: Apache-2.0

// Package leaktest checks that the tests of a package have left nothing behind: no goroutine, no descriptor, no handle of the storage
// library. A package has it with one line:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
package leaktest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tarn-storage/tarn/go/tarn"
)

// patience is how long what is on its way out may take.
const patience = 10 * time.Second

// Main runs the tests of a package, looks for what they have left, and exits. Tests that failed may leave what they like.
func Main(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); code == 0 && f.Value.String() == "" {
		for _, leak := range look(before) {
			fmt.Fprintln(os.Stderr, "left by the tests:", leak)
			code = 1
		}
	}
	os.Exit(code)
}

// look looks again and again until there is nothing, or it has taken too long.
func look(before map[string]string) (leaks []string) {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		leaks = opened(before)
		if err := goleak.Find(); err != nil {
			leaks = append(leaks, err.Error())
		}
		if len(leaks) == 0 || time.Since(begin) > patience {
			break
		}
	}
	if n := collected(); n > 0 {
		leaks = append(leaks, fmt.Sprintf("%d handles of the storage library, which were collected before they were closed", n))
	}
	return leaks
}

// collected is the number of handles that nobody closed.
func collected() uint64 {
	for range 3 { // cleanups run after a collection, and may free what the next one collects
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	return tarn.Leaked()
}

// descriptors are those that are open, with what they are of.
func descriptors() map[string]string {
	all := map[string]string{}
	names, _ := filepath.Glob("/proc/self/fd/*") // the pattern is well-formed
	for _, name := range names {
		if what, err := os.Readlink(name); err == nil { // else it was that of the listing itself
			all[name] = what
		}
	}
	return all
}

// opened are the descriptors that were not there before, but those of Go's own poller, which stay.
func opened(before map[string]string) (leaks []string) {
	own := 0
	for name, what := range descriptors() {
		if before[name] == what {
			continue
		}
		if poller := what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]"; poller && own < 2 {
			own++
			continue
		}
		leaks = append(leaks, strings.TrimPrefix(name, "/proc/self/")+" of "+what)
	}
	return leaks
}
