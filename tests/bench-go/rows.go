// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"strings"
)

// mix is what a row does, in percent. What is left are gets.
type mix struct{ update, insert, scan, modify uint64 }

type spread int

const (
	uniform spread = iota
	zipfian        // over all records; the popular ones are anywhere
	latest         // what was inserted last is the most popular
)

// row is a workload on a data set.
type row struct {
	name, title string
	fill        bool // puts the records one by one, in random order, into an empty store
	mix         mix
	scanMost    uint64 // records of a scan: exactly so many, or, with inserts, from 1 to so many
	spread      spread
	workers     int
	valueLen    int
	durable     bool
	target      float64 // least ratio of Tarn to the best peer
}

// works are the workloads; those that only read come first, and what writes has two rows: relaxed and durable.
var works = []struct {
	name, title string
	row         row
}{
	{"fill", "fill random", row{fill: true}},
	{"get", "read random", row{}},
	{"scan", "scan of 100", row{mix: mix{scan: 100}, scanMost: 100}},
	{"ycsb-c", "YCSB C", row{spread: zipfian}},
	{"over", "overwrite", row{mix: mix{update: 100}}},
	{"ycsb-a", "YCSB A", row{mix: mix{update: 50}, spread: zipfian}},
	{"ycsb-b", "YCSB B", row{mix: mix{update: 5}, spread: zipfian}},
	{"ycsb-f", "YCSB F", row{mix: mix{modify: 50}, spread: zipfian}},
	{"ycsb-d", "YCSB D", row{mix: mix{insert: 5}, spread: latest}},
	{"ycsb-e", "YCSB E", row{mix: mix{insert: 5, scan: 95}, scanMost: 100, spread: zipfian}},
}

var (
	valueLens    = []int{100, 1024}
	workerCounts = []int{1, 16}
)

func (r row) writes() bool { return r.fill || r.mix.update+r.mix.insert+r.mix.modify > 0 }

// allRows stand together by data set, which is loaded once for all of them.
func allRows() []row {
	var rows []row
	for _, length := range valueLens {
		for _, w := range works {
			for _, workers := range workerCounts {
				r := w.row
				r.name, r.title = w.name, w.title
				r.workers, r.valueLen = workers, length
				rows = append(rows, named(r))
				if r.writes() {
					r.durable = true
					rows = append(rows, named(r))
				}
			}
		}
	}
	return rows
}

// named completes a row: "over-16-durable-1024B".
func named(r row) row {
	r.target = 1
	if r.name == "ycsb-a" || r.durable && r.workers == 16 && (r.fill || r.mix.update == 100) {
		r.target = 2
	}
	how := ""
	if r.durable {
		how = "-durable"
	}
	r.name = fmt.Sprintf("%s-%d%s-%dB", r.name, r.workers, how, r.valueLen)
	r.title = fmt.Sprintf("%s%s, %d B, %d at once", r.title, strings.Replace(how, "-", ", ", 1), r.valueLen, r.workers)
	return r
}

func rowNamed(name string) (row, bool) {
	for _, r := range allRows() {
		if r.name == name {
			return r, true
		}
	}
	return row{}, false
}

// chosen reports whether a name is one of the comma-separated patterns. "" is all of them.
func chosen(patterns, name string) bool {
	for p := range strings.SplitSeq(patterns, ",") {
		if ok, _ := path.Match(p, name); ok || patterns == "" {
			return true
		}
	}
	return false
}
