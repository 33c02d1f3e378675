// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestHeld: the bytes are those of the message, and the end of them is told once, whichever way they are made.
func TestHeld(t *testing.T) {
	for _, size := range []int{0, 100, 1 << 10, lent - 1, lent, 1 << 20} {
		m, freed := &apiv1.GetResponse{Value: make([]byte, size)}, 0
		plain, err := Codec{}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		held, err := Codec{}.Marshal(&Held{Message: m, Free: func() { freed++ }})
		if err != nil || !bytes.Equal(held.Materialize(), plain.Materialize()) {
			t.Errorf("%d bytes: not the message: %v", size, err)
		}
		if small := size < 1<<10; small != (freed == 1) {
			t.Errorf("%d bytes: freed %d times while they are held", size, freed)
		}
		held.Ref()
		held.Free()
		held.Free()
		if plain.Free(); freed != 1 {
			t.Errorf("%d bytes: freed %d times", size, freed)
		}
	}
}

// TestFew: the end of a message of few bytes is told when it comes, if it is asked for.
func TestFew(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1 << 12} {
		m, freed := &apiv1.GetResponse{Value: make([]byte, size)}, 0
		plain, err := Codec{}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		held, err := Codec{}.Marshal(&Held{Message: m, Few: true, Free: func() { freed++ }})
		if err != nil || !bytes.Equal(held.Materialize(), plain.Materialize()) || freed != 0 {
			t.Errorf("%d bytes: freed %d times while they are held, %v", size, freed, err)
		}
		if held.Free(); freed != 1 {
			t.Errorf("%d bytes: freed %d times", size, freed)
		}
	}
}

// TestTold: a chunk whose end is told has the same bytes, and gives its memory back.
func TestTold(t *testing.T) {
	for _, size := range []int{10, 1 << 16} {
		freed := 0
		c := NewChunk(bytes.Repeat([]byte{7}, size)).Told(func() { freed++ })
		if data := c.Data.ReadOnlyData(); len(data) != size || data[size-1] != 7 || freed != 0 && size > 1<<10 {
			t.Errorf("%d bytes: %d of them, freed %d times", size, len(data), freed)
		}
		if c.Data.Free(); freed != 1 {
			t.Errorf("%d bytes: freed %d times", size, freed)
		}
	}
}
