// SPDX-License-Identifier: Apache-2.0

// Package calm lets the timers of a process be late by a millisecond.
//
// Go's runtime has a thread that looks after the others. While anything happens it sleeps for 20 us at a time, and each time that it wakes the
// processor changes threads twice, which with many short waits takes a third of all processor time. Linux lets a timer be late by a slack
// of 50 us, so that it wakes with others; with 1 ms that thread wakes twenty times less often. What waits for a second does so a
// millisecond longer; what waits for a socket, a device or another goroutine is not changed.
//
// A thread has the slack of the one that made it, and that thread is made before main is called. So the program begins again.
package calm

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	slack = time.Millisecond
	again = "TARN_BEGUN_AGAIN" // in the environment of a program that has
)

// Begin begins the program again in this process, with calm timers, its arguments and its environment, unless it has calm timers, or was begun
// again. It returns when there is nothing to do, and when the system refuses: then the timers are as they were. It is called
// before anything else has begun: what runs or is open ends with the old program.
func Begin() {
	if _, has := os.LookupEnv(again); has {
		os.Unsetenv(again) // it is not for the programs that this one starts
		return
	}
	self, err := os.Executable()
	if before := current(); err == nil && before > 0 && before < slack {
		runtime.LockOSThread() // the slack is this thread's
		defer runtime.UnlockOSThread()
		_ = set(slack) // refused: then it begins again as it is, once
		_ = syscall.Exec(self, os.Args, append(os.Environ(), again+"=1"))
		_ = set(before)
	}
}

// current is the slack of this thread; 0: it has none, or nobody knows.
func current() time.Duration {
	ns, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_GET_TIMERSLACK, 0, 0)
	if errno != 0 {
		return 0
	}
	return time.Duration(ns)
}

func set(d time.Duration) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, uintptr(d), 0); errno != 0 {
		return errno
	}
	return nil
}
