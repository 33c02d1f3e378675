// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: one file for each noun. A command reads its arguments, calls the system through package system,
// and answers through package out; it knows neither the engine nor the wire, so that the same words work here and remotely.
// Only what measures the wire, package bench, knows it.
package cli

import (
	"context"
	"io"

	"github.com/tarn-storage/tarn/go/system"
)

// Env is what a run of the command line needs of the world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	StdinTTY       bool
	StdoutTTY      bool
	StderrTTY      bool
	Connect        func(ctx context.Context, root, endpoint string) (system.System, error)
	OpenLocal      func(ctx context.Context, root, endpoint string) (system.System, error) // never a gateway
	ListDevices    func() ([]Device, error)
	QueryDevice    func(uri string) (Device, error)
	Version        func() Version
}

// Device describes a device, as go/tarn does.
type Device struct {
	URI             string `json:"uri"`
	Kind            string `json:"kind"`
	Model           string `json:"model"`
	Backend         string `json:"backend"`
	Note            string `json:"note"`
	Size            uint64 `json:"size"`
	LogicalBlock    uint32 `json:"logical_block"`
	PhysicalBlock   uint32 `json:"physical_block"`
	MemoryAlignment uint32 `json:"memory_alignment"`
	OffsetAlignment uint32 `json:"offset_alignment"`
	MaxTransfer     uint32 `json:"max_transfer"`
	Direct          bool   `json:"direct"`
	VolatileCache   bool   `json:"volatile_cache"`
	Rotational      bool   `json:"rotational"`
	ReadOnly        bool   `json:"read_only"`
	InUse           bool   `json:"in_use"`
}

// Version says what this program is made of.
type Version struct {
	CLI      string   `json:"cli"`
	Library  string   `json:"library"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Features []string `json:"features"`
}
