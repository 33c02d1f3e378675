// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// recordBytes are those of a record of the data set that gives -n its meaning.
const recordBytes = keyLen + 100

// cellLimit is how much longer than asked a cell may take: it opens a store, reads or writes all of it, and closes it.
const cellLimit = 20 * time.Minute

// bench is a run: for each row, for each round, each engine once, in another order each round.
type bench struct {
	o      options
	report *report
	serial uint64
	loaded int // the length of values of the data set that is there; 0: none
	broken map[string]string
}

func runAll(o options) error {
	b := &bench{o: o, report: newReport(o)}
	if !o.json {
		b.report.head(os.Stdout)
	}
	defer b.cleanUp()
	for _, r := range chosenRows(o.rows) {
		l := b.runRow(r)
		b.report.lines = append(b.report.lines, l)
		if !o.json {
			l.print(os.Stdout)
		}
	}
	return b.finish()
}

// place is a directory for an engine. The others in o.dir are not the benchmark's.
func (b *bench) place(what string, e engine) string {
	return filepath.Join(b.o.dir, "bench-go-"+what+"-"+e.name)
}

func (b *bench) cleanUp() {
	for _, e := range b.o.engines {
		os.RemoveAll(b.place("set", e))
	}
	os.Remove(b.o.dir) // if nothing else is in it
}

func (b *bench) finish() error {
	if b.o.plot != "" {
		if err := b.report.plot(b.o.plot); err != nil {
			return err
		}
	}
	if b.o.json {
		if err := b.report.json(os.Stdout); err != nil {
			return err
		}
	} else {
		b.report.ratios(os.Stdout)
	}
	if b.report.failed() {
		return errors.New("some cells have failed")
	}
	return nil
}

func (b *bench) runRow(r row) line {
	if !r.fill && b.loaded != r.valueLen {
		b.loadSets(r)
	}
	l := line{row: r, entries: make([]entry, len(b.o.engines))}
	for i, e := range b.o.engines {
		l.entries[i].engine = e
	}
	for round := range b.o.rounds {
		for i := range l.entries {
			entry := &l.entries[(i+round)%len(l.entries)]
			entry.results = append(entry.results, b.runOne(r, entry.engine))
		}
	}
	return l
}

func (b *bench) records(r row) uint64 {
	return max(1000, min(b.o.records, b.o.records*recordBytes/uint64(keyLen+r.valueLen)))
}

// runOne runs a cell. A fill has an empty directory; the others share the data set of their engine.
func (b *bench) runOne(r row, e engine) result {
	c := b.cellOf(r, e)
	if r.fill {
		c.Dir = b.place("fill", e)
		os.RemoveAll(c.Dir)
		defer os.RemoveAll(c.Dir)
	} else if b.broken[e.name] != "" {
		return result{Error: b.broken[e.name]}
	}
	return start(c)
}

func (b *bench) cellOf(r row, e engine) cell {
	b.serial++
	return cell{Row: r.name, Engine: e.name, Dir: b.place("set", e), Records: b.records(r), Seconds: b.o.seconds, Serial: b.serial}
}

// loadSets makes the data set of a row for each engine, in place of the one before.
func (b *bench) loadSets(r row) {
	b.broken = make(map[string]string)
	b.loaded = r.valueLen
	for _, e := range b.o.engines {
		c := b.cellOf(r, e)
		c.Load = true
		os.RemoveAll(c.Dir)
		if res := start(c); res.Error != "" {
			b.broken[e.name] = "its data set could not be loaded: " + res.Error
		}
	}
}

// start runs a cell in a process of its own.
func start(c cell) result {
	ctx, cancel := context.WithTimeout(context.Background(), cellLimit+time.Duration(c.Seconds*float64(time.Second)))
	defer cancel()
	text, err := json.Marshal(c)
	if err != nil {
		return result{Error: err.Error()}
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-cell", string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var res result
	if err == nil {
		err = json.Unmarshal(out, &res)
	}
	if err != nil {
		return result{Error: fmt.Sprintf("the process of the cell: %v", err)}
	}
	return res
}
