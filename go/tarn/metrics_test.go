// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

func metrics(t *testing.T, p *Pool) Metrics {
	t.Helper()
	m, err := p.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// grown is what has been counted between two moments; each Metrics is a call itself.
func grown(before, after Metrics) Metrics {
	return Metrics{
		Calls:        after.Calls - before.Calls - 1,
		Errors:       after.Errors - before.Errors,
		Waited:       after.Waited - before.Waited,
		BytesRead:    after.BytesRead - before.BytesRead,
		BytesWritten: after.BytesWritten - before.BytesWritten,
	}
}

func TestMetricsCount(t *testing.T) {
	kv := openKV(t)
	ctx, pool := t.Context(), kv.cont.pool
	val := make([]byte, 6000)
	for _, step := range []struct {
		name string
		do   func() error
		want Metrics
	}{
		{"put", func() error { return kv.Put(ctx, []byte("a"), val) }, Metrics{Calls: 1, BytesWritten: 6000}},
		{"get", func() error { _, err := kv.Get(ctx, []byte("a")); return err }, Metrics{Calls: 1, BytesRead: 6000}},
		{"get into", func() error { _, err := kv.GetInto(ctx, []byte("a"), val); return err }, Metrics{Calls: 1, BytesRead: 6000}},
		{"apply", func() error {
			return kv.Apply(ctx, []Mutation{{Key: []byte("b"), Value: val[:10]}, {Key: []byte("c"), Value: val[:20]}})
		}, Metrics{Calls: 1, BytesWritten: 30}},
		{"get many", func() error { _, err := kv.GetMany(ctx, [][]byte{[]byte("b"), []byte("c"), []byte("d")}); return err },
			Metrics{Calls: 1, BytesRead: 30}},
		{"list", func() error {
			for _, err := range kv.List(ctx, Range{Start: []byte("b")}) {
				must(t, err)
			}
			return nil
		}, Metrics{Calls: 1, BytesRead: 30}},
		{"absent", func() error { _, err := kv.Stat(ctx, []byte("z")); return ignore(err, errno.NonExist) }, Metrics{Calls: 1}},
		{"condition", func() error { return ignore(kv.Put(ctx, []byte("a"), nil, CondInsert), errno.Exist) }, Metrics{Calls: 1}},
		{"failed", func() error { return ignore(kv.Put(ctx, nil, val[:1]), errno.Inval) }, Metrics{Calls: 1, Errors: 1, BytesWritten: 1}},
	} {
		before := metrics(t, pool)
		must(t, step.do())
		got := grown(before, metrics(t, pool))
		got.Waited = 0 // it is as the device is
		if got != step.want {
			t.Errorf("%s counted %+v, want %+v", step.name, got, step.want)
		}
	}
}

func ignore(err error, code errno.Code) error {
	if errno.CodeOf(err) == code {
		return nil
	}
	return err
}

// TestMetricsAreOfThePool: what is done in one pool is not counted in another, nor through another handle.
func TestMetricsAreOfThePool(t *testing.T) {
	kv := openKV(t)
	other, err := kv.cont.pool.sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	must(t, kv.Put(t.Context(), []byte("k"), nil))
	if m := metrics(t, other); m.Calls != 1 || m.Handles != 1 || m.InFlight != 1 {
		t.Errorf("the other handle counts %+v", m)
	}
	m := metrics(t, kv.cont.pool)
	if m.Handles != 3 || m.Label != "tank" || m.TotalBytes != testPool {
		t.Errorf("the handle counts %+v", m)
	}
}

// TestMetricsWhileBusy: counters are exact after many calls at once, and calls in flight are seen while they run.
func TestMetricsWhileBusy(t *testing.T) {
	kv := openKV(t)
	pool := kv.cont.pool
	before := metrics(t, pool)
	const workers, each = 64, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				must(t, kv.Put(context.Background(), fmt.Append(nil, w, i), []byte("value")))
			}
		})
	}
	most := uint64(0)
	for done := uint64(0); done < workers*each; {
		m := metrics(t, pool)
		before.Calls++
		done, most = m.Calls-before.Calls, max(most, m.InFlight)
	}
	wg.Wait()
	after := metrics(t, pool)
	if got := grown(before, after); got.BytesWritten != workers*each*5 || got.Calls != workers*each || got.Waited == 0 {
		t.Errorf("%d puts counted %+v", workers*each, got)
	}
	if most < 2 || after.InFlight != 1 {
		t.Errorf("in flight: at most %d, %d at the end", most, after.InFlight)
	}
}

// TestListCrossings: a listing crosses into C once for each batch of at least 64 entries.
func TestListCrossings(t *testing.T) {
	kv := openKV(t)
	var batch []Mutation
	for i := range 5000 {
		batch = append(batch, Mutation{Key: fmt.Appendf(nil, "%05d", i), Value: []byte("v")})
	}
	must(t, kv.Apply(t.Context(), batch))
	for _, r := range []Range{{}, {Limit: 64}, {Limit: 100}, {Limit: 1024}, {Limit: 3000}, {Reverse: true}, {KeysOnly: true}} {
		before := metrics(t, kv.cont.pool)
		n := uint64(0)
		for _, err := range kv.List(t.Context(), r) {
			must(t, err)
			n++
		}
		calls := grown(before, metrics(t, kv.cont.pool)).Calls
		if most := (n + 63) / 64; calls > most || r.Limit > 0 && r.Limit <= limitBatch && calls != 1 {
			t.Errorf("%d entries of %+v took %d calls", n, r, calls)
		}
	}
}

// TestScan: a scan yields what a listing yields, through many batches, forwards, backwards, and when the loop is left early.
func TestScan(t *testing.T) {
	kv := openKV(t)
	var batch []Mutation
	for i := range 3000 {
		batch = append(batch, Mutation{Key: fmt.Appendf(nil, "%05d", i), Value: make([]byte, i%300)})
	}
	batch = append(batch, Mutation{Key: []byte("01500+"), Value: make([]byte, 100000)}) // is left out of listings
	must(t, kv.Apply(t.Context(), batch))
	for _, r := range []Range{{}, {Reverse: true}, {KeysOnly: true}, {Limit: 2000}, {Start: []byte("01"), End: []byte("02")}} {
		next, stop := iter.Pull2(kv.Scan(t.Context(), r))
		for want, err := range kv.List(t.Context(), r) {
			must(t, err)
			got, err, ok := next()
			if !ok || err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v: scanned %+v, %v, %v; listed %+v", r, got, err, ok, want)
			}
		}
		if e, _, ok := next(); ok {
			t.Errorf("%+v: scanned %q, and the listing had ended", r, e.Key)
		}
		stop()
	}
	for range kv.Scan(t.Context(), Range{}) {
		break
	}
}

// TestAllocations: what the docs of the calls promise of garbage.
func TestAllocations(t *testing.T) {
	kv := openKV(t)
	ctx, key, val := context.Background(), []byte("key"), make([]byte, 100)
	large, keys := make([]byte, 20000), make([][]byte, 32)
	must(t, kv.Put(ctx, key, val))
	must(t, kv.Put(ctx, []byte("large"), large))
	for i := range keys {
		keys[i] = key
	}
	batch := []Mutation{{Key: key, Value: val}, {Key: []byte("other"), Value: val}}
	for _, call := range []struct {
		name string
		most float64
		do   func() error
	}{
		{"GetInto", 0, func() error { _, err := kv.GetInto(ctx, key, val); return err }},
		{"GetInto of 20,000 bytes", 0, func() error { _, err := kv.GetInto(ctx, []byte("large"), large); return err }},
		{"Get", 1, func() error { _, err := kv.Get(ctx, key); return err }},
		{"Put", 0, func() error { return kv.Put(ctx, key, val) }},
		{"Scan", 0, func() error {
			for _, err := range kv.Scan(ctx, Range{Limit: 100}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"Exists", 0, func() error { _, err := kv.Exists(ctx, key); return err }},
		{"GetMany of 32", 2, func() error { _, err := kv.GetMany(ctx, keys); return err }},
		{"Apply", 1, func() error { return kv.Apply(ctx, batch) }},
	} {
		got := testing.AllocsPerRun(200, func() { must(t, call.do()) })
		if got > call.most {
			t.Errorf("%s allocates %g times, want %g at most", call.name, got, call.most)
		}
	}
}

// TestLeakSaysWhere: a logger that takes DEBUG is told where a handle that was not closed was opened; Leaked counts it.
func TestLeakSaysWhere(t *testing.T) {
	log := &debugLog{}
	runtime.GC()
	before := Leaked()
	sys := open(t, Options{Logger: slog.New(log)})
	_, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: 16 << 20})
	must(t, err)
	leakPool(t, sys)
	want := "metrics_test.go:"
	for deadline := time.Now().Add(10 * time.Second); Leaked() == before && time.Now().Before(deadline); {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	text := strings.Join(log.all(), "\n")
	if Leaked() != before+1 || !strings.Contains(text, want) || !strings.Contains(text, "kind=pool") {
		t.Errorf("%d leaks, and no %q in:\n%s", Leaked()-before, want, text)
	}
	for deadline := time.Now().Add(10 * time.Second); sys.h.children.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the pool is closed by a goroutine of its own
	}
}

//go:noinline
func leakPool(t *testing.T, sys *System) {
	leaksMeant.Add(1)
	_, err := sys.OpenPool(t.Context(), "tank")
	must(t, err)
}

type debugLog struct{ memLog }

func (*debugLog) Enabled(context.Context, slog.Level) bool { return true }
