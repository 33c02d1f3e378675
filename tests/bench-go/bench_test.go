// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRows runs each row on each engine for a moment, on a small data set. A cell compares what it reads with what was put.
func TestRows(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dir, loaded := t.TempDir(), 0
			for i, r := range allRows() {
				c := cell{Row: r.name, Engine: e.name, Records: 3000, Seconds: 0.05, Serial: uint64(i + 1), Dir: filepath.Join(dir, r.name)}
				if !r.fill {
					c.Dir = filepath.Join(dir, "set")
				}
				if !r.fill && loaded != r.valueLen {
					loaded = r.valueLen
					load := c
					load.Load = true
					if err := os.RemoveAll(c.Dir); err != nil {
						t.Fatal(err)
					}
					if _, err := load.run(); err != nil {
						t.Fatalf("load: %v", err)
					}
				}
				res, err := c.run()
				if err != nil {
					t.Errorf("%s: %v", r.name, err)
				} else if res.Rate <= 0 || res.P99 < res.P50 || res.DiskBytes <= 0 || res.CPU < 0 {
					t.Errorf("%s: %+v", r.name, res)
				}
			}
		})
	}
}

// TestStores: what a store answers, before and after it is opened again.
func TestStores(t *testing.T) {
	for _, e := range engines {
		for _, relaxed := range []bool{false, true} {
			o := setup{Dir: t.TempDir(), Records: 1000, ValueLen: 100, Workers: 1, Relaxed: relaxed}
			s := mustOpen(t, e, o)
			if err := loadAll(s, o.Records, o.ValueLen); err != nil {
				t.Fatal(e.name, err)
			}
			var k key
			insertedKey(&k, 7, o.Records)
			val := bytes.Repeat([]byte("x"), o.ValueLen)
			if _, err := s.get(&k, val); !errors.Is(err, errAbsent) {
				t.Errorf("%s: get of what is not there: %v", e.name, err)
			}
			if err := s.put(&k, val); err != nil {
				t.Errorf("%s: put: %v", e.name, err)
			}
			if err := s.close(); err != nil {
				t.Errorf("%s: close: %v", e.name, err)
			}
			s = mustOpen(t, e, o)
			got := make([]byte, o.ValueLen)
			if n, err := s.get(&k, got); err != nil || !bytes.Equal(got[:n], val) {
				t.Errorf("%s: get after it was opened again: %q, %v", e.name, got[:n], err)
			}
			checkOrder(t, e.name, s, o.Records)
			if err := s.close(); err != nil {
				t.Errorf("%s: close: %v", e.name, err)
			}
		}
	}
}

func mustOpen(t *testing.T, e engine, o setup) store {
	t.Helper()
	s, err := e.open(o)
	if err != nil {
		t.Fatal(e.name, err)
	}
	return s
}

func checkOrder(t *testing.T, name string, s store, records uint64) {
	t.Helper()
	var first key
	last, n := []byte(nil), uint64(0)
	seen, err := s.scan(&first, int(records)+10, func(k, _ []byte) {
		if bytes.Compare(last, k) >= 0 {
			t.Errorf("%s: %x comes after %x", name, k, last)
		}
		last = append(last[:0], k...)
		n++
	})
	if err != nil || n != records+1 || uint64(seen) != n {
		t.Errorf("%s: a scan of all saw %d, visited %d of %d, %v", name, seen, n, records+1, err)
	}
}

// TestWrongValue: a cell finds out when a store answers with another record's value.
func TestWrongValue(t *testing.T) {
	r, _ := rowNamed("get-1-100B")
	w := newWorker(newStage(cell{Row: r.name, Records: 1000}, r, liar{}), 0)
	if done, err := w.step(); done || err == nil || !strings.Contains(err.Error(), "another record") {
		t.Errorf("step = %v, %v", done, err)
	}
}

type liar struct{ store }

func (liar) get(_ *key, buf []byte) (int, error) { return len(buf), nil }

func TestKeys(t *testing.T) {
	const n = 10007
	var last, k, other key
	hit := make([]bool, n)
	for i := range uint64(n) {
		recordKey(&k, i, n)
		insertedKey(&other, i, n)
		if bytes.Compare(last[:], k[:]) >= 0 || k == other {
			t.Fatalf("key %d is %x after %x", i, k, last)
		}
		last = k
		if at := shuffled(i, n); hit[at] {
			t.Fatalf("%d is drawn twice", at)
		} else {
			hit[at] = true
		}
	}
}

// TestZipf: the most popular of 10,000 records is drawn with probability 1/zeta.
func TestZipf(t *testing.T) {
	z, d, first := newZipf(10000), dice(1), 0
	const draws = 200000
	for range draws {
		rank := z.rank(&d)
		if rank >= z.n {
			t.Fatalf("rank %d of %d", rank, z.n)
		}
		if rank == 0 {
			first++
		}
	}
	if got, want := float64(first)/draws, 1/zetaOf(10000); math.Abs(got-want) > want/20 {
		t.Errorf("the first was drawn in %g of all draws, want %g", got, want)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for part, want := range map[float64]float64{0.5: 500, 0.99: 990} {
		if got := h.quantile(part); math.Abs(got-want) > want/50 {
			t.Errorf("quantile %g = %g, want %g", part, got, want)
		}
	}
}

// made is a report of one row in which Tarn is twice as fast as the best peer, and one in which a peer failed.
func made() *report {
	r := newReport(options{engines: engines})
	rates := map[string]float64{"tarn": 4000, "bbolt": 1000, "badger": 1500, "pebble": 2000}
	row, _ := rowNamed("ycsb-a-1-100B")
	for _, broken := range []string{"", "pebble"} {
		l := line{row: row}
		for _, e := range engines {
			res := []result{{Rate: rates[e.name] / 2}, {Rate: rates[e.name]}, {Rate: rates[e.name] * 3}}
			if e.name == broken {
				res[1] = result{Error: "it broke"}
			}
			l.entries = append(l.entries, entry{e, res})
		}
		r.lines = append(r.lines, l)
	}
	return r
}

func TestReport(t *testing.T) {
	r := made()
	if got := r.lines[0].ratio(); got != 2 {
		t.Errorf("ratio = %g, want 2", got)
	}
	if _, peer, best := r.lines[1].rates(); peer != 1500 || best != "badger" || !r.failed() {
		t.Errorf("the best peer is %s with %g, failed %v", best, peer, r.failed())
	}
	var table, out bytes.Buffer
	r.head(&table)
	for _, l := range r.lines {
		l.print(&table)
	}
	r.ratios(&table)
	for _, want := range []string{"pebble: 2.", "2.00x", "target 2.0x", "FAILED: it broke", "yes", "2.67x"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, table.String())
		}
	}
	if err := r.json(&out); err != nil {
		t.Fatal(err)
	}
	var back jsonReport
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back.Rows) != 2 || *back.Rows[0].Ratio != 2 ||
		len(back.Rows[0].Engines[0].Rates) != 3 {
		t.Errorf("%v, %s", err, out.String())
	}
}

func TestPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plot.svg")
	if err := made().plot(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	elements := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 20 {
		t.Errorf("%d elements", elements)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"-n", "1"}, {"-t", "NaN"}, {"-rounds", "0"}, {"-rows", "nothing"}, {"-engines", "etcd"}, {"x"}} {
		if _, _, _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	if o, _, _, err := parse([]string{"-rows", "get-*,over-16-durable-100B", "-engines", "tarn,pebble"}); err != nil ||
		len(chosenRows(o.rows)) != 5 || len(o.engines) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}
