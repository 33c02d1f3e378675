// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Seed is a seed for a random test: $TARN_TEST_SEED, to repeat one, else any. A test that fails shows it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("TARN_TEST_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("TARN_TEST_SEED=%d", seed)
	return seed
}
