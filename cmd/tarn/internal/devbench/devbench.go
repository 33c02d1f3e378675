// SPDX-License-Identifier: Apache-2.0

// Package devbench measures a device: `tarn dev bench`.
//
// A job is a thread with a queue of its own, buffers that are registered with it, and as many I/Os in flight as it is deep: what has
// completed is submitted again, to another place, in the call that reaps the next: a device.Load. No I/O allocates. With Goroutines each I/O in flight
// is a goroutine instead, in ReadAt or WriteAt of one device, which is what a Go program would do.
package devbench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn/device"
)

// Config says what to measure. Its fields are named as the flags of `tarn dev bench`, and fio's.
type Config struct {
	Device     string        // a URI or a path
	RW         string        // "randread", "randwrite", "read", "write", "randrw" (half of each); "nop" measures the library
	BS         uint64        // bytes of an I/O
	Depth      int           // I/Os in flight of each job
	Jobs       int           // threads
	Runtime    time.Duration //
	Size       uint64        // of the device's first bytes; 0: all of it
	Buffered   bool          // through the page cache
	Backend    string        // "io_uring", "threads"; "": the best
	IOPoll     bool          // completions are polled for
	SQPoll     bool          // a kernel thread submits
	Goroutines bool          // each I/O in flight is a goroutine
	Seed       uint64        // of the places
}

// Latency is in nanoseconds, from submit to reap.
type Latency struct {
	P50  uint64 `json:"p50"`
	P90  uint64 `json:"p90"`
	P99  uint64 `json:"p99"`
	P999 uint64 `json:"p99_9"`
	Max  uint64 `json:"max"`
}

// Result is what was measured.
type Result struct {
	Device      string  `json:"device"`
	Backend     string  `json:"backend"`
	Direct      bool    `json:"direct"`
	Note        string  `json:"note"` // what was not to be had
	RW          string  `json:"rw"`
	BS          uint64  `json:"bs"`
	Depth       int     `json:"depth"`
	Jobs        int     `json:"jobs"`
	Goroutines  bool    `json:"goroutines"`
	Seconds     float64 `json:"seconds"`
	IOs         uint64  `json:"ios"`
	IOPS        float64 `json:"iops"`
	Bandwidth   float64 `json:"bandwidth"` // bytes/s
	Latency     Latency `json:"latency_ns"`
	CPUNsPerIO  float64 `json:"cpu_ns_per_io"` // user and system, of the process
	UserNsPerIO float64 `json:"user_ns_per_io"`
	Threads     int     `json:"threads"` // of the process, at the end
	Errors      uint64  `json:"errors"`
	Error       string  `json:"error,omitempty"` // the first of them
}

// Run measures for Config.Runtime, or until ctx ends. Modes that write overwrite the device, which is held meanwhile. Errors that single
// I/Os have are counted; a job that has had 1000 ends.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.check(); err != nil {
		return Result{}, err
	}
	dev, err := device.Open(c.Device, c.options()...)
	if err != nil {
		return Result{}, err
	}
	defer dev.Close()
	info := dev.Info()
	if err := c.fit(info); err != nil {
		return Result{}, err
	}
	r := &run{config: c, dev: dev, start: make(chan struct{}), stop: ctx.Done()}
	if err := r.measure(); err != nil {
		return Result{}, err
	}
	return r.result(info), nil
}

func (c Config) writes() bool { return c.RW == "write" || c.RW == "randwrite" || c.RW == "randrw" }
func (c Config) random() bool { return strings.HasPrefix(c.RW, "rand") }

func invalid(c Config, format string, args ...any) error {
	return errno.New("device bench", c.Device, errno.Inval, fmt.Sprintf(format, args...))
}

// check refuses what no device could do.
func (c Config) check() error {
	switch c.RW {
	case "randread", "randwrite", "read", "write", "randrw", "nop":
	default:
		return invalid(c, "--rw %s: use randread, randwrite, read, write, randrw or nop", c.RW)
	}
	switch {
	case c.Depth < 1 || c.Depth > device.MaxDepth:
		return invalid(c, "--depth %d: use 1 to %d", c.Depth, device.MaxDepth)
	case c.Jobs < 1 || c.Jobs > 256:
		return invalid(c, "--jobs %d: use 1 to 256", c.Jobs)
	case c.Runtime <= 0 || c.Runtime > 24*time.Hour:
		return invalid(c, "--runtime %v: use more than 0s, and at most 24h", c.Runtime)
	case c.BS < 1 || c.BS > 1<<30:
		return invalid(c, "--bs %d: use 1 byte to 1 GiB", c.BS)
	case c.Goroutines && (c.RW == "nop" || c.IOPoll || c.SQPoll):
		return invalid(c, "--goroutines goes through the queue that a device's calls share: without nop, --iopoll and --sqpoll")
	case c.Goroutines && c.Depth*c.Jobs > device.MaxDepth:
		return invalid(c, "--depth %d with --jobs %d: goroutines share one queue, of at most %d", c.Depth, c.Jobs, device.MaxDepth)
	case uint64(c.Depth*c.Jobs)*c.BS > 16<<30:
		return invalid(c, "--bs %d with --depth %d and --jobs %d: that takes more than 16 GiB of memory", c.BS, c.Depth, c.Jobs)
	}
	return nil
}

// fit makes Size what is measured of the device, and refuses blocks that it cannot do.
func (c *Config) fit(info device.Info) error {
	if c.Size == 0 {
		c.Size = info.Size
	}
	switch {
	case c.BS%uint64(info.OffsetAlignment) != 0:
		return invalid(*c, "--bs %d: use a multiple of %d", c.BS, info.OffsetAlignment)
	case c.BS > uint64(info.MaxTransfer):
		return invalid(*c, "--bs %d: this device does at most %d bytes in one I/O", c.BS, info.MaxTransfer)
	case c.Size > info.Size:
		return invalid(*c, "--size %d: this device has %d bytes", c.Size, info.Size)
	case c.Size < c.BS:
		return invalid(*c, "--size %d: that is less than one block of %d", c.Size, c.BS)
	}
	return nil
}

func (c Config) options() []device.Option {
	opts := []device.Option{device.NoBounce()}
	if c.writes() {
		opts = append(opts, device.ReadWrite(), device.Exclusive())
	}
	if c.Buffered {
		opts = append(opts, device.Buffered())
	}
	if c.Backend != "" {
		opts = append(opts, device.Backend(c.Backend))
	}
	if c.Goroutines {
		opts = append(opts, device.Depth(c.Depth*c.Jobs))
	}
	return opts
}

// run is one measurement.
type run struct {
	config Config
	dev    *device.Device
	start  chan struct{} // closed when all are ready
	stop   <-chan struct{}

	began   time.Time
	seconds float64
	cpu     [2]time.Duration // user, system
	threads int

	mu    sync.Mutex // of what follows, to which each job adds its own at its end
	times histogram
	tally tally
	note  string
}

// tally is what a job counts.
type tally struct {
	done, errors uint64
	first        error
}

func (t *tally) failed(err error) {
	t.errors++
	if t.first == nil {
		t.first = err
	}
}

// worker is a job, or a goroutine that stands for one I/O in flight.
type worker interface {
	loop(r *run) // from the start until the time is up
	close()
}

// measure runs the workers, which open what they need on threads of their own.
func (r *run) measure() error {
	n := r.config.Jobs
	open := r.openJob
	if r.config.Goroutines {
		n *= r.config.Depth
		open = r.openCaller
	}
	ready, finished, left := make(chan error, n), make(chan struct{}, n), make(chan struct{}, n)
	end := make(chan struct{})
	for i := range n {
		go r.work(i, open, ready, finished, end, left)
	}
	err := r.allReady(n, ready)
	r.time(func() {
		close(r.start)
		for range n {
			<-finished
		}
	})
	close(end)
	for range n {
		<-left
	}
	return err
}

// allReady waits for n workers. When one cannot, the others, who wait for the start, stop at once.
func (r *run) allReady(n int, ready <-chan error) error {
	var err error
	for range n {
		if e := <-ready; e != nil {
			err = e
		}
	}
	if err != nil {
		stop := make(chan struct{})
		close(stop)
		r.stop = stop
	}
	return err
}

// time reads the meters around what is measured.
func (r *run) time(f func()) {
	user, system := cpuTime()
	r.began = time.Now()
	f()
	r.seconds = time.Since(r.began).Seconds()
	endUser, endSystem := cpuTime()
	r.cpu = [2]time.Duration{endUser - user, endSystem - system}
	r.threads = threads()
}

func (r *run) work(i int, open func(i int) (worker, error), ready chan<- error, finished chan<- struct{}, end <-chan struct{}, left chan<- struct{}) {
	defer func() { left <- struct{}{} }()
	w, err := open(i)
	ready <- err
	<-r.start
	if err == nil {
		w.loop(r)
	}
	finished <- struct{}{}
	<-end
	if err == nil {
		w.close()
	}
}

func (r *run) add(times *histogram, t tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times.merge(times)
	r.tally.done += t.done
	r.tally.errors += t.errors
	if r.tally.first == nil {
		r.tally.first = t.first
	}
}

func (r *run) stopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

func (r *run) result(info device.Info) Result {
	c, done := r.config, float64(max(r.tally.done, 1))
	out := Result{
		Device: info.URI, Backend: info.Backend, Direct: info.Direct, Note: info.Note,
		RW: c.RW, BS: c.BS, Depth: c.Depth, Jobs: c.Jobs, Goroutines: c.Goroutines,
		Seconds: r.seconds, IOs: r.tally.done, IOPS: float64(r.tally.done) / r.seconds,
		Latency:     r.times.latency(),
		CPUNsPerIO:  float64(r.cpu[0]+r.cpu[1]) / done,
		UserNsPerIO: float64(r.cpu[0]) / done,
		Threads:     r.threads, Errors: r.tally.errors,
	}
	if c.RW != "nop" {
		out.Bandwidth = out.IOPS * float64(c.BS)
	}
	if r.note != "" {
		out.Note = strings.TrimPrefix(out.Note+"; "+r.note, "; ")
	}
	if r.tally.first != nil {
		out.Error = r.tally.first.Error()
	}
	return out
}

func cpuTime() (user, system time.Duration) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// threads counts the threads of the process; 0 when the kernel does not tell.
func threads() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "\nThreads:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n
}
