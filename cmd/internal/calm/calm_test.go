// SPDX-License-Identifier: Apache-2.0

package calm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// asProgram in the environment makes the test program a program that begins calmly.
const asProgram = "TARN_TEST_CALM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	Begin()
	_, marked := os.LookupEnv(again)
	fmt.Println(os.Getpid(), slackest(), os.Args[1:], marked)
}

// slackest is the least slack of all threads of this process, which the kernel shows to whoever may change it.
func slackest() time.Duration {
	least := time.Hour
	files, _ := filepath.Glob("/proc/self/task/*")
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("/proc", filepath.Base(f), "timerslack_ns"))
		if err != nil {
			continue
		}
		if ns, err := time.ParseDuration(strings.TrimSpace(string(text)) + "ns"); err == nil {
			least = min(least, ns)
		}
	}
	return min(least, current())
}

func TestBegin(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if before := current(); before == 0 || before >= slack {
		t.Skipf("the timers of this thread have a slack of %v", before)
	}
	cmd := exec.Command(os.Args[0], "one", "two")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintln(cmd.Process.Pid, slack, []string{"one", "two"}, false); string(out) != want {
		t.Fatalf("the program says %q; want %q", out, want)
	}
}

// A program that has been begun again does not do so a second time, whatever the slack of its threads.
func TestBeginOnce(t *testing.T) {
	t.Setenv(again, "1")
	Begin()
	if _, has := os.LookupEnv(again); has {
		t.Error("the mark is left for other programs")
	}
}
