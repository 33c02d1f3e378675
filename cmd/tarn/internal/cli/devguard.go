// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tarn-storage/tarn/cmd/internal/signature"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// forWriting is how every device is opened that is written: when it is mounted or held it is refused, and nobody else can begin to use
// it while the user is asked.
var forWriting = system.OpenDevice{Write: true, Exclusive: true}

// mayChange asks before anything on a raw device, or on a pool in a file, is lost: what is a verb, and how much, such as "overwrite
// 4 KiB". The device is open, exclusively.
func (a *app) mayChange(c consent, d system.Device, what string) error {
	info := d.Info()
	if info.ReadOnly {
		return errno.New("", info.URI, errno.EPRO, "the device is read-only")
	}
	if c.yes {
		return nil
	}
	holds, err := signature.What(d, info.Size)
	if err != nil {
		return err
	}
	if raw := info.Kind == "block" || info.Kind == "nvme"; !raw && holds != signature.Pool {
		return nil
	}
	name := info.URI
	if info.Model != "" {
		name += " (" + info.Model + ")"
	}
	return a.ask(c, fmt.Sprintf("%s of %s, which has %s and holds %s", what, name, arg.FormatSize(info.Size), holds))
}

// remoteChange asks before a device of the gateway's machine is written: what it holds is not looked at.
func (a *app) remoteChange(c consent, info system.DeviceInfo, what string) error {
	if c.yes {
		return nil
	}
	name := info.URI
	if info.Model != "" {
		name += " (" + info.Model + ")"
	}
	return a.ask(c, fmt.Sprintf("%s of %s on the machine of %s, which has %s", what, name, a.where.Endpoint, arg.FormatSize(info.Size)))
}

// plural is "1 zone", "2 zones".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// osError is an error of the operating system about a file of the user's.
func osError(err error) error {
	code := errno.Misc
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		code = errno.NoEntry
	case errors.Is(err, fs.ErrPermission):
		code = errno.NoPerm
	}
	e := errno.New("", "", code, err.Error())
	e.Err = err
	return out.WithHint(e, "look at the file and its directory with 'ls -l'")
}

// extent is a range of a device, as a user types it.
type extent struct{ offset, length string }

// resolve reads the range. No length is all that there is from the offset on.
func (e extent) resolve(uri string, size uint64) (offset, length uint64, err error) {
	if offset, length, err = e.parse(); err != nil {
		return 0, 0, err
	}
	if offset > size || length > size-offset {
		return 0, 0, errno.New("", uri, errno.Inval, fmt.Sprintf("%d bytes at offset %d reach beyond its end: it has %d bytes",
			length, offset, size))
	}
	if e.length == "" {
		length = size - offset
	}
	return offset, length, nil
}

func (e extent) parse() (offset, length uint64, err error) {
	if e.offset != "" {
		if offset, err = arg.Size(e.offset); err != nil {
			return 0, 0, err
		}
	}
	if e.length != "" {
		length, err = arg.Size(e.length)
	}
	return offset, length, err
}
