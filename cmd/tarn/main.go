// SPDX-License-Identifier: Apache-2.0

// Command tarn is the command line of Tarn: pools, containers and key-value objects, in this process or at a gateway.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/tarn-storage/tarn/cmd/internal/calm"
	"github.com/tarn-storage/tarn/cmd/internal/localdev"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/cli"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/connect"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/devbench"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn"
	"github.com/tarn-storage/tarn/go/tarn/device"
)

func main() {
	if command := strings.Join(os.Args[1:min(3, len(os.Args))], " "); strings.HasPrefix(command, "bench") || command == "dev bench" {
		calm.Begin() // of all clients alike: less of what is measured is this program
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Run(ctx, os.Args[1:], environment()))
}

func environment() cli.Env {
	return cli.Env{
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		StdinTTY: term.IsTerminal(int(os.Stdin.Fd())), StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Connect: func(ctx context.Context, w cli.Where) (system.System, error) {
			return connect.Open(ctx, connect.Where(w).FromEnv(os.Getenv), out.Logger(os.Stderr))
		},
		OpenLocal: func(_ context.Context, w cli.Where) (system.System, error) {
			return connect.Local(connect.Where(w).FromEnv(os.Getenv), out.Logger(os.Stderr))
		},
		Devices:  localdev.Devices{},
		OpenNVMe: localdev.Devices{}.OpenNVMe,
		Bench:    devbench.Run,
		Version:  versions,
	}
}

func versions() cli.Version {
	v := cli.Version{CLI: tarn.Version(), Library: tarn.Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Features: []string{"local", "gateway"}}
	// A program that was built from its tree has the library's version, for both are of one tree.
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		v.CLI = info.Main.Version[1:]
	}
	if self, err := os.Executable(); err == nil { // what does the I/O of a file here
		if d, err := device.Query(context.Background(), "file:"+self); err == nil {
			v.Features = append(v.Features, d.Backend)
		}
	}
	return v
}
