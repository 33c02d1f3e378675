// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"

	"github.com/tarn-storage/tarn/cmd/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
