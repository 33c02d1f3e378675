// SPDX-License-Identifier: Apache-2.0

// Command tarn-gateway serves the pools of a root directory over gRPC.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/config"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/server"
	"github.com/tarn-storage/tarn/cmd/gateway/internal/service"
	"github.com/tarn-storage/tarn/cmd/internal/calm"
	"github.com/tarn-storage/tarn/cmd/internal/localdev"
	"github.com/tarn-storage/tarn/go/tarn"
)

func main() {
	cfg, err := config.Parse(os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, config.ErrHelp):
	case err != nil:
		os.Exit(2)
	case cfg.Version:
		fmt.Println("tarn-gateway", tarn.Version())
	case cfg.Printed != "":
		fmt.Print(cfg.Printed)
	default:
		calm.Begin()
		var level slog.LevelVar
		log := cfg.Logger(os.Stderr, &level)
		if err := run(cfg, log, &level); err != nil {
			log.Error("tarn-gateway", "error", err)
			os.Exit(1)
		}
	}
}

func settings(cfg config.Config) (all []service.Setting) {
	for _, s := range cfg.Settings {
		all = append(all, service.Setting(s))
	}
	return all
}

func run(cfg config.Config, log *slog.Logger, level *slog.LevelVar) error {
	server.CollectSeldom()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	sys, err := tarn.OpenWith(tarn.Options{Root: cfg.Root, CacheBytes: cfg.Cache, Logger: log})
	if err != nil {
		return err
	}
	socket := cfg.SocketIn(sys.Root())
	srv, err := server.New(server.Config{System: sys.System(), Version: tarn.Version(), Listen: cfg.Listen, Socket: socket, HTTP: cfg.HTTP, Log: log,
		Devices: localdev.Devices{}, AllowRaw: cfg.Raw, Auth: cfg.Auth, Admin: cfg.Admin, AdminExposed: cfg.AdminExposed, CoreInFlight: sys.InFlight,
		InFlight: int64(cfg.MaxBytes), Calls: cfg.MaxCalls, LogLevel: level, Settings: settings(cfg), Alone: true})
	if err != nil {
		return errors.Join(err, sys.Close())
	}
	srv.Serve()
	srv.ReloadOn(syscall.SIGHUP)
	log.Info("ready", "listen", srv.Addr(), "socket", socket, "http", srv.HTTP(), "admin", srv.Admin(), "root", sys.Root(), "version", tarn.Version(), "tls", cfg.Auth.Cert != "")
	cfg.Warn(log)
	select {
	case sig := <-signals:
		log.Info("stopping", "signal", sig.String())
	case <-srv.Asked():
		log.Info("stopping", "asked_by", "DrainServer")
	case err = <-srv.Failed():
	}
	go func() { <-signals; os.Exit(130) }()
	return errors.Join(err, srv.Stop())
}
