// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// Keys have 16 bytes and do not compress; the n-th record's key is the n-th in order. They and the zipfian distribution are those of the C
// benchmark (c/bench/keys.c), so that figures of the two can be laid side by side.
const keyLen = 16

type key = [keyLen]byte

func mixed(n uint64) uint64 {
	n += 0x9E3779B97F4A7C15
	n = (n ^ n>>30) * 0xBF58476D1CE4E5B9
	n = (n ^ n>>27) * 0x94D049BB133111EB
	return n ^ n>>31
}

// dice are random numbers that cost next to nothing. Their value is their seed.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9E3779B97F4A7C15
	return mixed(uint64(*d))
}

func (d *dice) below(n uint64) uint64 { return scaled(d.next(), n) }

func (d *dice) unit() float64 { return float64(d.next()>>11) * 0x1p-53 }

func scaled(random, n uint64) uint64 {
	high, _ := bits.Mul64(random, n)
	return high
}

// keyIn is a key in a quarter of the n-th record's part of the key space: records are in the first, what is inserted in the fourth.
func keyIn(k *key, n, records, quarter, random uint64) {
	part := math.MaxUint64 / records
	binary.BigEndian.PutUint64(k[:], n*part+quarter*(part/4)+scaled(random, part/4))
	binary.BigEndian.PutUint64(k[8:], mixed(random))
}

func recordKey(k *key, n, records uint64) { keyIn(k, n, records, 0, mixed(n)) }

func insertedKey(k *key, serial, records uint64) {
	random := mixed(^serial)
	keyIn(k, scaled(random, records), records, 3, mixed(random))
}

// shuffled maps 0..n-1 to itself, one to one. Each step does so for 0..mask; who lands at n or above walks on.
func shuffled(i, n uint64) uint64 {
	length := bits.Len64(n | 1)
	mask := uint64(1)<<length - 1
	for {
		for range 3 {
			i = (i*0x9E3779B97F4A7C15 + 0x2545F491) & mask
			i ^= i >> ((length + 1) / 2)
		}
		if i < n {
			return i
		}
	}
}

// zipf are ranks: 0 is the most popular (Gray et al., as in YCSB).
type zipf struct {
	n                      uint64
	zeta, alpha, half, eta float64
}

const (
	theta     = 0.99
	zetaExact = 100000 // terms that are added up; the others are an integral
)

func zetaOf(n uint64) float64 {
	exact, sum := min(n, zetaExact), 0.0
	for i := uint64(1); i <= exact; i++ {
		sum += math.Pow(float64(i), -theta)
	}
	if n > exact {
		sum += (math.Pow(float64(n)+0.5, 1-theta) - math.Pow(float64(exact)+0.5, 1-theta)) / (1 - theta)
	}
	return sum
}

func newZipf(n uint64) *zipf {
	z := &zipf{n: n, zeta: zetaOf(n), alpha: 1 / (1 - theta), half: 1 + math.Pow(0.5, theta)}
	z.eta = (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zetaOf(2)/z.zeta)
	return z
}

func (z *zipf) rank(d *dice) uint64 {
	u := d.unit()
	switch uz := u * z.zeta; {
	case uz < 1:
		return 0
	case uz < z.half:
		return 1
	}
	return min(uint64(float64(z.n)*math.Pow(z.eta*u-z.eta+1, z.alpha)), z.n-1)
}

// values are cut from a pool of random bytes; each begins with the start of its key, so that a wrong one is found out.
type values [1<<20 + 1<<16]byte

func newValues() *values {
	v, d := new(values), dice(1)
	for i := 0; i < len(v); i += 8 {
		binary.LittleEndian.PutUint64(v[i:], d.next())
	}
	return v
}

func (v *values) fill(val []byte, k *key, d *dice) {
	copy(val, v[d.below(1<<20):])
	copy(val, k[:8])
}

func fits(val []byte, length int, k *key) bool {
	return len(val) == length && bytes.HasPrefix(val, k[:8])
}
