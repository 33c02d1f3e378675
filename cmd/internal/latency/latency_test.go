// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		d     time.Duration
		class int
	}{{0, 0}, {10 * time.Microsecond, 0}, {10*time.Microsecond + 1, 1}, {time.Millisecond, 6}, {50 * time.Second, 20}, {time.Hour, 21}} {
		var h Histogram
		h.Add(c.d)
		if got := h.Counts(); got[c.class] != 1 || got.Total() != 1 {
			t.Errorf("%v: %v, want it in class %d", c.d, got, c.class)
		}
	}
	if s := Seconds(); len(s) != Classes-1 || !slices.IsSorted(s) || s[0] != 1e-5 || s[20] != 50 {
		t.Errorf("the bounds are %v", s)
	}
}

// TestQuantile: a quantile lies in the class of the value that has this rank when all are sorted.
func TestQuantile(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var h Histogram
	var all []time.Duration
	for range 5000 {
		d := time.Duration(random.ExpFloat64() * float64(3*time.Millisecond))
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		want, got := all[int(q*5000+0.5)-1], h.Counts().Quantile(q)
		if classOf(want) != classOf(got) {
			t.Errorf("quantile %v is %v; the value of that rank is %v", q, got, want)
		}
	}
}

func classOf(d time.Duration) int {
	var h Histogram
	h.Add(d)
	counts := h.Counts()
	return slices.Index(counts[:], 1)
}

func TestEnds(t *testing.T) {
	var h Histogram
	if q := h.Counts().Quantile(0.5); q != 0 {
		t.Errorf("of nothing: %v", q)
	}
	h.Add(time.Hour)
	if q := h.Counts().Quantile(0.5); q != 50*time.Second {
		t.Errorf("of an hour: %v", q)
	}
	first := h.Counts()
	h.Add(time.Second)
	if since := h.Counts().Since(first); since.Total() != 1 || since.Plus(first) != h.Counts() {
		t.Errorf("since then: %v", since)
	}
	var anew Histogram
	anew.Add(time.Second)
	if since := anew.Counts().Since(h.Counts()); since.Total() != 1 {
		t.Errorf("of a server that began anew: %v", since)
	}
}
