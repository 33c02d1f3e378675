// SPDX-License-Identifier: Apache-2.0

package devbench

import (
	"encoding/binary"
	"math/bits"

	"github.com/tarn-storage/tarn/go/tarn/device"
)

// dice is splitmix64.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns 0 to n-1.
func (d *dice) below(n uint64) uint64 {
	high, _ := bits.Mul64(d.next(), n)
	return high
}

// fill makes b what no device can compress.
func (d *dice) fill(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, d.next())
	}
}

// places says what a worker does next, and where.
type places struct {
	dice   dice
	op     device.Opcode
	mixed  bool
	random bool
	bs     uint64
	blocks uint64 // of the device
	block  uint64 // the next, of what is not random
}

// newPlaces is for worker i of n. In order, each begins at its part of the device.
func newPlaces(c Config, i, n int) places {
	blocks := c.Size / c.BS
	p := places{dice: dice(c.Seed + uint64(i)<<32), mixed: c.RW == "randrw", random: c.random(), bs: c.BS, blocks: blocks,
		block: blocks / uint64(n) * uint64(i)}
	switch {
	case c.RW == "nop":
		p.op = device.OpNop
	case c.writes():
		p.op = device.OpWrite
	}
	return p
}

func (p *places) next() (device.Opcode, uint64) {
	if !p.random {
		at := p.block
		if p.block++; p.block == p.blocks {
			p.block = 0
		}
		return p.op, at * p.bs
	}
	op := p.op
	if p.mixed && p.dice.next()&1 == 0 {
		op = device.OpRead
	}
	return op, p.dice.below(p.blocks) * p.bs
}
