// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutCheck = `Opens the pool in this process, and reads and verifies everything: structure, order, checksums, snapshots, and the
space map against one computed anew. Each piece of damage is a line: where it is, whose it is, and what is wrong.

Exit status: 0 everything is sound, 8 something is damaged.`

const aboutScrub = `Reads everything that the pool refers to, beside whatever else is done to it, and compares it with its checksums.
Each piece of damage is a line: where it is, whose it is, and what is wrong.

Exit status: 0 everything is sound, 8 something is damaged.`

// verifier is a check or a scrub of a pool.
type verifier func(system.Pool, context.Context, system.CheckOptions) (system.CheckReport, error)

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check POOL", Short: "read and verify everything in a pool that nobody else has open", Long: aboutCheck, Args: args(1, 1),
		ValidArgsFunction: a.names(arg.Pool),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.where.Endpoint != "" {
				return usage("check opens the pool itself: leave --endpoint out, or use 'tarn pool check' at a gateway")
			}
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			err = a.withLocalPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				return a.verify(ctx, p, pool, system.Pool.Check, system.CheckOptions{})
			})
			if errno.CodeOf(err) == errno.Busy {
				return out.WithHint(err, "a check needs the pool for itself; 'tarn pool check' asks the gateway that holds it")
			}
			return err
		},
	}
	cmd.AddCommand(a.checkPerf())
	return cmd
}

func (a *app) scrubCommand() *cobra.Command {
	var o system.CheckOptions
	cmd := &cobra.Command{
		Use: "scrub POOL", Short: "read everything in a pool and compare the checksums, beside other work", Long: aboutScrub,
		Args: args(1, 1), ValidArgsFunction: a.names(arg.Pool), Example: "  tarn scrub tank --rate 100MiB",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				return a.verify(ctx, p, pool, system.Pool.Scrub, o)
			})
		},
	}
	cmd.Flags().Var(sizeFlag{&o.BytesPerSecond}, "rate", "read so many bytes a second at the most, such as 100MiB (default: as it can)")
	return cmd
}

func (a *app) syncCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sync POOL/CONTAINER", Short: "wait until everything acknowledged so far is durable", Args: args(1, 2),
		Long:              "Containers with durability=relaxed acknowledge changes before they are durable. This waits until they are.",
		ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				if err := cont.Sync(ctx); err != nil {
					return err
				}
				return a.done("synced", p)
			})
		},
	}
}

// verify answers with what is found, one piece a line, whether or not the pool is sound.
func (a *app) verify(ctx context.Context, p arg.Path, pool system.Pool, run verifier, o system.CheckOptions) error {
	var bar *tree.Progress
	if a.StderrTTY && !a.quiet {
		bar = tree.NewProgress(a.Stderr)
		o.Progress = bar.Set
	}
	report, err := run(pool, ctx, o)
	bar.Stop()
	if errno.CodeOf(err) == errno.NotSupported {
		return err
	}
	report.Found = list(report.Found)
	return errors.Join(err, a.out.Answer(report, func(w io.Writer) error {
		if err == nil {
			_, err := fmt.Fprintf(w, "%s: %s read, nothing is damaged\n", p, arg.FormatSize(report.Bytes))
			return err
		}
		return findings(w, p, report)
	}))
}

func findings(w io.Writer, p arg.Path, report system.CheckReport) error {
	for _, f := range report.Found {
		if _, err := fmt.Fprintln(w, line(p, f)); err != nil {
			return err
		}
	}
	if more := report.Findings - uint64(len(report.Found)); report.Findings > uint64(len(report.Found)) {
		_, err := fmt.Fprintf(w, "%s: and %d more\n", p, more)
		return err
	}
	return nil
}

// line says where a piece of damage is, whose it is, and what is wrong.
func line(p arg.Path, f system.Finding) string {
	parts := []string{p.Pool}
	if f.Length > 0 {
		parts = append(parts, fmt.Sprintf("target 0 at %d (%s)", f.Offset, arg.FormatSize(f.Length)))
	}
	if f.Container != "" {
		parts = append(parts, whose(f))
	}
	return strings.Join(append(parts, f.What), ": ")
}

func whose(f system.Finding) string {
	text := "container " + f.Container
	if f.Epoch > 0 {
		text += " snapshot @" + strconv.FormatUint(f.Epoch, 10)
	}
	if f.Object == "" {
		return text
	}
	text += " object " + f.Object
	if f.LastObject != f.Object {
		return text + " to " + f.LastObject
	}
	if bytes.Equal(f.High, append(bytes.Clone(f.Low), 0)) { // nothing is between the two
		return text + " key " + arg.UTF8.Show(f.Low)
	}
	low, high := "the first key", "the last key"
	if len(f.Low) > 0 {
		low = arg.UTF8.Show(f.Low)
	}
	if len(f.High) > 0 {
		high = "before " + arg.UTF8.Show(f.High)
	}
	return text + " keys from " + low + " to " + high
}
