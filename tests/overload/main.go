// SPDX-License-Identifier: Apache-2.0

// Program overload measures what a gateway does when more is asked of it than it can carry, and while it is attacked.
//
// The gateway is a real one, in a process of its own, and so are those who call it, on processors that it does not use, so that what they take
// is not taken from it. Beside a polite client attackers are quiet, attack another gateway, and attack the client's, in turns: what they take of the
// machine is told from what goes through the gateway. Attackers, and that other gateway, run only while nobody else wants the processor. Calls are due at
// random times that do not depend on answers. What the gateway refuses is timed by its own clock as well.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tarn-storage/tarn/tests/attack"
)

// options are the flags.
type options struct {
	program   string
	dir       string
	seed      uint64
	rounds    int
	window    time.Duration
	turn      time.Duration
	conns     int
	polite    float64
	attackers int
	parts     string
	attacks   string
	shared    bool
	vary      bool
	put       bool
	json      bool
	times     []float64
	gateway   []string // what is behind the flags
}

// Report is what a run has measured.
type Report struct {
	Seed    uint64   `json:"seed"`
	Load    string   `json:"load_average"` // at the start
	LoadEnd string   `json:"load_average_end"`
	CPUs    int      `json:"processors"`
	Places  []string `json:"places"`
	Rounds  int      `json:"rounds"`
	Window  float64  `json:"window_seconds"`
	IdleMiB float64  `json:"memory_idle_mib"` // before anything
	Steps   []Step   `json:"goodput,omitempty"`
	Attacks []Beside `json:"attacks,omitempty"`
}

// run is a run under way.
type run struct {
	o       options
	at      places
	gateway *gateway
	random  *rand.Rand
	notes   io.Writer
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.notes, format+"\n", args...) }

func (r *run) seed() uint64 { return r.random.Uint64() }

func main() {
	var err error
	switch what := append(os.Args, "")[1]; what {
	case "load":
		err = obey(Load.offer)
	case "strike":
		err = obey(Strike.strike)
	default:
		err = measure(os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

// obey does what the standard input says, and says what came of it.
func obey[In, Out any](do func(In) (Out, error)) error {
	var in In
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	out, err := do(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("overload", flag.ContinueOnError)
	f.StringVar(&o.program, "gateway", "build/bin/tarn-gateway", "the program")
	f.StringVar(&o.dir, "dir", "", "where the pool is made (default: the system's directory for temporary files)")
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the times at which calls are due")
	f.IntVar(&o.rounds, "rounds", 3, "of each figure")
	f.DurationVar(&o.window, "window", time.Second, "how long each is measured in a round")
	f.DurationVar(&o.turn, "turn", time.Second, "how long nobody is attacked, then another gateway, then that of the polite client...: as often as fits in all windows, and 8 times at least")
	f.IntVar(&o.conns, "conns", 64, "connections of a load")
	f.Float64Var(&o.polite, "polite", 1000, "calls a second of the polite client")
	f.IntVar(&o.attackers, "attackers", 6, "at once")
	f.StringVar(&o.parts, "parts", "get,put,attacks,handshakes", "what is measured")
	f.StringVar(&o.attacks, "attacks", "", "only attacks whose names begin so, separated by commas")
	f.BoolVar(&o.shared, "shared", false, "let the gateway use all processors")
	f.BoolVar(&o.vary, "deadlines", true, "each call of a load has a deadline of its own, as those of gRPC's libraries do")
	f.BoolVar(&o.put, "polite-puts", false, "the polite client puts, and does not get")
	f.BoolVar(&o.json, "json", false, "print JSON")
	times := f.String("times", "1,2,5,10", "what is offered, in times of what the gateway carries")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: overload [FLAGS] [FLAGS OF tarn-gateway behind --]")
		f.PrintDefaults()
	}
	err = f.Parse(args)
	o.gateway = f.Args()
	for _, text := range strings.Split(*times, ",") {
		x, bad := strconv.ParseFloat(text, 64)
		if err == nil && (bad != nil || x <= 0) {
			err = fmt.Errorf("-times: %q is not a number above 0", text)
		}
		o.times = append(o.times, x)
	}
	if err == nil && (o.rounds < 1 || o.window <= 0 || o.turn <= 0 || o.conns < 1 || o.polite <= 0 || o.attackers < 1) {
		err = errors.New("what is counted is at least 1")
	}
	return o, err
}

func measure(args []string, out, notes io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	runtime.LockOSThread() // children die with the thread that started them
	defer runtime.UnlockOSThread()
	r := &run{o: o, at: placesOf(o.shared), random: rand.New(rand.NewPCG(o.seed, 0)), notes: notes}
	report := Report{Seed: o.seed, Load: loadAverage(), CPUs: runtime.NumCPU(), Rounds: o.rounds, Window: o.window.Seconds(),
		Places: []string{"gateway: " + r.at.gateway.String(), "loads and the polite client: " + r.at.client.String(), "attackers: " + r.at.attacker.String(),
			"the other gateway: " + r.at.other.String()}}
	if r.gateway, err = startGateway(ctx, o.program, o.dir, r.at.gateway, o.gateway...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.gateway.stop()) }()
	if err = r.all(ctx, &report); err != nil {
		return err
	}
	report.LoadEnd = loadAverage()
	if o.json {
		return json.NewEncoder(out).Encode(report)
	}
	return report.write(out)
}

// all measures every part that is asked for.
func (r *run) all(ctx context.Context, report *Report) (err error) {
	if report.IdleMiB, _, err = memoryOf(r.gateway.pid()); err != nil {
		return err
	}
	parts := strings.Split(r.o.parts, ",")
	for _, part := range []string{"get", "put"} {
		if !slices.Contains(parts, part) {
			continue
		}
		steps, err := r.goodput(part == "put")
		if err != nil {
			return err
		}
		report.Steps = append(report.Steps, steps...)
	}
	if slices.Contains(parts, "attacks") {
		other, err := startGateway(ctx, r.o.program, r.o.dir, r.at.other, r.o.gateway...)
		if err != nil {
			return err
		}
		err = r.attacks(ctx, report, attack.All, r.gateway, other, r.gateway.addr)
		if err = errors.Join(err, other.stop()); err != nil {
			return err
		}
	}
	if slices.Contains(parts, "handshakes") {
		return r.handshakes(ctx, report)
	}
	return nil
}

// attacks measures those that are asked for, beside a client that calls at that address.
func (r *run) attacks(ctx context.Context, report *Report, all []attack.Attack, g, other *gateway, polite string) error {
	for _, k := range all {
		if !r.asked(k.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := r.beside(k.Name, g, other, polite)
		if err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
		report.Attacks = append(report.Attacks, b)
	}
	return nil
}

// handshakes measures attacks on a gateway that has TLS. The polite client has shaken hands already: it is on the Unix socket.
func (r *run) handshakes(ctx context.Context, report *Report) (err error) {
	if !slices.ContainsFunc(attack.Handshakes, func(k attack.Attack) bool { return r.asked(k.Name) }) {
		return nil
	}
	dir, err := os.MkdirTemp(r.o.dir, "tarn-overload-tls-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cert, key, err := certificate(dir)
	if err != nil {
		return err
	}
	var both [2]*gateway
	for i, at := range []place{r.at.gateway, r.at.other} {
		g, err := startGateway(ctx, r.o.program, r.o.dir, at, slices.Concat(r.o.gateway, []string{"--tls-cert", cert, "--tls-key", key})...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, g.stop()) }()
		both[i] = g
	}
	return r.attacks(ctx, report, attack.Handshakes, both[0], both[1], both[0].unix)
}

func (r *run) asked(name string) bool {
	return slices.ContainsFunc(strings.Split(r.o.attacks, ","), func(begin string) bool { return strings.HasPrefix(name, begin) })
}
