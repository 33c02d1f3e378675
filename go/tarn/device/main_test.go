// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

const testBytes = 4 << 20

// targets are the devices that the same tests run on.
var targets = []struct {
	name string
	open func(t testing.TB, opts ...Option) *Device
}{
	{"mem", func(t testing.TB, opts ...Option) *Device { return open(t, "mem:4M", opts...) }},
	{"sim", func(t testing.TB, opts ...Option) *Device { return open(t, "sim:4M?seed=7", opts...) }},
	{"file", openFile},
	{"file threads", func(t testing.TB, opts ...Option) *Device { return openFile(t, append(opts, Backend("threads"))...) }},
	{"file buffered", func(t testing.TB, opts ...Option) *Device { return openFile(t, append(opts, Buffered())...) }},
}

func onTargets(t *testing.T, f func(t *testing.T, open func(opts ...Option) *Device)) {
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			f(t, func(opts ...Option) *Device { return target.open(t, opts...) })
		})
	}
}

// open opens a device for writing, until the test ends.
func open(t testing.TB, uri string, opts ...Option) *Device {
	t.Helper()
	d, err := Open(uri, append([]Option{ReadWrite()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// openFile makes a file of zeros under build/, which is on a disk; /tmp may not be.
func openFile(t testing.TB, opts ...Option) *Device {
	t.Helper()
	dir, err := os.MkdirTemp("../../../build", "device-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return open(t, "file:"+filepath.Join(dir, "disk"), append([]Option{Create(testBytes)}, opts...)...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func wantCode(t testing.TB, what string, err error, code errno.Code) *errno.Error {
	t.Helper()
	var e *errno.Error
	if !errors.Is(err, code) || !errors.As(err, &e) {
		t.Errorf("%s: got %v, want %s", what, err, code.Name())
		return &errno.Error{}
	}
	return e
}

// seeded returns a generator whose seed is printed, and taken from TARN_TEST_SEED.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("TARN_TEST_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("TARN_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func fill(rng *rand.Rand, p []byte) {
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
}

// readAll reads the device in one piece.
func readAll(t testing.TB, d *Device) []byte {
	t.Helper()
	p := make([]byte, d.Size())
	if _, err := d.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: byte %d is %#x, want %#x", what, i, got[i], want[i])
			return
		}
	}
	t.Errorf("%s: %d bytes, want %d", what, len(got), len(want))
}

// counts are what a test may leak.
func counts() (fds, goroutines int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries), runtime.NumGoroutine()
}

// wantNoLeak waits until there are no more descriptors and goroutines than before.
func wantNoLeak(t testing.TB, fds, goroutines int) {
	t.Helper()
	var f, g int
	for range 100 {
		if f, g = counts(); f <= fds && g <= goroutines {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d descriptors and %d goroutines, before %d and %d", f, g, fds, goroutines)
}

// threads counts the threads of this process.
func threads(t testing.TB) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nThreads:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// within fails the test when f has not returned by then.
func within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		panic(fmt.Sprintf("%s: not done after %v", what, d))
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
