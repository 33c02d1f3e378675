// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// TestFinds: a file that stays open and a goroutine that stays are found, and not when they are gone.
func TestFinds(t *testing.T) {
	before := descriptors()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if leaks := opened(before); len(leaks) != 1 {
		t.Errorf("with an open file: %v", leaks)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if leaks := opened(before); len(leaks) != 0 {
		t.Errorf("with a closed file: %v", leaks)
	}
}
