// SPDX-License-Identifier: Apache-2.0

// Command bench-go measures Tarn's Go package beside bbolt, Badger and Pebble. docs/benchmarks.md says what is measured, and how.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// options are the command line.
type options struct {
	records uint64
	seconds float64
	rounds  int
	rows    string
	engines []engine
	dir     string
	json    bool
	plot    string
}

func main() {
	os.Exit(command())
}

func command() int {
	o, child, list, err := parse(os.Args[1:])
	switch {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench-go:", err)
		return 2
	case child != "":
		return runChild(child)
	case list:
		for _, r := range chosenRows(o.rows) {
			fmt.Printf("%-22s %s\n", r.name, r.title)
		}
		return 0
	}
	if err := runAll(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-go:", err)
		return 1
	}
	return 0
}

func parse(args []string) (o options, child string, list bool, err error) {
	f := flag.NewFlagSet("bench-go", flag.ContinueOnError)
	f.Uint64Var(&o.records, "n", 1000000, "records of 100 bytes; the data set of other values has as many bytes")
	f.Float64Var(&o.seconds, "t", 2, "seconds for each cell")
	f.IntVar(&o.rounds, "rounds", 3, "how often each row is run on each engine; medians are shown")
	f.StringVar(&o.rows, "rows", "", "names or patterns, with commas: 'get-*,over-16-durable-100B'; all when not given")
	names := f.String("engines", "tarn,bbolt,badger,pebble", "engines, with commas")
	f.StringVar(&o.dir, "d", "build/bench-go", "where data goes")
	format := f.String("o", "table", "table or json")
	f.StringVar(&o.plot, "p", "", "plot the ratios into this SVG file")
	f.BoolVar(&list, "l", false, "list the rows that -rows chooses")
	f.StringVar(&child, "cell", "", "run one cell, given as JSON (what the program starts itself with)")
	if err = f.Parse(args); err != nil {
		return o, "", false, err
	}
	o.json = *format == "json"
	switch {
	case *format != "table" && *format != "json":
		err = fmt.Errorf("-o is table or json, found %q", *format)
	case f.NArg() > 0:
		err = fmt.Errorf("there is an argument without a flag: %q", f.Arg(0))
	case o.records < 1000 || o.records > 1e9:
		err = fmt.Errorf("-n is from 1000 to 1e9, found %d", o.records)
	case !(o.seconds >= 0.01 && o.seconds <= 1e5):
		err = fmt.Errorf("-t is from 0.01 to 1e5, found %g", o.seconds)
	case o.rounds < 1 || o.rounds > 99:
		err = fmt.Errorf("-rounds is from 1 to 99, found %d", o.rounds)
	case len(chosenRows(o.rows)) == 0:
		err = fmt.Errorf("-rows chooses none: %q; -l lists them", o.rows)
	}
	for _, name := range strings.Split(*names, ",") {
		e, ok := engineNamed(name)
		if !ok && err == nil {
			err = fmt.Errorf("-engines are of tarn, bbolt, badger, pebble, found %q", name)
		}
		o.engines = append(o.engines, e)
	}
	if abs, e := filepath.Abs(o.dir); e == nil {
		o.dir = abs
	}
	return o, child, list, err
}

func chosenRows(patterns string) []row {
	var rows []row
	for _, r := range allRows() {
		if chosen(patterns, r.name) {
			rows = append(rows, r)
		}
	}
	return rows
}

// runChild runs a cell in this process, and prints its result as one line of JSON.
func runChild(text string) int {
	var c cell
	res, err := result{}, json.Unmarshal([]byte(text), &c)
	if err == nil {
		res, err = c.run()
	}
	if err != nil {
		res = result{Error: err.Error()}
	}
	if err = json.NewEncoder(os.Stdout).Encode(res); err != nil {
		return 1
	}
	return 0
}
