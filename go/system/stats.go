// SPDX-License-Identifier: Apache-2.0

package system

import "time"

// ServerStats says how a gateway is doing. What it counts is since its start.
type ServerStats struct {
	Started       time.Time     `json:"started"`
	InFlight      uint64        `json:"in_flight_bytes"` // that the calls under way hold
	InFlightLimit uint64        `json:"in_flight_limit_bytes"`
	Handles       uint32        `json:"open_handles"`
	Goroutines    uint32        `json:"goroutines"`
	Heap          uint64        `json:"heap_bytes"`
	Refused       uint64        `json:"refused"` // calls, and bytes for calls, for want of room, since the start
	Watches       uint32        `json:"watches"` // that are running
	WatchesLimit  uint32        `json:"watches_limit"`
	Methods       []MethodStats `json:"methods"` // those that were called, in the order of their names
}

// MethodStats counts the calls of one method that have ended.
type MethodStats struct {
	Method  string  `json:"method"` // "/tarn.v1.KeyValueService/Get"
	Calls   uint64  `json:"calls"`
	Errors  uint64  `json:"errors"`
	Seconds float64 `json:"seconds"` // that all of them took together
}

// Setting is one setting of a gateway: its name, as that of the flag, what is in effect, and where that was set.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // "flag", the name of an environment variable, "FILE:LINE", "default", "SetLogLevel"
}
