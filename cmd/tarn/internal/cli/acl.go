// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutACL = `An access control list says who may use a pool or a container through a gateway. An entry is A:FLAGS:PRINCIPAL:PERMISSIONS.

  PRINCIPAL    OWNER@, GROUP@ (the owner's group), EVERYONE@, or a name with @ behind it
  FLAGS        G when the principal is a group, else nothing
  PERMISSIONS  r read, w write, d delete containers, t get properties; of pools also c create containers;
               of containers also T set properties, a get the list, A set the list, o set the owner

What counts is the first of these that is there: OWNER@ for the owner; the caller's name; the caller's groups and GROUP@, together;
EVERYONE@. What they do not give is denied. Without a list the caller's role alone decides. The role admin can always change a list.`

// accessCommands are those of pools, or of containers.
type accessCommands struct {
	*app
	level int // of the path: arg.Pool or arg.Container
	kind  acl.Kind
	what  string // POOL
}

func (a *app) poolAccess() accessCommands { return accessCommands{a, arg.Pool, acl.Pool, "POOL"} }
func (a *app) contAccess() accessCommands {
	return accessCommands{a, arg.Container, acl.Container, "POOL/CONTAINER"}
}

func (c accessCommands) commands() []*cobra.Command { return []*cobra.Command{c.acl(), c.setOwner()} }

func (c accessCommands) acl() *cobra.Command {
	cmd := &cobra.Command{
		Use: "acl", Short: "access control list: get, overwrite, update, delete", Long: aboutACL, RunE: group,
	}
	cmd.AddCommand(c.get(),
		c.put("overwrite", "make these entries the list, instead of what it was", system.AccessControl.OverwriteACL),
		c.put("update", "put these entries into the list, in the place of those of the same principals", system.AccessControl.UpdateACL),
		c.delete())
	return cmd
}

// with calls f with the pool or the container.
func (c accessCommands) with(cmd *cobra.Command, path string, f func(context.Context, arg.Path, system.AccessControl) error) error {
	p, err := arg.ParsePath(c.level, path)
	if err != nil {
		return err
	}
	if c.kind == acl.Pool {
		return c.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error { return f(ctx, p, pool) })
	}
	return c.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error { return f(ctx, p, cont) })
}

func (c accessCommands) get() *cobra.Command {
	return &cobra.Command{
		Use: "get " + c.what, Short: "print the owner and the list, as --file takes it", Long: aboutACL, Args: args(1, 1),
		ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, args[0], func(ctx context.Context, _ arg.Path, of system.AccessControl) error {
				access, err := of.Access(ctx)
				if err != nil {
					return err
				}
				access.Entries = list(access.Entries)
				return c.out.Answer(access, func(w io.Writer) error { return writeAccess(w, access) })
			})
		},
	}
}

// writeAccess writes as DAOS does.
func writeAccess(w io.Writer, a system.Access) error {
	for _, owner := range []struct{ what, name string }{{"Owner", a.Owner}, {"Owner Group", a.Group}} {
		if owner.name == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "# %s: %s@\n", owner.what, strings.TrimSuffix(owner.name, "@")); err != nil {
			return err
		}
	}
	if !a.HasList {
		_, err := fmt.Fprintln(w, "# there is no list: the role of a caller decides")
		return err
	}
	_, err := io.WriteString(w, "# Entries:\n"+strings.Join(append(a.Entries, ""), "\n"))
	return err
}

// put is overwrite or update.
func (c accessCommands) put(verb, short string, change func(system.AccessControl, context.Context, []string) error) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: verb + " " + c.what + " [ENTRY...]", Short: short, Long: aboutACL, Args: args(1, -1), ValidArgsFunction: c.names(c.level),
		Example: "  tarn cont acl " + verb + " tank/neo A::OWNER@:rwdtTaAo A::alice@:rwt A:G:staff@:rt\n  tarn cont acl " + verb + " tank/neo --file list.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := c.entries(args[1:], file)
			if err != nil {
				return err
			}
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.AccessControl) error {
				if err := change(of, ctx, entries); err != nil {
					return err
				}
				return c.done("set", p)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "read entries from a file, one on each line; -: the standard input")
	return cmd
}

// entries are those of the arguments, or of a file. They are read here first, so that an error names the entry.
func (c accessCommands) entries(words []string, file string) ([]string, error) {
	if (len(words) > 0) == (file != "") {
		return nil, usage("give entries, or --file FILE")
	}
	text := strings.Join(words, "\n")
	if file != "" {
		bytes, err := c.fileOrStdin(file)
		if err != nil {
			return nil, err
		}
		text = string(bytes)
	}
	list, err := acl.Parse(c.kind, text)
	if err != nil {
		return nil, err
	}
	return list.Strings(), nil
}

func (a *app) fileOrStdin(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.Stdin, acl.Max))
	}
	return readFile(path)
}

func (c accessCommands) delete() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "delete " + c.what + " [PRINCIPAL]", Short: "take an entry out of the list, or with --all the list away", Args: args(1, 2),
		Long: aboutACL + "\n\nPRINCIPAL is u:alice@, g:staff@, OWNER@, GROUP@ or EVERYONE@.", ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 2) == all {
				return usage("give a principal, or --all")
			}
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.AccessControl) error {
				err := remove(ctx, of, args[1:])
				if err != nil {
					return err
				}
				return c.done("set", p)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "the whole list: then the role of a caller alone decides")
	return cmd
}

func remove(ctx context.Context, of system.AccessControl, principal []string) error {
	if len(principal) == 0 {
		return of.ClearACL(ctx)
	}
	return of.DeleteACL(ctx, principal[0])
}

func (c accessCommands) setOwner() *cobra.Command {
	var user, ownerGroup string
	cmd := &cobra.Command{
		Use: "set-owner " + c.what, Short: "set the owner, the owner's group, or both", Args: args(1, 1), ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := func(flag string, value *string) *string {
				if cmd.Flags().Changed(flag) {
					return value
				}
				return nil
			}
			u, g := given("user", &user), given("group", &ownerGroup)
			if u == nil && g == nil {
				return usage("nothing is to be set: give --user NAME, --group NAME or both")
			}
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.AccessControl) error {
				if err := of.SetOwner(ctx, u, g); err != nil {
					return err
				}
				return c.done("set", p)
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the new owner")
	cmd.Flags().StringVar(&ownerGroup, "group", "", "the new owner's group")
	return cmd
}
