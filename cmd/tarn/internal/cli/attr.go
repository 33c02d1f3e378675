// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutAttr = `User attributes are names with values, which mean nothing to Tarn. A name has 1 to 511 bytes of UTF-8, a value 1 to 65536 bytes,
and all of a pool, or of a container, at most 1 MiB. A snapshot keeps those of its time.`

// attrCommands are those of pools, or of containers.
type attrCommands struct {
	*app
	level int    // of the path: arg.Pool or arg.Container
	what  string // POOL
	verb  string // tarn pool
}

func (a *app) poolAttributes() *cobra.Command {
	return attrCommands{a, arg.Pool, "POOL", "tarn pool"}.command()
}

func (a *app) contAttributes() *cobra.Command {
	return attrCommands{a, arg.Container, "POOL/CONTAINER", "tarn cont"}.command()
}

func (c attrCommands) command() *cobra.Command {
	cmd := &cobra.Command{Use: "attr", Aliases: []string{"attribute"}, Short: "user attributes: set, get, list, delete", Long: aboutAttr, RunE: group}
	cmd.AddCommand(c.set(), c.get(), c.list(), c.delete())
	return cmd
}

// with calls f with the pool or the container.
func (c attrCommands) with(cmd *cobra.Command, path string, f func(context.Context, arg.Path, system.Attributes) error) error {
	p, err := arg.ParsePath(c.level, path)
	if err != nil {
		return err
	}
	if c.level == arg.Pool {
		return c.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error { return f(ctx, p, pool) })
	}
	return c.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error { return f(ctx, p, cont) })
}

func (c attrCommands) set() *cobra.Command {
	return &cobra.Command{
		Use: "set " + c.what + " NAME=VALUE...", Short: "set attributes, all or none; the others stay", Long: aboutAttr, Args: args(2, -1),
		Example: "  " + c.verb + " attr set " + strings.ToLower(c.what) + " team=storage ticket=4711", ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := attributePairs(args[1:])
			if err != nil {
				return err
			}
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.Attributes) error {
				if err := of.SetAttributes(ctx, change); err != nil {
					return err
				}
				return c.done("set", p)
			})
		},
	}
}

// attributePairs reads "name=value" pairs.
func attributePairs(pairs []string) (map[string][]byte, error) {
	change := map[string][]byte{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || name == "":
			return nil, usage("an attribute is NAME=VALUE, not %q", pair)
		case value == "":
			return nil, usage("the value of %s is empty: 'attr delete' takes an attribute away", name)
		case change[name] != nil:
			return nil, usage("%s is given twice", name)
		}
		change[name] = []byte(value)
	}
	return change, nil
}

func (c attrCommands) get() *cobra.Command {
	return &cobra.Command{
		Use: "get " + c.what + " NAME", Short: "write the value of an attribute, byte for byte", Args: args(2, 2), ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.Attributes) error {
				all, err := of.Attributes(ctx)
				if err != nil {
					return err
				}
				value, ok := all[args[1]]
				if !ok {
					err := errno.New("", p.String(), errno.NonExist, "there is no attribute "+args[1])
					return ifAbsent(err, "'"+c.verb+" attr list' shows those there are")
				}
				return c.out.Answer(attributeOf(args[1], value), func(w io.Writer) error { return c.writeValue(w, value) })
			})
		},
	}
}

// writeValue ends the value with a newline on a terminal only, so that what is piped is the value.
func (c attrCommands) writeValue(w io.Writer, value []byte) error {
	if c.StdoutTTY {
		value = append(slices.Clip(value), '\n')
	}
	_, err := w.Write(value)
	return err
}

// attribute is one as JSON has it.
type attribute struct {
	Name     string       `json:"name"`
	Value    string       `json:"value"`
	Encoding arg.Encoding `json:"encoding"` // of the value
}

func attributeOf(name string, value []byte) attribute {
	e := arg.UTF8.Exact(value)
	return attribute{Name: name, Value: e.Encode(value), Encoding: e}
}

func (c attrCommands) list() *cobra.Command {
	return &cobra.Command{
		Use: "list " + c.what, Short: "list all attributes", Aliases: []string{"ls"}, Args: args(1, 1), ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, args[0], func(ctx context.Context, _ arg.Path, of system.Attributes) error {
				all, err := of.Attributes(ctx)
				if err != nil {
					return err
				}
				answer := []attribute{}
				for _, name := range slices.Sorted(maps.Keys(all)) {
					answer = append(answer, attributeOf(name, all[name]))
				}
				return c.out.Answer(answer, func(w io.Writer) error {
					for _, a := range answer {
						if _, err := fmt.Fprintf(w, "%s=%s\n", arg.UTF8.Show([]byte(a.Name)), arg.UTF8.Show(all[a.Name])); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
}

func (c attrCommands) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete " + c.what + " NAME...", Short: "delete attributes; it is an error when none of them is there", Aliases: []string{"del"},
		Args: args(2, -1), ValidArgsFunction: c.names(c.level),
		RunE: func(cmd *cobra.Command, args []string) error {
			change := map[string][]byte{}
			for _, name := range args[1:] {
				change[name] = nil
			}
			return c.with(cmd, args[0], func(ctx context.Context, p arg.Path, of system.Attributes) error {
				if err := of.SetAttributes(ctx, change); err != nil {
					return ifAbsent(err, "'"+c.verb+" attr list' shows those there are")
				}
				return c.done("set", p)
			})
		},
	}
}
