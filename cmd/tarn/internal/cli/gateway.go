// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// operated is a system that an operator can ask for more than data: a gateway.
type operated interface {
	Config(ctx context.Context) ([]system.Setting, error)
	SetLogLevel(ctx context.Context, level slog.Level) (slog.Level, error)
	Drain(ctx context.Context) error
}

func (a *app) gatewayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "gateway", Short: "a gateway that runs: config, log-level, drain", RunE: group}
	cmd.AddCommand(a.gatewayConfig(), a.gatewayLogLevel(), a.gatewayDrain())
	return cmd
}

func (a *app) withGateway(cmd *cobra.Command, f func(context.Context, operated) error) error {
	return a.with(cmd, func(ctx context.Context, sys system.System) error {
		gateway, ok := sys.(operated)
		if !ok {
			return out.WithHint(errno.New("", "", errno.NotSupported, "no gateway serves these pools"), "start tarn-gateway, or name one with --endpoint")
		}
		return f(ctx, gateway)
	})
}

func (a *app) gatewayConfig() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "print the settings in effect, as a file of settings, with where each is from", Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withGateway(cmd, func(ctx context.Context, g operated) error {
				settings, err := g.Config(ctx)
				if err != nil {
					return err
				}
				return a.out.Answer(list(settings), func(w io.Writer) error {
					for _, s := range settings {
						if _, err := fmt.Fprintf(w, "%s = %q # %s\n", s.Name, s.Value, s.Source); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
}

func (a *app) gatewayLogLevel() *cobra.Command {
	return &cobra.Command{
		Use: "log-level LEVEL", Short: "set from where on it logs: debug (every call), info, warn or error", Args: args(1, 1),
		ValidArgs: []string{"debug", "info", "warn", "error"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var level slog.Level
			if err := level.UnmarshalText([]byte(args[0])); err != nil {
				return usage("%q is not a level: debug, info, warn and error are", args[0])
			}
			return a.withGateway(cmd, func(ctx context.Context, g operated) error {
				previous, err := g.SetLogLevel(ctx, level)
				if err != nil {
					return err
				}
				answer := map[string]string{"level": level.String(), "previous": previous.String()}
				return a.out.Answer(answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s, was %s\n", level, previous)
					return err
				})
			})
		},
	}
}

func (a *app) gatewayDrain() *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "drain", Short: "stop it when the calls that run have ended, as SIGTERM does", Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.ask(c, "stop the gateway"); err != nil {
				return err
			}
			return a.withGateway(cmd, func(ctx context.Context, g operated) error {
				if err := g.Drain(ctx); err != nil {
					return err
				}
				return a.out.Answer(map[string]bool{"draining": true}, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, "it goes down")
					return err
				})
			})
		},
	}
	c.flags(cmd, "")
	return cmd
}
