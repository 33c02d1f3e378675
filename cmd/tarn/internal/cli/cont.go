// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) contCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cont", Aliases: []string{"container"}, Short: "containers: create, list, info, set, attr, acl, set-owner, destroy", RunE: group,
		Long: "Containers are private object namespaces in a pool. A path may be written as POOL/CONTAINER or as POOL CONTAINER.",
	}
	cmd.AddCommand(a.contCreate(), a.contList(), a.contInfo(), a.contSet(), a.contAttributes(), a.contDestroy())
	cmd.AddCommand(a.contAccess().commands()...)
	return cmd
}

// containerTypes are the types that a container can have.
var containerTypes = []string{string(system.TypeKV), string(system.TypePython), string(system.TypePOSIX), string(system.TypeHDF5),
	string(system.TypeUnknown)}

func (a *app) contCreate() *cobra.Command {
	var kind string
	var props []string
	cmd := &cobra.Command{
		Use: "create POOL/CONTAINER", Short: "make a container", Args: args(1, 2), ValidArgsFunction: a.names(arg.Pool),
		Example: "  tarn cont create tank/neo --type KV --prop owner=anna --prop value_max=16M",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			opts := system.CreateContainer{Type: system.ContainerType(strings.ToUpper(kind))}
			if opts.Properties, err = properties(props); err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				info, err := pool.CreateContainer(ctx, p.Container, opts)
				if err != nil {
					return err
				}
				return a.out.Answer(info, containerFields(info))
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", string(system.TypeKV), "layout: "+strings.Join(containerTypes, ", "))
	propFlag(cmd, &props)
	complete(cmd, "type", containerTypes...)
	return cmd
}

func propFlag(cmd *cobra.Command, props *[]string) {
	cmd.Flags().StringArrayVar(props, "prop", nil, "property NAME=VALUE, may be given again: owner, group, description, value_max, durability")
	complete(cmd, "prop", "owner=", "group=", "description=", "value_max=", "durability=durable", "durability=relaxed")
}

// properties reads "name=value" pairs.
func properties(pairs []string) (p system.Properties, err error) {
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok:
			return p, usage("--prop is NAME=VALUE, not %q", pair)
		case name == "owner":
			p.Owner = &value
		case name == "group":
			p.Group = &value
		case name == "description":
			p.Description = &value
		case name == "durability":
			d := system.Durability(value)
			p.Durability = &d
		case name == "value_max":
			n, err := arg.Size(value)
			if err != nil {
				return p, err
			}
			p.ValueMax = &n
		default:
			return p, usage("there is no property %q: owner, group, description, value_max and durability are known", name)
		}
	}
	return p, nil
}

func containerFields(i system.ContainerInfo) func(io.Writer) error {
	return func(w io.Writer) error {
		return out.Fields(w,
			out.Field{Name: "Container", Value: i.Label},
			out.Field{Name: "UUID", Value: i.UUID},
			out.Field{Name: "Type", Value: string(i.Type)},
			out.Field{Name: "Created", Value: i.Created.UTC().Format(time.RFC3339)},
			out.Field{Name: "Objects", Value: fmt.Sprint(i.Objects)},
			out.Field{Name: "Snapshots", Value: some(i.Snapshots)},
			out.Field{Name: "Handles", Value: fmt.Sprint(i.OpenHandles)},
			out.Field{Name: "ValueMax", Value: arg.FormatSize(i.ValueMax)},
			out.Field{Name: "Durability", Value: string(i.Durability)},
			out.Field{Name: "Owner", Value: i.Owner},
			out.Field{Name: "Group", Value: i.Group},
			out.Field{Name: "Description", Value: i.Description})
	}
}

// some is a number that is left out when it is 0.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (a *app) contList() *cobra.Command {
	return &cobra.Command{
		Use: "list POOL", Short: "list the containers of a pool", Aliases: []string{"ls"}, Args: args(1, 1),
		ValidArgsFunction: a.names(arg.Pool),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Pool, args...)
			if err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				conts, err := pool.Containers(ctx)
				if err != nil {
					return err
				}
				t := out.Table{Head: []string{"CONTAINER", "TYPE", "OBJECTS", "CREATED", "UUID"}, Right: []bool{false, false, true}}
				for _, c := range conts {
					t.Row(c.Label, string(c.Type), fmt.Sprint(c.Objects), c.Created.UTC().Format(time.RFC3339), c.UUID)
				}
				return a.out.Answer(list(conts), t.Write)
			})
		},
	}
}

// contSet changes properties of a container that is there.
func (a *app) contSet() *cobra.Command {
	var props []string
	cmd := &cobra.Command{
		Use: "set POOL/CONTAINER", Short: "set properties of a container", Args: args(1, 2), ValidArgsFunction: a.names(arg.Container),
		Example: "  tarn cont set tank/neo --prop durability=relaxed",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			changes, err := properties(props)
			if err != nil {
				return err
			}
			if len(props) == 0 {
				return usage("nothing is to be set: give --prop NAME=VALUE")
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				if err := cont.SetProperties(ctx, changes); err != nil {
					return err
				}
				return a.done("set", p)
			})
		},
	}
	propFlag(cmd, &props)
	return cmd
}

func (a *app) contInfo() *cobra.Command {
	return &cobra.Command{
		Use: "info POOL/CONTAINER", Short: "describe a container", Args: args(1, 2), ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				info, err := cont.Info(ctx)
				if err != nil {
					return err
				}
				return a.out.Answer(info, containerFields(info))
			})
		},
	}
}

func (a *app) contDestroy() *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "destroy POOL/CONTAINER", Short: "destroy a container; with --force also one that holds objects", Args: args(1, 2),
		ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			if err := a.ask(c, "destroy the container "+p.String()); err != nil {
				return err
			}
			return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
				if err := pool.DestroyContainer(ctx, p.Container, c.force); err != nil {
					return destroyHint(err, "'tarn cont list "+p.Pool+"' shows the containers there are")
				}
				return a.done("destroyed", p)
			})
		},
	}
	c.flags(cmd, "also a container that holds objects, with all their keys; does not ask")
	return cmd
}
