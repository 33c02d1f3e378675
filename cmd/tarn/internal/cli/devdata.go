// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/move"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// jsonMax is how much of a device goes into a JSON document.
const jsonMax = 16 << 20

// mover moves with a progress bar on the standard error, when that is a terminal and nothing speaks against it; stop wipes it.
func (a *app) mover(total uint64, silent bool) (m *move.Mover, stop func()) {
	var bar *tree.Progress
	if a.StderrTTY && !a.quiet && !a.out.JSON && !silent {
		bar = tree.NewProgress(a.Stderr)
		if total > 0 {
			bar.SetTotal(0, total)
		}
	}
	return &move.Mover{Buffer: a.Devices.Buffer, Progress: func(n uint64) { bar.Add(0, n) }}, bar.Stop
}

// transferred is what JSON says of bytes that were moved.
type transferred struct {
	Device  string  `json:"device"`
	Offset  uint64  `json:"offset"`
	Length  uint64  `json:"length"`
	Output  string  `json:"output,omitempty"`
	Data    []byte  `json:"data,omitempty"` // in base64
	Seconds float64 `json:"seconds"`
}

func (a *app) answerTransfer(t transferred, verb string) error {
	return a.out.Answer(t, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", arg.FormatSize(t.Length), verb)
		return err
	})
}

// readFlags say what is read, and where it goes.
type readFlags struct {
	extent
	output         string
	overwrite, hex bool
}

func (a *app) devRead() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use: "read DEVICE", Short: "write the bytes of a device to the standard output, or to a file", Args: args(1, 1),
		Long: "read writes the bytes of a device, or of a range of it, to the standard output or to a file. Offset and length need no\n" +
			"alignment. On a terminal, and with --hex, it is a hexadecimal dump; with -o json the data is in base64, of at most 16 MiB.",
		Example: "  tarn dev read /dev/nvme0n1 --length 1M --to head.img\n  tarn dev read /dev/sda --offset 512 --length 512 --hex",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error { return a.readRemote(ctx, d, args[0], f) })
			}
			return a.withTime(cmd, func(ctx context.Context) error {
				return a.withDevice(args[0], system.OpenDevice{}, func(d system.Device) error { return a.readLocal(ctx, d, args[0], f) })
			})
		},
	}
	cmd.Flags().StringVar(&f.offset, "offset", "0", "where to begin")
	cmd.Flags().StringVar(&f.length, "length", "", "how much (default: up to the end)")
	cmd.Flags().StringVar(&f.output, "to", "", "write to this file")
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "replace the file when it exists")
	cmd.Flags().BoolVar(&f.hex, "hex", false, "as a hexadecimal dump")
	cmd.MarkFlagsMutuallyExclusive("hex", "to")
	return cmd
}

func (a *app) readLocal(ctx context.Context, d system.Device, uri string, f readFlags) error {
	offset, length, err := f.resolve(uri, d.Info().Size)
	if err != nil {
		return err
	}
	m, stop := a.mover(length, f.output == "" && a.StdoutTTY) // a bar would stand in the middle of the dump
	defer stop()
	return a.readTo(f, transferred{Device: uri, Offset: offset, Length: length}, func(w io.Writer) (uint64, error) {
		if f.output != "" {
			return length, m.Copy(ctx, fileTarget{w.(*os.File)}, 0, d, offset, length)
		}
		return length, m.Out(ctx, w, d, offset, length)
	})
}

// fileTarget is a file that is written where it is told to.
type fileTarget struct{ *os.File }

func (f fileTarget) WriteAtContext(_ context.Context, p []byte, offset int64) (int, error) {
	return f.WriteAt(p, offset)
}

func (a *app) readRemote(ctx context.Context, d system.Devices, uri string, f readFlags) error {
	offset, length, err := f.parse()
	if err != nil {
		return err
	}
	if f.length != "" && length == 0 {
		return usage("--length is 0: there is nothing to read")
	}
	return a.readTo(f, transferred{Device: uri, Offset: offset, Length: length}, func(w io.Writer) (uint64, error) {
		r, err := d.ReadDevice(ctx, uri, offset, length)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(w, r)
		return uint64(n), errors.Join(err, r.Close())
	})
}

// readTo calls run with where the bytes go, which is the file when there is one, and answers.
func (a *app) readTo(f readFlags, t transferred, run func(w io.Writer) (uint64, error)) (err error) {
	start := time.Now()
	switch {
	case f.output != "":
		if t.Length, err = a.readFile(f, run); err != nil {
			return err
		}
		t.Output, t.Seconds = f.output, time.Since(start).Seconds()
		return a.answerTransfer(t, "read")
	case a.out.JSON:
		var data limited
		if t.Length, err = run(&data); err != nil {
			return err
		}
		t.Data, t.Seconds = data.Bytes(), time.Since(start).Seconds()
		return a.out.Answer(t, nil)
	case f.hex || a.StdoutTTY:
		dump := hex.Dumper(a.Stdout)
		_, err = run(dump)
		return errors.Join(err, dump.Close())
	}
	_, err = run(a.Stdout)
	return err
}

// readFile writes to the file, durably; when that fails, a file that was made for it is removed.
func (a *app) readFile(f readFlags, run func(w io.Writer) (uint64, error)) (n uint64, err error) {
	mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if f.overwrite {
		mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	file, err := os.OpenFile(f.output, mode, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return 0, out.WithHint(errno.New("", f.output, errno.Exist, "the file exists"), "--overwrite replaces it")
	}
	if err != nil {
		return 0, osError(err)
	}
	n, err = run(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil && !f.overwrite {
		err = errors.Join(err, os.Remove(f.output))
	}
	return n, err
}

// limited is memory for what goes into a JSON document.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > jsonMax {
		return 0, out.WithHint(usage("more than %s do not go into a JSON document", arg.FormatSize(jsonMax)),
			"give a smaller --length, or --to FILE")
	}
	return l.Buffer.Write(p)
}

func (a *app) devWrite() *cobra.Command {
	var offset string
	var c consent
	cmd := &cobra.Command{
		Use: "write DEVICE [FILE]", Short: "write a file, or the standard input, to a device", Args: args(1, 2),
		Long: "write writes a file, or the standard input, to a device: durably, when it succeeds. It is not atomic: after an error a part\n" +
			"may be written. The offset needs no alignment.",
		Example: "  tarn dev write /dev/nvme0n1 disk.img\n  head -c 4096 /dev/zero | tarn dev write file:/tmp/disk --offset 1M --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, _, err := extent{offset: offset}.parse()
			if err != nil {
				return err
			}
			src, size, err := a.input(args[1:])
			if err != nil {
				return err
			}
			defer src.Close()
			w := writing{uri: args[0], offset: at, src: src, size: size, consent: c}
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error { return a.writeRemote(ctx, d, w) })
			}
			return a.withTime(cmd, func(ctx context.Context) error {
				return a.withDevice(args[0], forWriting, func(d system.Device) error { return a.writeLocal(ctx, d, w) })
			})
		},
	}
	cmd.Flags().StringVar(&offset, "offset", "0", "where to begin")
	c.flags(cmd, "")
	return cmd
}

// writing is what is written, and where.
type writing struct {
	consent
	uri    string
	offset uint64
	src    io.Reader
	size   uint64 // of src; 0: not known
}

func (w *writing) what() string {
	if w.size == 0 {
		return fmt.Sprintf("overwrite what is behind offset %d", w.offset)
	}
	return "overwrite " + arg.FormatSize(w.size)
}

// input is what is written: a file, or the standard input.
func (a *app) input(names []string) (src io.ReadCloser, size uint64, err error) {
	if len(names) == 0 || names[0] == "-" {
		return io.NopCloser(a.Stdin), 0, nil
	}
	f, err := os.Open(names[0])
	if err != nil {
		return nil, 0, osError(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = usage("%s is a directory: name a file", names[0])
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if info.Mode().IsRegular() {
		size = uint64(info.Size())
	}
	return f, size, nil
}

func (a *app) writeLocal(ctx context.Context, d system.Device, w writing) error {
	room := d.Info().Size
	if w.offset > room || w.size > room-w.offset {
		return errno.New("", w.uri, errno.Inval,
			fmt.Sprintf("%d bytes behind offset %d do not fit: the device has %d", w.size, w.offset, room))
	}
	if err := a.mayChange(w.consent, d, w.what()); err != nil {
		return err
	}
	start := time.Now()
	m, stop := a.mover(w.size, false)
	n, err := m.In(ctx, d, w.offset, room-w.offset, w.src)
	stop()
	if err = errors.Join(err, d.Flush(ctx)); err != nil {
		return err
	}
	return a.answerTransfer(transferred{Device: w.uri, Offset: w.offset, Length: n, Seconds: time.Since(start).Seconds()}, "written")
}

func (a *app) writeRemote(ctx context.Context, d system.Devices, w writing) error {
	info, err := d.GetDevice(ctx, w.uri)
	if err != nil {
		return err
	}
	if err := a.remoteChange(w.consent, info, w.what()); err != nil {
		return err
	}
	start := time.Now()
	n, err := d.WriteDevice(ctx, w.uri, w.offset, w.src)
	if err != nil {
		return err
	}
	return a.answerTransfer(transferred{Device: w.uri, Offset: w.offset, Length: n, Seconds: time.Since(start).Seconds()}, "written")
}

func (a *app) devDiscard() *cobra.Command {
	var e extent
	var all bool
	var c consent
	cmd := &cobra.Command{
		Use: "discard DEVICE", Short: "tell a device that bytes are not needed any more: they are lost", Args: args(1, 1),
		Example: "  tarn dev discard /dev/nvme0n1 --all\n  tarn dev discard file:/tmp/disk --offset 1M --length 64k",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (e.length != "") {
				return usage("say what to discard: --length, with --offset, or --all")
			}
			if a.remote() {
				return a.withRemote(cmd, func(ctx context.Context, d system.Devices) error { return a.discardRemote(ctx, d, args[0], e, c) })
			}
			return a.withTime(cmd, func(ctx context.Context) error {
				return a.withDevice(args[0], forWriting, func(d system.Device) error { return a.discardLocal(ctx, d, args[0], e, c) })
			})
		},
	}
	cmd.Flags().StringVar(&e.offset, "offset", "0", "where to begin: a multiple of the block size")
	cmd.Flags().StringVar(&e.length, "length", "", "how much: a multiple of the block size")
	cmd.Flags().BoolVar(&all, "all", false, "all there is")
	c.flags(cmd, "")
	return cmd
}

func (a *app) discardLocal(ctx context.Context, d system.Device, uri string, e extent, c consent) error {
	offset, length, err := e.resolve(uri, d.Info().Size)
	if err != nil {
		return err
	}
	if err := a.mayChange(c, d, "discard "+arg.FormatSize(length)); err != nil {
		return err
	}
	start := time.Now()
	if err := d.Discard(ctx, int64(offset), int64(length)); err != nil {
		return err
	}
	return a.answerTransfer(transferred{Device: uri, Offset: offset, Length: length, Seconds: time.Since(start).Seconds()}, "discarded")
}

func (a *app) discardRemote(ctx context.Context, d system.Devices, uri string, e extent, c consent) error {
	info, err := d.GetDevice(ctx, uri)
	if err != nil {
		return err
	}
	offset, length, err := e.resolve(uri, info.Size)
	if err != nil {
		return err
	}
	if err := a.remoteChange(c, info, "discard "+arg.FormatSize(length)); err != nil {
		return err
	}
	start := time.Now()
	if err := d.DiscardDevice(ctx, uri, offset, length); err != nil {
		return err
	}
	return a.answerTransfer(transferred{Device: uri, Offset: offset, Length: length, Seconds: time.Since(start).Seconds()}, "discarded")
}
