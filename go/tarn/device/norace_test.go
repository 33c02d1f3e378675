// SPDX-License-Identifier: Apache-2.0

//go:build cgo && !race

package device

// raceEnabled: the race detector would allocate.
const raceEnabled = false
