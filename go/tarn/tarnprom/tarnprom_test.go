// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarnprom_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarn-storage/tarn/go/tarn"
	"github.com/tarn-storage/tarn/go/tarn/tarnprom"
)

func openKV(t *testing.T) (*tarn.Pool, *tarn.Container, *tarn.KV) {
	t.Helper()
	ctx := t.Context()
	sys, err := tarn.Open(t.TempDir())
	fatal(t, err)
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 16 << 20})
	fatal(t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	fatal(t, err)
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{})
	fatal(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	fatal(t, err)
	kv, err := cont.OpenKV(ctx, "stadium", true)
	fatal(t, err)
	t.Cleanup(func() {
		kv.Close()
		cont.Close()
		pool.Close()
		fatal(t, sys.Close())
	})
	return pool, cont, kv
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scrape returns the values by name; all are of one pool.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	fatal(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			if len(m.Label) != 2 || m.Label[0].GetValue() != "tank" || len(m.Label[1].GetValue()) != 36 {
				t.Errorf("%s has the labels %v", f.GetName(), m.Label)
			}
			values[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		if strings.HasSuffix(f.GetName(), "_total") != (f.GetType().String() == "COUNTER") {
			t.Errorf("%s is a %s", f.GetName(), f.GetType())
		}
	}
	return values
}

func TestCollector(t *testing.T) {
	pool, cont, kv := openKV(t)
	c := tarnprom.New(pool)
	reg := prometheus.NewPedanticRegistry()
	fatal(t, reg.Register(c))
	before := scrape(t, reg)
	fatal(t, kv.Put(t.Context(), []byte("k"), make([]byte, 1000)))
	_, err := kv.Get(t.Context(), []byte("k"))
	fatal(t, err)
	after := scrape(t, reg)
	for name, want := range map[string]float64{"tarn_calls_total": 3, "tarn_read_bytes_total": 1000, "tarn_written_bytes_total": 1000,
		"tarn_call_errors_total": 0} { // calls: the put, the get, and the scrape before
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s grew by %g, want %g", name, got, want)
		}
	}
	for name, want := range map[string]float64{"tarn_up": 1, "tarn_pool_size_bytes": 16 << 20, "tarn_containers": 1, "tarn_handles": 3,
		"tarn_calls_in_flight": 1, "tarn_read_only": 0} {
		if after[name] != want {
			t.Errorf("%s is %g, want %g", name, after[name], want)
		}
	}
	fatal(t, kv.Close())
	fatal(t, cont.Close())
	fatal(t, pool.Close())
	if closed := scrape(t, reg); len(closed) != 1 || closed["tarn_up"] != 0 {
		t.Errorf("of a closed pool: %v", closed)
	}
	c.Remove(pool)
	if removed := scrape(t, reg); len(removed) != 0 {
		t.Errorf("of a pool that was removed: %v", removed)
	}
}

func ExampleCollector() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.Open(root)
	check(err)
	defer sys.Close()
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 16 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	defer pool.Close()

	reg := prometheus.NewRegistry() // promhttp.HandlerFor(reg, ...) serves it
	check(reg.Register(tarnprom.New(pool)))
	families, err := reg.Gather()
	check(err)
	for _, f := range families {
		if f.GetName() == "tarn_pool_size_bytes" {
			fmt.Println(f.GetName(), f.Metric[0].Label[0].GetValue(), f.Metric[0].GetGauge().GetValue())
		}
	}
	// Output: tarn_pool_size_bytes tank 1.6777216e+07
}

// A Pool is anything that has Metrics, such as one that adds a figure of its own.
func ExamplePool() {
	var p tarnprom.Pool = fixed{Calls: 42}
	m, err := p.Metrics(context.Background())
	fmt.Println(m.Calls, err)
	// Output: 42 <nil>
}

type fixed tarn.Metrics

func (f fixed) Metrics(context.Context) (tarn.Metrics, error) { return tarn.Metrics(f), nil }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
