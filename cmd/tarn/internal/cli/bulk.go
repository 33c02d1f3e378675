// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/bulk"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutBulk = `Writes the objects of a container, or one of them, to a file, and stores such a file in a container: for copies, for moves between
pools and machines, and for editing. "-" is the standard output or input.

The binary format has a chained checksum in every frame. A damaged file is refused with the place of the damage: before anything is
stored when it is a file, which is read twice, and else with the number of entries that were stored before that place.
--format jsonl is lines of JSON for people, without checksums. Import finds out which of the two it reads.`

const aboutBulkExport = `export writes every object of the container, or the one that is named, with all keys and values of any size; of a whole container
its attributes too, when you may see them. Entries are read while it runs: for one moment of the container, give --snapshot. The file appears under its name when it is whole.`

const aboutBulkImport = `import stores the objects of a file under their own names; with POOL/CONTAINER/OBJECT the only object of the file under that one.
Objects that are missing are made. What becomes of a key that is there already says --on-conflict: fail ends the import, skip leaves it as it
is, overwrite replaces it; the same of an attribute of the container. Attributes need the right to set them: --no-attributes leaves them out. An import that was interrupted is completed by the same command with --on-conflict skip.`

func (a *app) bulkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bulk", Short: "whole containers to a file and back: export, import, verify", Long: aboutBulk, RunE: group}
	cmd.AddCommand(a.bulkExport(), a.bulkImport(), a.bulkVerify())
	return cmd
}

// containerOrObject reads "tank/neo" or "tank/neo/stadium".
func containerOrObject(text string) (arg.Path, error) {
	if strings.Count(text, "/") >= arg.Object-1 {
		return arg.ParsePath(arg.Object, text)
	}
	return arg.ParsePath(arg.Container, text)
}

// exportFlags say what is exported, and how.
type exportFlags struct {
	format, snapshot string
	overwrite        bool
}

func (a *app) bulkExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export POOL/CONTAINER[/OBJECT] FILE", Short: "write objects to a file, or to the standard output with -", Args: args(2, 2),
		Long: aboutBulkExport, ValidArgsFunction: a.namesAndFiles(arg.Object),
		Example: "  tarn bulk export tank/neo neo.tarn\n  tarn bulk export tank/neo - --snapshot nightly | zstd > neo.tarn.zst",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := containerOrObject(args[0])
			if err != nil {
				return err
			}
			if f.format != "binary" && f.format != "jsonl" {
				return usage("--format is binary or jsonl, not %q", f.format)
			}
			if args[1] == "-" && (a.out.JSON || a.StdoutTTY && f.format == "binary") {
				return usage("the standard output is taken: name a file, or leave -o json out and redirect it")
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				return a.inSnapshot(ctx, cont, p, f.snapshot, func(cont system.Container) error {
					return a.exportBulk(ctx, cont, p, args[1], f)
				})
			})
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "binary", "binary or jsonl")
	cmd.Flags().StringVar(&f.snapshot, "snapshot", "", "as it was in this snapshot: its name, or @ and its epoch")
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "replace the file when it exists")
	complete(cmd, "format", "binary", "jsonl")
	return cmd
}

// inSnapshot calls f with the container as it was in a snapshot; "" is as it is.
func (a *app) inSnapshot(ctx context.Context, cont system.Container, p arg.Path, snapshot string, f func(system.Container) error) error {
	if snapshot == "" {
		return f(cont)
	}
	at, err := snapshotRef(snapshot)
	if err != nil {
		return err
	}
	old, err := cont.OpenSnapshot(ctx, at)
	if err != nil {
		return absentSnapshot(err, p)
	}
	return errors.Join(f(old), old.Close())
}

// bulkDone is what JSON says of an export and of a check.
type bulkDone struct {
	bulk.Total
	Seconds float64 `json:"seconds"`
}

func (a *app) exportBulk(ctx context.Context, cont system.Container, p arg.Path, file string, f exportFlags) error {
	bar := a.bulkBar()
	o := bulk.ExportOptions{Object: p.Object, Lines: f.format == "jsonl", Progress: bar.Add}
	begin := time.Now()
	var total bulk.Total
	export := func(w io.Writer) (err error) {
		total, err = bulk.Export(ctx, cont, p.String(), w, o)
		return err
	}
	answer := a.Stdout
	var err error
	if file == "-" {
		answer, err = a.Stderr, export(a.Stdout)
	} else {
		err = wholeFile(file, f.overwrite, export)
	}
	bar.Stop()
	if err != nil {
		return ifAbsent(err, "'tarn obj list "+p.Pool+"/"+p.Container+"' shows the objects there are")
	}
	if file == "-" && a.quiet {
		return nil
	}
	return a.out.Answer(bulkDone{total, time.Since(begin).Seconds()}, func(io.Writer) error {
		_, err := fmt.Fprintf(answer, "%s exported\n", bulkText(total))
		return err
	})
}

func (a *app) bulkBar() *tree.Progress {
	if a.StderrTTY && !a.quiet && !a.out.JSON {
		return tree.NewProgressOf(a.Stderr, "keys")
	}
	return nil
}

func bulkText(t bulk.Total) string {
	text := tree.Count(t.Objects, "object", "objects") + ", " + tree.Count(t.Entries, "key", "keys") + ", " + arg.FormatSize(t.Bytes)
	if t.Attributes > 0 {
		text += ", " + tree.Count(t.Attributes, "attribute", "attributes")
	}
	return text
}

// wholeFile writes a file that appears under its name when it is whole and durable.
func wholeFile(path string, overwrite bool, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !overwrite && !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return fileError(path, err)
		}
		return errno.New("", path, errno.Exist, "the file exists: give --overwrite to replace it")
	}
	part := path + ".partial"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return fileError(part, err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part) // the error that counts is the first
		return fileError(path, err)
	}
	return nil
}

// fileError is an error of the system in this package's words; others stay as they are.
func fileError(path string, err error) error {
	var e *errno.Error
	if errors.As(err, &e) {
		return err
	}
	code := errno.IO
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = errno.NoEntry
	case errors.Is(err, fs.ErrPermission):
		code = errno.NoPerm
	}
	with := errno.New("", path, code, err.Error())
	with.Err = err
	return with
}

// importFlags say how a file is imported.
type importFlags struct {
	onConflict       string
	create, noVerify bool
	noAttributes     bool
}

func (a *app) bulkImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import POOL/CONTAINER[/OBJECT] FILE", Short: "store the objects of a file, or of the standard input with -", Args: args(2, 2),
		Long: aboutBulkImport, ValidArgsFunction: a.namesAndFiles(arg.Object),
		Example: "  tarn bulk import tank/neo neo.tarn --create\n  tarn bulk import tank/neo/stadium stadium.jsonl --on-conflict overwrite",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := containerOrObject(args[0])
			if err != nil {
				return err
			}
			switch bulk.OnConflict(f.onConflict) {
			case bulk.Fail, bulk.Skip, bulk.Overwrite:
			default:
				return usage("--on-conflict is fail, skip or overwrite, not %q", f.onConflict)
			}
			if args[1] == "-" && f.create {
				return usage("--create needs a file: it is read twice")
			}
			return a.bulkInput(args[1], func(in *bulkInput) error { return a.importBulk(cmd, p, in, f) })
		},
	}
	cmd.Flags().StringVar(&f.onConflict, "on-conflict", "fail", "of a key that is there: fail, skip or overwrite")
	cmd.Flags().BoolVar(&f.create, "create", false, "make the container when it is missing, as the file describes it")
	cmd.Flags().BoolVar(&f.noVerify, "no-verify", false, "read a file once: damage is found when what stands before it has been stored")
	cmd.Flags().BoolVar(&f.noAttributes, "no-attributes", false, "leave out the attributes of the container")
	complete(cmd, "on-conflict", "fail", "skip", "overwrite")
	cmd.MarkFlagsMutuallyExclusive("create", "no-verify")
	return cmd
}

// bulkInput is what is imported.
type bulkInput struct {
	name string
	r    io.Reader
	file *os.File // nil: the standard input
	size uint64
}

func (a *app) bulkInput(name string, f func(*bulkInput) error) error {
	if name == "-" {
		return f(&bulkInput{name: "standard input", r: a.Stdin})
	}
	file, err := os.Open(name)
	if err != nil {
		return fileError(name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fileError(name, err)
	}
	in := &bulkInput{name: name, r: file, size: uint64(max(info.Size(), 0))}
	if info.Mode().IsRegular() { // a pipe that has a name is read once
		in.file = file
	}
	return f(in)
}

// verified reads all of it, and goes back to its begin.
func (a *app) verified(ctx context.Context, in *bulkInput) (bulk.Header, bulk.Total, error) {
	bar := a.bulkBar()
	defer bar.Stop()
	header, total, err := bulk.Verify(reading{ctx, in.r}, func(n uint64) { bar.Set(n, in.size) })
	if err != nil {
		return header, total, aboutFile(in.name, err, "")
	}
	if in.file != nil {
		_, err = in.file.Seek(0, io.SeekStart)
	}
	return header, total, err
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.ctx.Err()
	}
	return r.r.Read(p)
}

// aboutFile says which file an error is about, when it is of the file, and what has been done by then.
func aboutFile(name string, err error, done string) error {
	code := errno.CodeOf(err)
	var e *errno.Error
	if !errors.As(err, &e) {
		e = errno.New("", name, code, err.Error())
	}
	with := *e
	if code == errno.Csum || code == errno.DFIncompt {
		with.Ref = name
	}
	with.Message, with.Err = e.Sentence()+done, err
	switch code {
	case errno.Csum:
		return out.WithHint(&with, "get the file anew from where it was made: what stands behind the damage cannot be trusted")
	case errno.Exist:
		return out.WithHint(&with, "--on-conflict skip keeps what is there, --on-conflict overwrite replaces it")
	}
	return &with
}

func (a *app) importBulk(cmd *cobra.Command, p arg.Path, in *bulkInput, f importFlags) error {
	return a.withPool(cmd, p, func(ctx context.Context, pool system.Pool) error {
		if in.file != nil && !f.noVerify {
			header, _, err := a.verified(ctx, in)
			if err == nil && f.create {
				err = createFor(ctx, pool, p.Container, header)
			}
			if err != nil {
				return err
			}
		}
		cont, err := pool.OpenContainer(ctx, p.Container)
		if err != nil {
			return ifAbsent(err, "--create makes the container; 'tarn cont list "+p.Pool+"' shows those there are")
		}
		return errors.Join(a.importInto(ctx, cont, p, in, f), cont.Close())
	})
}

// createFor makes the container that a header describes, unless there is one.
func createFor(ctx context.Context, pool system.Pool, label string, h bulk.Header) error {
	_, err := pool.CreateContainer(ctx, label, system.CreateContainer{Type: h.Type, Properties: h.Properties})
	if errno.CodeOf(err) == errno.Exist {
		return nil
	}
	return err
}

// bulkImported is what JSON says of an import.
type bulkImported struct {
	bulk.Imported
	Seconds float64 `json:"seconds"`
}

func (a *app) importInto(ctx context.Context, cont system.Container, p arg.Path, in *bulkInput, f importFlags) error {
	bar := a.bulkBar()
	begin := time.Now()
	done, err := bulk.Import(ctx, cont, reading{ctx, in.r}, bulk.ImportOptions{
		Object: p.Object, OnConflict: bulk.OnConflict(f.onConflict), Attributes: !f.noAttributes, Progress: func(n uint64) { bar.Set(n, in.size) },
	})
	bar.Stop()
	if err != nil {
		return aboutFile(in.name, err, fmt.Sprintf("; %d of its entries had been stored by then", done.Stored))
	}
	return a.out.Answer(bulkImported{done, time.Since(begin).Seconds()}, func(w io.Writer) error {
		left := ""
		if done.Skipped > 0 {
			left = ", " + tree.Count(done.Skipped, "key", "keys") + " left as before"
		}
		_, err := fmt.Fprintf(w, "%s imported%s\n", bulkText(done.Total), left)
		return err
	})
}

func (a *app) bulkVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "read a file of 'bulk export' and verify it", Args: args(1, 1), Example: "  tarn bulk verify neo.tarn",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bulkInput(args[0], func(in *bulkInput) error {
				begin := time.Now()
				header, total, err := a.verified(cmd.Context(), in)
				if err != nil {
					return err
				}
				return a.out.Answer(bulkDone{total, time.Since(begin).Seconds()}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s: %s of %s, nothing is damaged\n", in.name, bulkText(total), sourceOf(header))
					return err
				})
			})
		},
	}
}

func sourceOf(h bulk.Header) string {
	if h.Source == "" {
		return "a file without a header"
	}
	return h.Source
}
