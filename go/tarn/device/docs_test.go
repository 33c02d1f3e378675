// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"testing"

	"github.com/tarn-storage/tarn/go/system/systemtest"
)

// TestEveryTypeHasAnExample, named after the type alone or after one of its methods.
func TestEveryTypeHasAnExample(t *testing.T) { systemtest.Examples(t, 10) }
