// SPDX-License-Identifier: Apache-2.0

package devbench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn/device"
)

func config(uri, rw string) Config {
	return Config{Device: uri, RW: rw, BS: 4096, Depth: 8, Jobs: 2, Runtime: 50 * time.Millisecond, Seed: 1}
}

func TestRun(t *testing.T) {
	for _, uri := range []string{"mem:4M", "sim:4M?seed=1", file(t)} {
		for _, rw := range []string{"randread", "randwrite", "read", "write", "randrw", "nop"} {
			for _, goroutines := range []bool{false, true} {
				if goroutines && rw == "nop" {
					continue
				}
				c := config(uri, rw)
				c.Goroutines = goroutines
				r, err := Run(t.Context(), c)
				if err != nil {
					t.Fatalf("%+v: %v", c, err)
				}
				wantSense(t, c, r)
			}
		}
	}
}

// file is one of 4 MiB.
func file(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + path
}

func wantSense(t *testing.T, c Config, r Result) {
	t.Helper()
	l := r.Latency
	switch {
	case r.IOs == 0 || r.IOPS <= 0 || r.Errors != 0 || r.Error != "":
		t.Errorf("%+v: no I/O, or errors: %+v", c, r)
	case r.Seconds < c.Runtime.Seconds() || r.Threads == 0 || r.Backend == "":
		t.Errorf("%+v: no sense: %+v", c, r)
	case l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || l.Max == 0:
		t.Errorf("%+v: latencies %+v", c, l)
	case (r.Bandwidth > 0) != (c.RW != "nop"):
		t.Errorf("%+v: bandwidth %v", c, r.Bandwidth)
	}
}

func TestRefusals(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"rw":         func(c *Config) { c.RW = "sideways" },
		"depth":      func(c *Config) { c.Depth = 0 },
		"deep":       func(c *Config) { c.Depth = device.MaxDepth + 1 },
		"jobs":       func(c *Config) { c.Jobs = 0 },
		"runtime":    func(c *Config) { c.Runtime = 0 },
		"bs":         func(c *Config) { c.BS = 0 },
		"odd bs":     func(c *Config) { c.BS = 1000 },
		"large bs":   func(c *Config) { c.BS = 1 << 30; c.Depth = 1; c.Jobs = 1 },
		"size":       func(c *Config) { c.Size = 8 << 20 },
		"small size": func(c *Config) { c.Size = 100 },
		"memory":     func(c *Config) { c.BS = 1 << 30; c.Depth = 4096 },
		"nop":        func(c *Config) { c.RW = "nop"; c.Goroutines = true },
		"goroutines": func(c *Config) { c.Depth = 4096; c.Goroutines = true },
	} {
		c := config("mem:4M", "randread")
		change(&c)
		_, err := Run(t.Context(), c)
		var e *errno.Error
		if !errors.Is(err, errno.Inval) || !errors.As(err, &e) || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Run(t.Context(), config("file:/nowhere", "read")); !errors.Is(err, errno.NonExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestErrorsAreCounted: one read in the run fails.
func TestErrorsAreCounted(t *testing.T) {
	for _, goroutines := range []bool{false, true} {
		c := config("sim:4M?seed=1&error=read:5", "randread")
		c.Goroutines = goroutines
		r, err := Run(t.Context(), c)
		if err != nil || r.Errors != 1 || !strings.Contains(r.Error, "DER_IO") || r.IOs == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestStop(t *testing.T) {
	for _, goroutines := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		c := config("mem:4M", "randread")
		c.Runtime, c.Goroutines = time.Hour, goroutines
		if r, err := Run(ctx, c); err != nil || r.Seconds > 60 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestHistogram(t *testing.T) {
	var a, b histogram
	for ns := range uint64(1000) {
		a.add(ns)
		b.add(ns * 1000)
	}
	if l := a.latency(); l.Max != 999 || l.P50 < 490 || l.P50 > 500 || l.P99 < 975 || l.P99 > 990 {
		t.Errorf("%+v", l)
	}
	a.merge(&b)
	if a.count != 2000 || a.max != 999000 {
		t.Errorf("%d, %d", a.count, a.max)
	}
	for _, ns := range []uint64{0, 1, 63, 64, 65, 127, 128, 1 << 20, 1<<40 + 12345} {
		if least, next := leastOf(bucketOf(ns)), leastOf(bucketOf(ns)+1); ns < least || ns >= next || next-least > 1+ns/fine {
			t.Errorf("%d ns are counted as %d to %d", ns, least, next)
		}
	}
	if bucketOf(1<<63) != len(a.buckets)-1 {
		t.Error("what takes for ever is not in the last bucket")
	}
	var none histogram
	if l := none.latency(); l != (Latency{}) {
		t.Errorf("%+v", l)
	}
}

// TestPlaces: in order, all of the device comes once; at random, any of it does.
func TestPlaces(t *testing.T) {
	for _, rw := range []string{"read", "randread", "randrw"} {
		c := Config{RW: rw, BS: 4096, Size: 10*4096 + 100, Seed: 3}
		p, seen, ops := newPlaces(c, 1, 3), map[uint64]int{}, map[device.Opcode]int{}
		for range 1000 {
			op, at := p.next()
			seen[at]++
			ops[op]++
		}
		if len(seen) != 10 || seen[9*4096] == 0 || rw == "read" && seen[0] != 100 {
			t.Errorf("%s: %v", rw, seen)
		}
		if writes := ops[device.OpWrite]; (rw == "randrw") != (writes > 400 && writes < 600) {
			t.Errorf("%s: %v", rw, ops)
		}
	}
}
