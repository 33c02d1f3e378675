// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if n := collected() - leaksMeant.Load(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d handles were not closed: give slog a default that takes DEBUG, and it says which\n", n)
		code = 1
	}
	os.Exit(code)
}

// leaksMeant is what tests of leaks have leaked.
var leaksMeant atomic.Uint64

// collected is what has leaked so far.
func collected() uint64 {
	for range 3 { // cleanups run after a collection, and may free what the next one collects
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	return Leaked()
}

// thing is something that has a handle.
type thing struct{ handle }

func newThing(t *testing.T, parent *handle, last func()) *thing {
	x := &thing{}
	if err := x.init(parent, "thing", "tank/thing"); err != nil {
		t.Fatal(err)
	}
	watch(x, &x.handle, last)
	return x
}

// TestLeak: a handle that is collected before it is closed is counted, logged with the line that opened it, ends what runs for it, and is
// in its parent's way no more; one that was closed is not.
func TestLeak(t *testing.T) {
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	parent := newThing(t, nil, nil)
	for range 3 {
		if err := newThing(t, &parent.handle, func() { t.Error("a closed one was ended") }).close("close", nil); err != nil {
			t.Fatal(err)
		}
	}
	was, ended := collected(), make(chan struct{})
	newThing(t, &parent.handle, func() { close(ended) })
	leaksMeant.Add(1)
	for deadline := time.Now().Add(10 * time.Second); collected() == was && time.Now().Before(deadline); {
	}
	<-ended
	if n := Leaked() - was; n != 1 || !strings.Contains(said.String(), "ref=tank/thing") || !strings.Contains(said.String(), "leak_test.go") {
		t.Errorf("%d leaks, and the log says\n%s", n, &said)
	}
	if err := parent.close("close", nil); err != nil {
		t.Errorf("the parent: %v", err)
	}
}
