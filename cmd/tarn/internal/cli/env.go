// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: one file for each noun. A command reads its arguments, calls the system through package system,
// and answers through package out; it knows neither the engine nor the wire, so that the same words work here and remotely.
// Only what measures the wire, package bench, knows it.
package cli

import (
	"context"
	"io"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/devbench"
	"github.com/tarn-storage/tarn/go/system"
)

// Env is what a run of the command line needs of the world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	StdinTTY       bool
	StdoutTTY      bool
	StderrTTY      bool
	Connect        func(ctx context.Context, w Where) (system.System, error)
	OpenLocal      func(ctx context.Context, w Where) (system.System, error) // never a gateway
	Devices        system.LocalDevices
	OpenNVMe       func(path string, write bool) (system.NVMe, error)
	Bench          func(ctx context.Context, c devbench.Config) (devbench.Result, error)
	Version        func() Version
}

// Where says where the pools are: at an endpoint, else in a root directory. The other fields are for an endpoint. What is empty comes from
// the environment.
type Where struct {
	Root, Endpoint         string
	TLSCA, TLSCert, TLSKey string
	Token, TokenFile       string
	MakeRoot               bool // when it is not there
}

// Version says what this program is made of.
type Version struct {
	CLI      string   `json:"cli"`
	Library  string   `json:"library"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Features []string `json:"features"`
}
