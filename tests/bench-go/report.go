// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// report is what was measured: a line for each row, with an entry for each engine.
type report struct {
	options options
	load    string // average, at the start
	lines   []line
}

type line struct {
	row     row
	entries []entry
}

type entry struct {
	engine  engine
	results []result // of the rounds
}

func newReport(o options) *report {
	text, _ := os.ReadFile("/proc/loadavg") // "": not known
	load, _, _ := strings.Cut(string(text), " ")
	return &report{options: o, load: load}
}

// ---- medians and ratios ----

// median is that of each figure. A round that failed is the whole entry's result.
func (e entry) median() result {
	m := e.results[0]
	for _, r := range e.results {
		if r.Error != "" {
			return r
		}
	}
	for _, f := range []func(*result) *float64{
		func(r *result) *float64 { return &r.Rate },
		func(r *result) *float64 { return &r.P50 },
		func(r *result) *float64 { return &r.P99 },
		func(r *result) *float64 { return &r.CPU },
		func(r *result) *float64 { return &r.Allocs },
		func(r *result) *float64 { return &r.AllocBytes },
	} {
		var values []float64
		for i := range e.results {
			values = append(values, *f(&e.results[i]))
		}
		*f(&m) = middle(values)
	}
	m.DiskBytes = e.results[len(e.results)-1].DiskBytes
	return m
}

func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// spread is (largest - smallest) / median of the rates.
func (e entry) spread() float64 {
	var rates []float64
	for _, r := range e.results {
		rates = append(rates, r.Rate)
	}
	if m := middle(rates); m > 0 {
		return (slices.Max(rates) - slices.Min(rates)) / m
	}
	return 0
}

// rates are Tarn's and the best peer's; 0 when there is none.
func (l line) rates() (tarn, peer float64, best string) {
	for _, e := range l.entries {
		m := e.median()
		switch {
		case m.Error != "":
		case !e.engine.peer():
			tarn = m.Rate
		case m.Rate > peer:
			peer, best = m.Rate, e.engine.name
		}
	}
	return tarn, peer, best
}

// ratio is Tarn to the best peer; 0 when one of them is missing.
func (l line) ratio() float64 {
	tarn, peer, _ := l.rates()
	if tarn == 0 || peer == 0 {
		return 0
	}
	return tarn / peer
}

func (r *report) failed() bool {
	for _, l := range r.lines {
		for _, e := range l.entries {
			if e.median().Error != "" {
				return true
			}
		}
	}
	return false
}

// ---- the table ----

func (r *report) head(w io.Writer) {
	for _, e := range r.options.engines {
		fmt.Fprintf(w, "%s: %s\n", e.name, e.version())
	}
	fmt.Fprintf(w, "\n%s, %d processors. A second: records, or scans. Latencies in us, of a call. CPU in us, allocations and allocated bytes of\n"+
		"a record or scan, of the whole process. Disk in MiB. Medians; spread is (largest - smallest) / median of the rates.\n"+
		"Load average at the start: %s.\n\n", runtime.Version(), runtime.NumCPU(), r.load)
	fmt.Fprintf(w, "  %-8s %9s %6s %9s %9s %8s %8s %9s %8s %8s\n", "", "a second", "spread", "p50", "p99", "CPU", "allocs", "bytes", "disk", "ratio")
}

func (l line) print(w io.Writer) {
	fmt.Fprintln(w, l.row.title)
	for _, e := range l.entries {
		m := e.median()
		if m.Error != "" {
			fmt.Fprintf(w, "  %-8s FAILED: %s\n", e.engine.name, m.Error)
			continue
		}
		fmt.Fprintf(w, "  %-8s %9s %5.0f%% %9.1f %9.1f %8.2f %8.1f %9.0f %8.0f", e.engine.name, number(m.Rate), e.spread()*100, m.P50, m.P99,
			m.CPU, m.Allocs, m.AllocBytes, float64(m.DiskBytes)/(1<<20))
		if ratio := l.ratio(); ratio > 0 && !e.engine.peer() {
			fmt.Fprintf(w, " %7.2fx  (target %.1fx)", ratio, l.row.target)
		}
		fmt.Fprintln(w)
	}
}

func number(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.2f M", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.0f k", x/1e3)
	case x >= 1e3:
		return fmt.Sprintf("%.1f k", x/1e3)
	}
	return fmt.Sprintf("%.0f", x)
}

func (r *report) ratios(w io.Writer) {
	fmt.Fprintf(w, "\n%-36s %8s %8s %-5s %s\n", "Tarn to the best peer", "ratio", "target", "met", "best peer")
	for _, l := range r.lines {
		_, _, best := l.rates()
		ratio, met := l.ratio(), "no"
		if ratio == 0 {
			fmt.Fprintf(w, "%-36s %8s\n", l.row.title, "-")
			continue
		}
		if ratio >= l.row.target {
			met = "yes"
		}
		fmt.Fprintf(w, "%-36s %7.2fx %7.1fx %-5s %s\n", l.row.title, ratio, l.row.target, met, best)
	}
}

// ---- JSON ----

type jsonReport struct {
	Machine  jsonMachine       `json:"machine"`
	Versions map[string]string `json:"versions"`
	Rows     []jsonRow         `json:"rows"`
}

type jsonMachine struct {
	CPUs  int    `json:"cpus"`
	Go    string `json:"go"`
	Load  string `json:"load_average_at_start"`
	Where string `json:"directory"`
}

type jsonRow struct {
	Row      string      `json:"row"`
	Title    string      `json:"title"`
	Workers  int         `json:"goroutines"`
	ValueLen int         `json:"value_bytes"`
	Durable  bool        `json:"durable"`
	Target   float64     `json:"target"`
	Ratio    *float64    `json:"ratio"` // null: there is none
	Engines  []jsonEntry `json:"engines"`
}

type jsonEntry struct {
	Engine string `json:"engine"`
	result
	Rates  []float64 `json:"rates"`
	Spread float64   `json:"spread"`
}

func (r *report) json(w io.Writer) error {
	out := jsonReport{
		Machine:  jsonMachine{CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: r.load, Where: r.options.dir},
		Versions: map[string]string{},
		Rows:     []jsonRow{},
	}
	for _, e := range r.options.engines {
		out.Versions[e.name] = e.version()
	}
	for _, l := range r.lines {
		out.Rows = append(out.Rows, l.json())
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(out)
}

func (l line) json() jsonRow {
	j := jsonRow{Row: l.row.name, Title: l.row.title, Workers: l.row.workers, ValueLen: l.row.valueLen, Durable: l.row.durable,
		Target: l.row.target}
	if ratio := l.ratio(); ratio > 0 {
		j.Ratio = &ratio
	}
	for _, e := range l.entries {
		entry := jsonEntry{Engine: e.engine.name, result: e.median(), Spread: e.spread()}
		for _, res := range e.results {
			entry.Rates = append(entry.Rates, res.Rate)
		}
		j.Engines = append(j.Engines, entry)
	}
	return j
}
