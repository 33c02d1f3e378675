// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/tarn-storage/tarn/cmd/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
