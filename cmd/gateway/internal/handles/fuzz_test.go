// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"strings"
	"testing"
)

// FuzzRef: no name makes the parsers fall over; one that is taken has its parts, and its parent is taken, too.
func FuzzRef(f *testing.F) {
	for _, text := range []string{"tank", "tank/neo", "tank/neo/stadium", "tank/neo@daily", "tank/neo@@17/stadium", "tank/neo@@x", "tank/neo@", "//", "/a", "\xff/\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for parts := PoolParts; parts <= ObjectParts; parts++ {
			r, err := Parse(text, parts)
			if err != nil {
				continue
			}
			if len(r.parts()) != parts || r.Name() == "" || string(r) != text {
				t.Errorf("%q has %d parts: %q", text, len(r.parts()), r.parts())
			}
			if parts > PoolParts {
				if _, err := Parse(string(r.Parent()), parts-1); err != nil {
					t.Errorf("the parent of %q: %v", text, err)
				}
			}
			label, at, has, err := r.Snapshot()
			if err == nil && has && (at.Name == "") == (at.Epoch == 0) || has != strings.Contains(r.Name(), "@") || strings.Contains(label, "@") {
				t.Errorf("%q: label %q, %+v, %v, %v", text, label, at, has, err)
			}
		}
	})
}
