// SPDX-License-Identifier: Apache-2.0

package tarn

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// damage flips a bit of the last place of the pool's file that holds text.
func damage(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	at := bytes.LastIndex(data, []byte(text))
	if at < 0 {
		t.Fatalf("%s does not hold %q", path, text)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{text[0] ^ 1}, int64(at))
	must(t, errors.Join(err, f.Close()))
}

// TestCheckReport: a check and a scrub name what is damaged, and the rest can be read.
func TestCheckReport(t *testing.T) {
	ctx := t.Context()
	sys := open(t, Options{})
	info, err := sys.CreatePool(ctx, "tank", CreatePool{Size: 16 << 20})
	must(t, err)
	must(t, withKV(ctx, sys, func(kv *KV) error {
		must(t, kv.Put(ctx, []byte("sound"), []byte("as it was")))
		return kv.Put(ctx, []byte("rotten"), bytes.Repeat([]byte("a marked value "), 5000))
	}))
	damage(t, info.Path, "a marked value ")
	must(t, withKV(ctx, sys, func(kv *KV) error {
		if val, err := kv.Get(ctx, []byte("sound")); err != nil || string(val) != "as it was" {
			t.Errorf("what is sound is %q, %v", val, err)
		}
		for _, verify := range []func(context.Context, CheckOptions) (CheckReport, error){kv.cont.pool.Check, kv.cont.pool.Scrub} {
			report, err := verify(ctx, CheckOptions{})
			wantCode(t, "a damaged value", err, errno.Csum)
			if report.Findings != 1 || len(report.Found) != 1 {
				t.Fatalf("the report is %+v", report)
			}
			f := report.Found[0]
			if f.Container != kv.cont.name || f.Object != "stadium" || string(f.Low) != "rotten" || string(f.High) != "rotten\x00" ||
				f.Length == 0 || f.Offset%4096 != 0 || f.What == "" {
				t.Errorf("the finding is %+v", f)
			}
		}
		return nil
	}))
}

// TestScrubEnds: a scrub that would take an hour ends with its context.
func TestScrubEnds(t *testing.T) {
	kv := openKV(t)
	must(t, kv.Put(t.Context(), []byte("k"), make([]byte, 1<<20)))
	must(t, kv.cont.pool.Checkpoint(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := kv.cont.pool.Scrub(ctx, CheckOptions{BytesPerSecond: 256})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Minute {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}
