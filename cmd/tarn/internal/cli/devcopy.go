// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// copying is one copy. Of the two devices the target is open for writing, exclusively.
type copying struct {
	consent
	from, to       string
	extent                // of the source
	at             string // in the target
	verify         bool
	offset, length uint64
	target         uint64
	src, dst       system.Device
	made           string // the file that was made for it; "": none
}

func (a *app) devCopy() *cobra.Command {
	var c copying
	cmd := &cobra.Command{
		Use: "copy SOURCE TARGET", Aliases: []string{"cp"}, Short: "copy a device or a file to a device or a file", Args: args(2, 2),
		Long: "copy copies a device or a file, or a range of it, to a device or a file: with direct I/O where it can be had, in pieces of\n" +
			"1 MiB, eight of them in flight. It is durable when it succeeds. A target that is not there becomes a file of the right size.",
		Example: "  tarn dev copy /dev/nvme0n1 disk.img --verify\n  tarn dev copy disk.img /dev/nvme1n1 --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.localOnly(cmd); err != nil {
				return err
			}
			c.from, c.to = args[0], args[1]
			return a.withTime(cmd, func(ctx context.Context) error { return a.copy(ctx, &c) })
		},
	}
	cmd.Flags().StringVar(&c.extent.offset, "offset", "0", "where to begin in the source")
	cmd.Flags().StringVar(&c.extent.length, "length", "", "how much (default: up to the end of the source)")
	cmd.Flags().StringVar(&c.at, "target-offset", "0", "where to begin in the target")
	cmd.Flags().BoolVar(&c.verify, "verify", false, "read both again afterwards, and compare")
	c.consent.flags(cmd, "")
	return cmd
}

func (a *app) copy(ctx context.Context, c *copying) error {
	return a.withDevice(c.from, system.OpenDevice{}, func(src system.Device) (err error) {
		c.src = src
		if c.offset, c.length, err = c.extent.resolve(c.from, src.Info().Size); err != nil {
			return err
		}
		if c.target, err = arg.Size(c.at); err != nil {
			return err
		}
		if c.length == 0 {
			return usage("there is nothing to copy: %s has %d bytes", c.from, src.Info().Size)
		}
		if err := c.open(a.Devices); err != nil {
			return devHint(err)
		}
		err = errors.Join(a.runCopy(ctx, c), c.dst.Close())
		if err != nil && c.made != "" {
			err = errors.Join(err, os.Remove(c.made))
		}
		return err
	})
}

// open opens the target, or makes it.
func (c *copying) open(devices system.LocalDevices) (err error) {
	if sameFile(c.from, c.to) {
		return errno.New("", c.to, errno.Inval, "it is the source, too: name another target")
	}
	c.dst, err = devices.Open(c.to, forWriting)
	path, isFile := strings.CutPrefix(c.to, "file:")
	if errno.CodeOf(err) != errno.NonExist || !isFile && hasScheme(c.to) {
		return err
	}
	if c.target > 0 {
		return usage("--target-offset is of a target that is there, and %s is not", c.to)
	}
	o := forWriting
	o.CreateBytes = (c.length + block - 1) / block * block // a device is whole blocks: cut finishes it
	if c.dst, err = devices.Open("file:"+path, o); err == nil {
		c.made, c.to = path, "file:"+path
	}
	return err
}

// block is a multiple of every device's.
const block = 4096

// cut gives a file that was made the right size, durably.
func (c *copying) cut() error {
	if c.made == "" || c.length%block == 0 {
		return nil
	}
	f, err := os.OpenFile(c.made, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(c.length)), f.Sync(), f.Close())
}

// hasScheme reports whether a name begins as "mem:" does.
func hasScheme(name string) bool {
	scheme, _, found := strings.Cut(name, ":")
	return found && !strings.ContainsAny(scheme, "/.")
}

// sameFile reports whether both name one file or node.
func sameFile(a, b string) bool {
	x, errX := os.Stat(pathOf(a))
	y, errY := os.Stat(pathOf(b))
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func pathOf(uri string) string {
	if !hasScheme(uri) {
		return uri
	}
	_, path, _ := strings.Cut(uri, ":")
	return path
}

// runCopy copies, and answers.
func (a *app) runCopy(ctx context.Context, c *copying) error {
	room := c.dst.Info().Size
	if c.target > room || c.length > room-c.target {
		return out.WithHint(errno.New("", c.to, errno.Inval, fmt.Sprintf("%d bytes behind offset %d do not fit: it has %d bytes",
			c.length, c.target, room)), "give a smaller --length, or a larger target")
	}
	if c.made == "" {
		if err := a.mayChange(c.consent, c.dst, "overwrite "+arg.FormatSize(c.length)); err != nil {
			return err
		}
	}
	start := time.Now()
	total := c.length
	if c.verify {
		total *= 2
	}
	m, stop := a.mover(total, false)
	err := m.Copy(ctx, c.dst, c.target, c.src, c.offset, c.length)
	if err == nil {
		err = c.dst.Flush(ctx)
	}
	if err == nil && c.verify {
		err = m.Compare(ctx, c.src, c.offset, c.dst, c.target, c.length)
	}
	stop()
	if err == nil {
		err = c.cut()
	}
	if err != nil {
		return err
	}
	return a.answerCopy(c, time.Since(start).Seconds())
}

// copied is what JSON says of a copy.
type copied struct {
	Source       string  `json:"source"`
	Target       string  `json:"target"`
	Offset       uint64  `json:"offset"`
	TargetOffset uint64  `json:"target_offset"`
	Length       uint64  `json:"length"`
	Verified     bool    `json:"verified"`
	Direct       bool    `json:"direct"` // both ends
	Seconds      float64 `json:"seconds"`
}

func (a *app) answerCopy(c *copying, seconds float64) error {
	direct := c.src.Info().Direct && c.dst.Info().Direct
	verb := "copied"
	if c.verify {
		verb = "copied and verified"
	}
	r := copied{c.from, c.to, c.offset, c.target, c.length, c.verify, direct, seconds}
	return a.out.Answer(r, sayLine("%s %s", arg.FormatSize(c.length), verb))
}
