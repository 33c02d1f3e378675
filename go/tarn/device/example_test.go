// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn/device"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleOpen() {
	d, err := device.Open("mem:64M", device.ReadWrite())
	check(err)
	defer d.Close()
	_, err = d.WriteAt([]byte("any offset, any length"), 12345)
	check(err)
	check(d.Sync())
	p := make([]byte, 10)
	_, err = d.ReadAt(p, 12345)
	fmt.Printf("%s, %v\n", p, err)
	// Output: any offset, <nil>
}

func ExampleQuery() {
	info, err := device.Query(context.Background(), "mem:64M")
	fmt.Println(info.Kind, info.Size, err)
	// Output: mem 67108864 <nil>
}

func ExampleNoBounce() {
	d, err := device.Open("mem:64M", device.NoBounce())
	check(err)
	defer d.Close()
	_, err = d.ReadAt(make([]byte, 100), 1)
	fmt.Println(errors.Is(err, errno.Inval))
	// Output: true
}

func ExampleDevice() {
	d, err := device.Open("mem:1M")
	check(err)
	defer d.Close()
	n, err := io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size()))
	fmt.Println(n, err)
	// Output: 1048576 <nil>
}

func ExampleAlloc() {
	d, err := device.Open("mem:64M", device.ReadWrite(), device.NoBounce())
	check(err)
	defer d.Close()
	b, err := device.Alloc(1<<20, false) // aligned: neither copied nor pinned
	check(err)
	defer b.Close()
	copy(b.Bytes(), "a block")
	n, err := d.WriteDurable(context.Background(), b.Bytes(), 4<<20)
	fmt.Println(n, err)
	// Output: 1048576 <nil>
}

func ExampleQueue() {
	d, err := device.Open("mem:64M", device.ReadWrite())
	check(err)
	defer d.Close()
	q, err := d.OpenQueue(device.QueueOptions{Depth: 8})
	check(err)
	defer q.Close()
	b, err := device.Alloc(8*4096, false)
	check(err)
	defer b.Close()
	check(q.Register(b))
	ios, out := make([]*device.IO, 8), make([]*device.IO, 8)
	for i := range ios {
		ios[i] = &q.IOs()[i]
		ios[i].PrepareFixed(device.OpWrite, uint64(i)*4096, b.Bytes()[i*4096:][:4096], 0)
	}
	started, n, err := q.SubmitAndReap(ios, out, 8, -1)
	check(err)
	for _, io := range out[:n] {
		check(io.Err())
	}
	fmt.Println(started, n)
	// Output: 8 8
}

func ExampleDevice_Zones() {
	d, err := device.Open("mem:4M?zone=1M", device.ReadWrite())
	check(err)
	defer d.Close()
	_, err = d.Append(context.Background(), 0, make([]byte, 8192))
	check(err)
	zones, err := d.Zones(context.Background(), 0, 2)
	check(err)
	for _, z := range zones {
		fmt.Println(z.Offset, z.WritePointer, z.State)
	}
	// Output:
	// 0 8192 implicitly open
	// 1048576 1048576 empty
}
