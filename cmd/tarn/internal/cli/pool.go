// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) poolCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pool", Short: "pools: create, list, info, attr, acl, set-owner, check, sync, checkpoint, destroy", RunE: group}
	cmd.AddCommand(a.poolCreate(), a.poolList(), a.poolInfo(), a.poolDestroy(),
		a.poolVerb("check POOL", "read and verify everything in a pool; changes wait meanwhile", "checked", checkPool),
		a.poolVerb("sync POOL", "wait until everything applied so far is durable", "synced", system.Pool.Sync),
		a.poolVerb("checkpoint POOL", "write a checkpoint, so that the log is empty", "checkpointed", system.Pool.Checkpoint))
	cmd.AddCommand(a.poolAttributes())
	cmd.AddCommand(a.poolAccess().commands()...)
	return cmd
}

func checkPool(pool system.Pool, ctx context.Context) error {
	_, err := pool.Check(ctx, system.CheckOptions{})
	return err
}

// sizeFlag is a flag that takes a size, such as 10GiB.
type sizeFlag struct{ bytes *uint64 }

func (s sizeFlag) Set(text string) (err error) {
	*s.bytes, err = arg.Size(text)
	if err != nil {
		return fmt.Errorf("%s", out.Message(err))
	}
	return nil
}

func (s sizeFlag) String() string {
	if s.bytes == nil || *s.bytes == 0 {
		return ""
	}
	return arg.FormatSize(*s.bytes)
}

func (s sizeFlag) Type() string { return "size" }

func (a *app) poolCreate() *cobra.Command {
	var opts system.CreatePool
	var node uint64
	cmd := &cobra.Command{
		Use: "create POOL", Short: "make a pool in a file of the root directory, or on a device", Args: args(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		Example:           "  tarn pool create tank --size 1G\n  tarn pool create tank --device /dev/nvme0n1",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			if opts.Size == 0 && opts.Device == "" {
				return usage("a pool in a file needs --size, such as --size 1G")
			}
			if node > math.MaxUint32 {
				return usage("--node-size is at most 4 GiB - 1")
			}
			opts.NodeBytes = uint32(node)
			a.where.MakeRoot = true
			return a.with(cmd, func(ctx context.Context, sys system.System) error {
				var bar *tree.Progress
				if opts.Zeroed && a.StderrTTY && !a.quiet {
					bar = tree.NewProgress(a.Stderr)
					opts.Progress = bar.Set
				}
				info, err := sys.CreatePool(ctx, p.Pool, opts)
				bar.Stop()
				if err != nil {
					return err
				}
				return a.out.Answer(info, poolFields(info))
			})
		},
	}
	f := cmd.Flags()
	f.Var(sizeFlag{&opts.Size}, "size", "size of the pool, such as 10GiB, 10G or 512M (of a device default: all of it)")
	f.StringVar(&opts.Device, "device", "", "URI or path of the device that carries the pool (default: a file in the root directory)")
	f.StringVar(&opts.Owner, "owner", "", "who owns it, for access control lists")
	f.StringVar(&opts.Group, "owner-group", "", "the owner's group")
	f.Var(sizeFlag{&opts.LogBytes}, "log-size", "size of the write-ahead log (default: by the pool's size)")
	f.Var(sizeFlag{&node}, "node-size", "target size of a tree node (default 4 KiB)")
	f.BoolVar(&opts.Zeroed, "zeroed", false, "write all of it with zeros first: durable writes are faster until each block has been written once")
	f.BoolVar(&opts.Overwrite, "overwrite", false, "format a device although it holds something: THAT IS LOST")
	return cmd
}

func poolFields(i system.PoolInfo) func(io.Writer) error {
	fields := []out.Field{
		{Name: "Pool", Value: i.Label},
		{Name: "UUID", Value: i.UUID},
		{Name: "Path", Value: i.Path},
		{Name: "Size", Value: arg.FormatSize(i.TotalBytes)},
		{Name: "Free", Value: arg.FormatSize(i.FreeBytes)},
		{Name: "Log", Value: used(i.LogUsedBytes, i.LogBytes)},
	}
	if i.CacheBytes > 0 { // the pool is open: the rest is known
		fields = append(fields, out.Field{Name: "Cache", Value: used(i.CacheUsedBytes, i.CacheBytes)},
			out.Field{Name: "Containers", Value: fmt.Sprint(i.Containers)})
	}
	fields = append(fields,
		out.Field{Name: "Targets", Value: fmt.Sprintf("%d, map version %d", i.Targets, i.MapVersion)},
		out.Field{Name: "Generation", Value: fmt.Sprint(i.Generation)},
		out.Field{Name: "Format", Value: fmt.Sprint(i.FormatVersion)})
	if i.ReadOnly {
		fields = append(fields, out.Field{Name: "State", Value: "read-only: a device failed"})
	}
	return func(w io.Writer) error { return out.Fields(w, fields...) }
}

func used(part, all uint64) string {
	return arg.FormatSize(part) + " used of " + arg.FormatSize(all)
}

func (a *app) poolList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the pools", Aliases: []string{"ls"}, Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, sys system.System) error {
				pools, err := sys.Pools(ctx)
				if err != nil {
					return err
				}
				t := out.Table{Head: []string{"POOL", "SIZE", "FREE", "UUID", "PATH"}, Right: []bool{false, true, true}}
				for _, p := range pools {
					t.Row(p.Label, arg.FormatSize(p.TotalBytes), arg.FormatSize(p.FreeBytes), p.UUID, p.Path)
				}
				return a.out.Answer(list(pools), t.Write)
			})
		},
	}
}

// list makes an empty list of nil, so that JSON says [] and not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (a *app) poolInfo() *cobra.Command {
	return &cobra.Command{
		Use: "info POOL", Short: "describe a pool", Args: args(1, 1), ValidArgsFunction: a.names(arg.Pool),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				info, err := pool.Info(ctx)
				if err != nil {
					return err
				}
				return a.out.Answer(info, poolFields(info))
			})
		},
	}
}

// poolVerb is a command that does one thing to a pool and has nothing to tell but that it is done.
func (a *app) poolVerb(use, short, done string, verb func(system.Pool, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args(1, 1), ValidArgsFunction: a.names(arg.Pool),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				if err := verb(pool, ctx); err != nil {
					return err
				}
				return a.done(done, p)
			})
		},
	}
}

// done answers that something has been done to what the path names.
func (a *app) done(what string, p arg.Path) error {
	return a.out.Answer(map[string]string{what: p.String()}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", p, what)
		return err
	})
}

func (a *app) poolDestroy() *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "destroy POOL", Short: "destroy a pool; with --force also one that holds containers", Args: args(1, 1), ValidArgsFunction: a.names(arg.Pool),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			if err := a.ask(c, "destroy the pool "+p.Pool); err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, sys system.System) error {
				if err := sys.DestroyPool(ctx, p.Pool, c.force); err != nil {
					return destroyHint(err, "'tarn pool list' shows the pools there are")
				}
				return a.done("destroyed", p)
			})
		},
	}
	c.flags(cmd, "also a pool that holds containers, with all their data; does not ask")
	return cmd
}
