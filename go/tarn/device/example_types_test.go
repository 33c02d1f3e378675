// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tarn-storage/tarn/go/tarn/device"
)

func ExampleBuffer() {
	d, err := device.Open("mem:1M", device.NoBounce(), device.ReadWrite())
	check(err)
	defer d.Close()
	b, err := device.Alloc(8192, false)
	check(err)
	defer b.Close()
	copy(b.Bytes(), "aligned, and needs no copy")
	n, err := d.WriteAt(b.Bytes()[:4096], 4096)
	fmt.Println(n, err)
	// Output: 4096 <nil>
}

func ExampleOption() {
	options := []device.Option{device.ReadWrite(), device.Strict()}
	d, err := device.Open("mem:1M", options...)
	check(err)
	fmt.Println(d.Info().ReadOnly, d.Close())
	// Output: false <nil>
}

func ExampleInfo() {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	info := d.Info()
	fmt.Println(info.Kind, info.Size, info.ReadOnly, info.Zoned)
	// Output: mem 1048576 true false
}

func ExampleOpcode() {
	fmt.Println(device.OpRead, device.OpWriteZeroes)
	// Output: read write zeroes
}

func ExampleIO() {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	q, err := d.OpenQueue(device.QueueOptions{Depth: 1})
	check(err)
	defer q.Close()
	b, err := device.Alloc(4096, false)
	check(err)
	defer b.Close()
	io := &q.IOs()[0]
	io.Tag = 7
	io.Prepare(device.OpRead, 8192, b.Bytes())
	_, err = q.Submit([]*device.IO{io})
	check(err)
	done := make([]*device.IO, 1)
	n, err := q.Reap(done, 1, time.Minute)
	check(err)
	fmt.Println(n, done[0].Tag, done[0].Err())
	// Output: 1 7 <nil>
}

func ExampleQueueOptions() {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	q, err := d.OpenQueue(device.QueueOptions{Depth: 32})
	check(err)
	defer q.Close()
	fmt.Println(len(q.IOs()))
	// Output: 32
}

func ExampleQueueInfo() {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	q, err := d.OpenQueue(device.QueueOptions{Depth: 32})
	check(err)
	defer q.Close()
	info, err := q.Info()
	check(err)
	fmt.Println(info.Depth, info.InFlight, info.Backend)
	// Output: 32 0 mem
}

func ExampleZone() {
	text, err := json.Marshal(device.Zone{Bytes: 2 << 20, Capacity: 1 << 20, WritePointer: 8192, Type: device.ZoneSequential, State: device.ZoneEmpty})
	fmt.Println(string(text), err)
	// Output: {"offset":0,"bytes":2097152,"capacity":1048576,"write_pointer":8192,"type":"sequential","state":"empty"} <nil>
}

func ExampleZoneType() {
	fmt.Println(device.ZoneConventional, device.ZoneSequential)
	// Output: conventional sequential
}

func ExampleZoneState() {
	fmt.Println(device.ZoneEmpty, device.ZoneFull)
	// Output: empty full
}

func ExampleNVMe() {
	n, err := device.OpenNVMe("/dev/there-is-none", false)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("there is no such controller")
		return
	}
	check(err)
	check(n.Close())
	// Output: there is no such controller
}

// A Pattern says what a Load does: here, eight reads at once from anywhere in the device.
func ExamplePattern() {
	counts := loaded(device.Pattern{Op: device.OpRead, Random: true, Block: 4096, Blocks: 256, Seed: 1})
	fmt.Println(counts.Done > 0, counts.Errors)
	// Output: true 0
}

func ExampleLoad() {
	counts := loaded(device.Pattern{Op: device.OpNop, Block: 4096, Blocks: 1})
	fmt.Println(counts.Done > 0, counts.First)
	// Output: true <nil>
}

func ExampleLoadCounts() {
	counts := loaded(device.Pattern{Op: device.OpNop, Block: 4096, Blocks: 1})
	total := uint64(0)
	for _, n := range counts.Buckets {
		total += n
	}
	fmt.Println(total == counts.Done)
	// Output: true
}

// loaded runs a load of eight I/Os at once for a moment.
func loaded(p device.Pattern) device.LoadCounts {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	q, err := d.OpenQueue(device.QueueOptions{Depth: 8})
	check(err)
	defer q.Close()
	p.Buffer, err = device.Alloc(8*4096, false)
	check(err)
	defer p.Buffer.Close()
	l, err := q.NewLoad(p)
	check(err)
	defer l.Close()
	check(l.Run(10 * time.Millisecond))
	return l.Counts()
}
