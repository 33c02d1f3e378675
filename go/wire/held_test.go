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
