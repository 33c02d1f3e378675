// SPDX-License-Identifier: Apache-2.0

package devbench

import (
	"runtime"
	"time"

	"github.com/tarn-storage/tarn/go/tarn/device"
)

// errorsMax is after how many errors a goroutine ends; a Load has the same.
const errorsMax = 1000

// look is how long a job runs before it looks whether it is to stop.
const look = 100 * time.Millisecond

// job is a thread with a queue.
type job struct {
	queue  *device.Queue
	buffer *device.Buffer
	load   *device.Load
}

// openJob opens a job on its thread, which it keeps to its end: a Single queue is one thread's.
func (r *run) openJob(i int) (worker, error) {
	runtime.LockOSThread()
	c, p := r.config, newPlaces(r.config, i, r.config.Jobs)
	queue, err := r.dev.OpenQueue(device.QueueOptions{Depth: c.Depth, Single: true, IOPoll: c.IOPoll, SQPoll: c.SQPoll})
	if err != nil {
		return nil, err
	}
	j := &job{queue: queue}
	if j.buffer, err = device.Alloc(c.Depth*int(c.BS), false); err == nil {
		p.dice.fill(j.buffer.Bytes())
		refused := queue.Register(j.buffer)
		r.remark(queue, refused)
		j.load, err = queue.NewLoad(device.Pattern{Op: p.op, Mixed: p.mixed, Random: p.random, Block: p.bs, Blocks: p.blocks,
			First: p.block, Seed: uint64(p.dice), Buffer: j.buffer, Fixed: refused == nil})
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

// remark notes what the queue did not get.
func (r *run) remark(queue *device.Queue, register error) {
	info, err := queue.Info()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && info.Note != "" {
		r.note = info.Note
	}
	if register != nil {
		r.note = "no registered buffers: " + register.Error()
	}
}

func (j *job) loop(r *run) {
	var err error
	for rest := r.rest(); err == nil && rest > 0 && j.load.Counts().Errors < errorsMax; rest = r.rest() {
		err = j.load.Run(min(rest, look))
	}
	r.addCounts(j.load.Counts(), err)
}

// rest is how long there is to go; 0 when it was told to stop.
func (r *run) rest() time.Duration {
	if r.stopped() {
		return 0
	}
	return r.config.Runtime - time.Since(r.began)
}

func (r *run) addCounts(c device.LoadCounts, err error) {
	t := tally{done: c.Done, errors: c.Errors, first: c.First}
	if err != nil {
		t.failed(err)
	}
	times := histogram{count: c.Done + c.Errors, max: uint64(c.Max)}
	copy(times.buckets[:], c.Buckets)
	r.add(&times, t)
}

// close frees the memory when the device has let it go: one that does not answer keeps it.
func (j *job) close() {
	if j.queue.CloseWithin(10*time.Second) == nil {
		if j.load != nil {
			j.load.Close()
		}
		if j.buffer != nil {
			j.buffer.Close()
		}
	}
	runtime.UnlockOSThread()
}

// caller is a goroutine that stands for one I/O in flight.
type caller struct {
	places
	buffer *device.Buffer
	times  histogram
	tally  tally
}

func (r *run) openCaller(i int) (worker, error) {
	c := r.config
	buffer, err := device.Alloc(int(c.BS), false)
	if err != nil {
		return nil, err
	}
	g := &caller{places: newPlaces(c, i, c.Jobs*c.Depth), buffer: buffer}
	g.dice.fill(buffer.Bytes())
	return g, nil
}

func (g *caller) loop(r *run) {
	end := int64(r.config.Runtime)
	for now := int64(0); now < end && g.tally.errors < errorsMax && !r.stopped(); {
		err := g.once(r.dev)
		then := now
		now = int64(time.Since(r.began))
		g.times.add(uint64(now - then))
		if err != nil {
			g.tally.failed(err)
		} else {
			g.tally.done++
		}
	}
	r.add(&g.times, g.tally)
}

func (g *caller) once(dev *device.Device) error {
	op, offset := g.next()
	call := dev.ReadAt
	if op == device.OpWrite {
		call = dev.WriteAt
	}
	_, err := call(g.buffer.Bytes(), int64(offset))
	return err
}

func (g *caller) close() { g.buffer.Close() }
