// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutImport = `import stores every regular file below DIR: the key is the file's path relative to DIR, the value its bytes.

Symbolic links are followed, as 'diff -r' and 'cp -L' do: what is stored is what they point to. A link that leads back to a
directory above it, or to nothing, is left out; so are sockets, pipes and devices. How many were left out is said at the end.
An empty directory is a key that ends in "/", with an empty value. Modes, owners and times are not stored.
Files are stored 16 at a time, each whole or not at all. Keys that are there already are replaced; others are left alone.`

const aboutExport = `export writes every key of an object as a file below DIR, which is made when it is missing: the reverse of import.

A key that is not a path below DIR (one that is absolute, or has "." or ".." or an empty part) is refused before anything is
written. No file is written outside of DIR, whatever links it holds. A file that exists is an error, unless --overwrite is given.`

func (a *app) importCommand() *cobra.Command {
	var noFollow bool
	cmd := &cobra.Command{
		Use: "import POOL/CONTAINER/OBJECT DIR", Short: "store a tree of files: path -> bytes", Long: aboutImport, Args: args(2, 2),
		ValidArgsFunction: a.namesAndFiles(arg.Object),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Object, args[0])
			if err != nil {
				return err
			}
			if err := tree.CheckDir(args[1]); err != nil {
				return err
			}
			return a.withKV(cmd, p, true, func(ctx context.Context, kv system.KV) error {
				return a.transfer("imported", func(bar *tree.Progress) (tree.Result, error) {
					return tree.Import(ctx, kv, args[1], tree.ImportOptions{NoFollow: noFollow, Progress: bar})
				})
			})
		},
	}
	cmd.Flags().BoolVar(&noFollow, "no-follow", false, "leave symbolic links out")
	return cmd
}

func (a *app) exportCommand() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use: "export POOL/CONTAINER/OBJECT DIR", Short: "write the keys of an object as files", Long: aboutExport, Args: args(2, 2),
		ValidArgsFunction: a.namesAndFiles(arg.Object),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Object, args[0])
			if err != nil {
				return err
			}
			return a.withKV(cmd, p, false, func(ctx context.Context, kv system.KV) error {
				return a.transfer("exported", func(bar *tree.Progress) (tree.Result, error) {
					return tree.Export(ctx, kv, args[1], tree.ExportOptions{Overwrite: overwrite, Progress: bar})
				})
			})
		},
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that exist")
	return cmd
}

// moved is what JSON says of a transfer.
type moved struct {
	tree.Result
	Seconds float64 `json:"seconds"`
}

// transfer runs a transfer with a progress bar, and answers with what was moved.
func (a *app) transfer(verb string, run func(*tree.Progress) (tree.Result, error)) error {
	var bar *tree.Progress
	if a.StderrTTY && !a.quiet && !a.out.JSON {
		bar = tree.NewProgress(a.Stderr)
	}
	start := time.Now()
	r, err := run(bar)
	bar.Stop()
	if err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	if note := r.Skipped.String(); note != "" && !a.quiet && !a.out.JSON {
		fmt.Fprintf(a.Stderr, "left out: %s\n", note)
	}
	return a.out.Answer(moved{r, took}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", r, verb)
		return err
	})
}
