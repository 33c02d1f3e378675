// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"bytes"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestLoad: what a load counts is what the device has seen, at the places of the pattern only.
func TestLoad(t *testing.T) {
	onTargets(t, func(t *testing.T, open func(...Option) *Device) {
		d := open()
		q := openQueue(t, d, QueueOptions{Depth: 4})
		b := alloc(t, 4*8192)
		copy(b.Bytes(), bytes.Repeat([]byte{7}, 4*8192))
		must(t, q.Register(b))
		load, err := q.NewLoad(Pattern{Op: OpWrite, Block: 8192, Blocks: 16, First: 3, Buffer: b, Fixed: true})
		if err != nil {
			t.Fatal(err)
		}
		for load.Counts().Done < 16 {
			must(t, load.Run(time.Millisecond))
		}
		c, sum := load.Counts(), uint64(0)
		for _, n := range c.Buckets {
			sum += n
		}
		if c.Errors != 0 || c.First != nil || c.Max <= 0 || sum != c.Done {
			t.Errorf("%d done, %d errors, %v, max %v, %d times", c.Done, c.Errors, c.First, c.Max, sum)
		}
		must(t, q.Close())
		_ = load.Run(time.Second) // refused: the queue is closed
		load.Close()
		all := readAll(t, d)
		wantBytes(t, "the blocks of the pattern", all[:16*8192], bytes.Repeat([]byte{7}, 16*8192))
		wantBytes(t, "the others", all[16*8192:], make([]byte, testBytes-16*8192))
	})
}

func TestLoadRefusals(t *testing.T) {
	q := openQueue(t, open(t, "mem:4M"), QueueOptions{Depth: 4})
	b := alloc(t, 4*4096)
	for _, p := range []Pattern{
		{Blocks: 4, Buffer: b}, {Block: 4096, Buffer: b}, {Block: 4096, Blocks: 4}, {Block: 4097, Blocks: 4, Buffer: b},
		{Block: 4096, Blocks: 4, First: 4, Buffer: b},
	} {
		_, err := q.NewLoad(p)
		wantCode(t, "a load of nothing", err, errno.Inval)
	}
	load, err := q.NewLoad(Pattern{Op: OpRead, Random: true, Block: 4096, Blocks: 4096, Buffer: b})
	if err != nil {
		t.Fatal(err)
	}
	defer load.Close()
	for c := load.Counts(); c.Errors == 0; c = load.Counts() { // most blocks lie behind the end
		must(t, load.Run(time.Millisecond))
		wantCode(t, "the first error", load.Counts().First, errno.Inval)
	}
	must(t, q.Close())
}
