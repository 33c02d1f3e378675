// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) objCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "obj", Aliases: []string{"object"}, Short: "objects: create, list, rename, destroy", RunE: group}
	cmd.AddCommand(a.objCreate(), a.objList(), a.objRename(), a.objDestroy())
	return cmd
}

func (a *app) objCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create POOL/CONTAINER/OBJECT", Short: "make a key-value object ('kv put' and 'import' make it, too)", Args: args(1, 3),
		ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Object, args...)
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				info, err := cont.CreateObject(ctx, p.Object)
				if err != nil {
					return err
				}
				return a.out.Answer(info, func(w io.Writer) error {
					return out.Fields(w, out.Field{Name: "Object", Value: info.Name}, out.Field{Name: "OID", Value: info.OID},
						out.Field{Name: "Type", Value: info.Type})
				})
			})
		},
	}
}

func (a *app) objList() *cobra.Command {
	return &cobra.Command{
		Use: "list POOL/CONTAINER", Short: "list the objects of a container", Aliases: []string{"ls"}, Args: args(1, 2),
		ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				objects := []system.ObjectInfo{}
				t := out.Table{Head: []string{"OBJECT", "TYPE", "OID"}}
				for o, err := range cont.Objects(ctx, "") {
					if err != nil {
						return err
					}
					objects = append(objects, o)
					t.Row(arg.UTF8.Show([]byte(o.Name)), o.Type, o.OID)
				}
				return a.out.Answer(objects, t.Write)
			})
		},
	}
}

func (a *app) objRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename POOL/CONTAINER/OBJECT NEW-NAME", Short: "give an object another name, at one moment", Aliases: []string{"mv"}, Args: args(2, 2),
		ValidArgsFunction: a.names(arg.Object),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Object, args[0])
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				if err := cont.RenameObject(ctx, p.Object, args[1]); err != nil {
					return ifAbsent(err, "'tarn obj list "+p.Pool+"/"+p.Container+"' shows the objects there are")
				}
				p.Object = args[1]
				return a.done("renamed", p)
			})
		},
	}
}

func (a *app) objDestroy() *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "destroy POOL/CONTAINER/OBJECT", Short: "destroy an object with all its keys", Args: args(1, 3),
		ValidArgsFunction: a.names(arg.Object),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Object, args...)
			if err != nil {
				return err
			}
			if err := a.ask(c, "destroy the object "+p.String()+" with all its keys"); err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				if err := cont.DestroyObject(ctx, p.Object); err != nil {
					return ifAbsent(err, "'tarn obj list "+p.Pool+"/"+p.Container+"' shows the objects there are")
				}
				return a.done("destroyed", p)
			})
		},
	}
	c.flags(cmd, "do not ask")
	return cmd
}
