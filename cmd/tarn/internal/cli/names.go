// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/go/system"
)

// completionTimeout is how long a user who pressed the tab key waits.
const completionTimeout = 2 * time.Second

type completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// names completes the first argument with the live names of pools, containers and objects, down to the given level. What cannot be
// reached, or is held by another process, completes to nothing.
func (a *app) names(level int) completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(cmd, level, word)
	}
}

// namesAndFiles completes the first argument as names does, and those behind it with the names of files.
func (a *app) namesAndFiles(level int) completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return a.complete(cmd, level, word)
	}
}

func (a *app) complete(cmd *cobra.Command, level int, word string) ([]string, cobra.ShellCompDirective) {
	if ctx := cmd.Context(); ctx == nil {
		cmd.SetContext(context.Background())
	}
	a.timeout = completionTimeout
	parts := strings.Split(word, "/")
	depth := len(parts)
	if depth > level {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	parts = append(parts, "", "")
	words, err := a.children(cmd, depth, arg.Path{Pool: parts[0], Container: parts[1]})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	parent := word[:strings.LastIndexByte(word, '/')+1]
	var found []string
	for _, w := range words {
		if w = parent + w; strings.HasPrefix(w, word) {
			found = append(found, w)
		}
	}
	if depth == level {
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	for i := range found {
		found[i] += "/"
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// children lists the names at a level: the pools, the containers of p's pool, or the objects of p's container.
func (a *app) children(cmd *cobra.Command, level int, p arg.Path) (names []string, err error) {
	switch level {
	case arg.Pool:
		err = a.with(cmd, func(ctx context.Context, sys system.System) error {
			pools, err := sys.Pools(ctx)
			for _, pool := range pools {
				names = append(names, pool.Label)
			}
			return err
		})
	case arg.Container:
		err = a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
			conts, err := pool.Containers(ctx)
			for _, c := range conts {
				names = append(names, c.Label)
			}
			return err
		})
	case arg.Object:
		err = a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
			for o, err := range cont.Objects(ctx, "") {
				if err != nil {
					return err
				}
				names = append(names, o.Name)
			}
			return nil
		})
	}
	return names, err
}
