// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutDevKV = `These are the verbs of the NVMe key-value command set, on a container of type KV: it is a namespace of a key-value device that
is made in software, when it is first used. Keys have 1 to 16 bytes, values up to 4 GiB; both are any bytes, and come back as they went.

A key or a value is typed as text; with --hex or --base64 it is decoded. "@FILE" is the content of a file and "-" the
standard input, as they are; "@@x" is the text "@x", and with --literal nothing but the text itself is meant.
Put -- in front of a key or a value that begins with a dash.`

func (a *app) devKV() *cobra.Command {
	cmd := &cobra.Command{Use: "kv", Short: "a key-value device: store, retrieve, delete, exist, list, info", Long: aboutDevKV, RunE: group}
	cmd.AddCommand(a.devKVStore(), a.devKVRetrieve(), a.devKVDelete(), a.devKVExist(), a.devKVList(), a.devKVInfo())
	return cmd
}

// onDevKV is what a command does with a key-value device when its arguments have been read.
type onDevKV func(ctx context.Context, dev system.KeyValueDevice) error

// devKVVerb is a command on a key-value device: read takes the arguments behind the path.
func (a *app) devKVVerb(cmd *cobra.Command, c *codec, read func(args []string) (onDevKV, error)) *cobra.Command {
	c.flags(cmd)
	cmd.ValidArgsFunction = a.names(arg.Container)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.set(a.Stdin)
		p, err := namespacePath(args[0])
		if err != nil {
			return err
		}
		run, err := read(args[1:])
		if err != nil {
			return err
		}
		return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
			return withNamespace(ctx, cont, p, run)
		})
	}
	return cmd
}

// namespacePath is the container of a namespace. Devices have no key-value commands that could be had.
func namespacePath(text string) (arg.Path, error) {
	if strings.HasPrefix(text, "/") || hasScheme(text) {
		err := errno.New("", text, errno.NotSupported, "it is not a key-value device: those are containers")
		return arg.Path{}, out.WithHint(err, "name a container of type KV, as POOL/CONTAINER")
	}
	return arg.ParsePath(arg.Container, text)
}

func withNamespace(ctx context.Context, cont system.Container, p arg.Path, run onDevKV) error {
	devices, ok := cont.(system.KeyValueDevices)
	if !ok {
		err := errno.New("", p.String(), errno.NotSupported, "a gateway does not offer key-value devices")
		return out.WithHint(err, "stop the gateway to use it in this process, or use 'tarn kv' on an object")
	}
	dev, err := devices.OpenKeyValueDevice(ctx)
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, dev), dev.Close())
}

// devKey reads a key of a command.
func devKey(c *codec, text string) ([]byte, error) {
	key, err := c.Key(text)
	if err == nil && (len(key) == 0 || len(key) > 16) {
		code := errno.Key2Big
		if len(key) == 0 {
			code = errno.Inval
		}
		err = out.WithHint(errno.New("", "", code, fmt.Sprintf("the key has %d bytes", len(key))),
			"a key of a key-value device has 1 to 16 bytes")
	}
	return key, err
}

func (a *app) devKVStore() *cobra.Command {
	var c codec
	var add, update bool
	cmd := &cobra.Command{
		Use: "store POOL/CONTAINER KEY VALUE", Short: "store a value", Args: args(3, 3),
		Example: "  tarn dev kv store tank/neo Barcelona \"Camp Nou\"\n  tarn dev kv store tank/neo --hex 00ff @photo.jpg --add-only",
	}
	cmd.Flags().BoolVar(&add, "add-only", false, "only when the key is not there (store option 1)")
	cmd.Flags().BoolVar(&update, "update-only", false, "only when the key is there (store option 0)")
	cmd.MarkFlagsMutuallyExclusive("add-only", "update-only")
	return a.devKVVerb(cmd, &c, func(args []string) (onDevKV, error) {
		key, err := devKey(&c, args[0])
		if err != nil {
			return nil, err
		}
		src, err := c.Open(args[1])
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(io.LimitReader(src, system.ValueMax+1))
		if err = errors.Join(err, src.Close()); err != nil {
			return nil, err
		}
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			if err := dev.Store(ctx, key, value, storeOption(add, update)); err != nil {
				return storeHint(err)
			}
			return a.out.Answer(c.keyed(key, nil, false, system.Stat{Size: uint64(len(value))}), func(io.Writer) error { return nil })
		}, nil
	})
}

func storeOption(add, update bool) system.StoreOption {
	switch {
	case add:
		return system.StoreAdd
	case update:
		return system.StoreUpdate
	}
	return system.StoreAny
}

func storeHint(err error) error {
	switch errno.CodeOf(err) {
	case errno.Exist:
		return out.WithHint(err, "without --add-only the value is replaced")
	case errno.NonExist:
		return out.WithHint(err, "without --update-only the key is made")
	}
	return err
}

func absentKey(err error) error { return ifAbsent(err, "'tarn dev kv list' shows the keys there are") }

func (a *app) devKVRetrieve() *cobra.Command {
	var c codec
	var most string
	cmd := &cobra.Command{
		Use: "retrieve POOL/CONTAINER KEY", Short: "write a value to the standard output, byte for byte", Args: args(2, 2),
		Long: aboutDevKV + "\n\nWith --max no more than the first bytes are read, as with a buffer of that size; the value's true size is told.",
	}
	cmd.Flags().StringVar(&most, "max", "", "read at most so many bytes")
	return a.devKVVerb(cmd, &c, func(args []string) (onDevKV, error) {
		key, err := devKey(&c, args[0])
		if err != nil {
			return nil, err
		}
		limit := uint64(system.ValueMax)
		if most != "" {
			if limit, err = arg.Size(most); err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			value, size, err := retrieve(ctx, dev, key, limit)
			if err != nil {
				return absentKey(err)
			}
			return a.showRetrieved(&c, key, value, size)
		}, nil
	})
}

// retrieve reads the first bytes of a value: with room for a small one first, then for as much as it turned out to be.
func retrieve(ctx context.Context, dev system.KeyValueDevice, key []byte, limit uint64) (value []byte, size uint64, err error) {
	for room := min(limit, 64<<10); ; room = min(limit, size) {
		value = make([]byte, room)
		if size, err = dev.Retrieve(ctx, key, value); err != nil {
			return nil, 0, err
		}
		if size <= room || room == limit {
			return value[:min(size, room)], size, nil
		}
	}
}

// retrieved is what JSON says of a value: size is its true size, of which shown bytes are here.
type retrieved struct {
	keyed
	Shown uint64 `json:"shown"`
}

func (a *app) showRetrieved(c *codec, key, value []byte, size uint64) error {
	shown := uint64(len(value))
	if shown < size && !a.quiet && !a.out.JSON {
		fmt.Fprintf(a.Stderr, "the value has %d bytes, of which these are the first %d\n", size, shown)
	}
	answer := retrieved{c.keyed(key, value, true, system.Stat{Size: size}), shown}
	return a.out.Answer(answer, func(w io.Writer) error {
		if c.Encoding == arg.UTF8 && !a.StdoutTTY {
			_, err := w.Write(value)
			return err
		}
		_, err := io.WriteString(w, c.Encoding.Encode(value)+"\n")
		return err
	})
}

func (a *app) devKVDelete() *cobra.Command {
	var c codec
	cmd := &cobra.Command{Use: "delete POOL/CONTAINER KEY", Aliases: []string{"del", "rm"}, Short: "delete a key", Args: args(2, 2)}
	return a.devKVVerb(cmd, &c, func(args []string) (onDevKV, error) {
		key, err := devKey(&c, args[0])
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			if err := dev.Delete(ctx, key); err != nil {
				return absentKey(err)
			}
			return a.out.Answer(map[string]int{"deleted": 1}, func(io.Writer) error { return nil })
		}, err
	})
}

func (a *app) devKVExist() *cobra.Command {
	var c codec
	cmd := &cobra.Command{
		Use: "exist POOL/CONTAINER KEY", Short: "say whether a key is there: exit status 0 if so, 3 if not", Args: args(2, 2),
	}
	return a.devKVVerb(cmd, &c, func(args []string) (onDevKV, error) {
		key, err := devKey(&c, args[0])
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			there, err := dev.Exist(ctx, key)
			if err != nil {
				return err
			}
			if !there {
				a.exit = out.ExitNotFound
			}
			return a.out.Answer(map[string]bool{"exists": there}, sayLine("%s", yesNo(there)))
		}, err
	})
}

// keyList is which keys are listed.
type keyList struct {
	from  string
	limit uint64
}

func (a *app) devKVList() *cobra.Command {
	var c codec
	var l keyList
	cmd := &cobra.Command{
		Use: "list POOL/CONTAINER", Aliases: []string{"ls"}, Short: "list keys in bytewise order", Args: args(1, 1),
		Long: "Keys are listed in bytewise order, one a line. What is not printable text is quoted, with escapes; --hex, --base64 and\n" +
			"-o json are exact. When --limit leaves keys out, a note says from which key to go on.",
	}
	cmd.Flags().StringVar(&l.from, "from", "", "from this key on, itself too")
	cmd.Flags().Uint64Var(&l.limit, "limit", 0, "at most so many keys (default: all)")
	return a.devKVVerb(cmd, &c, func([]string) (onDevKV, error) {
		var from []byte
		var err error
		if l.from != "" {
			from, err = devKey(&c, l.from)
		}
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			return a.listKeys(ctx, dev, &c, from, l.limit)
		}, err
	})
}

func (a *app) listKeys(ctx context.Context, dev system.KeyValueDevice, c *codec, from []byte, limit uint64) error {
	add := a.out.List()
	listed := uint64(0)
	for key, err := range dev.Keys(ctx, from) {
		if err != nil {
			return err
		}
		if limit > 0 && listed == limit {
			a.note("there are more keys: go on with --from %s", c.Encoding.Show(key))
			return nil
		}
		listed++
		exact := c.Encoding.Exact(key)
		if err := add(listedKey{exact.Encode(key), exact}, c.Encoding.Show(key)); err != nil {
			return err
		}
	}
	return nil
}

// listedKey is what JSON says of a key in a list.
type listedKey struct {
	Key      string       `json:"key"`
	Encoding arg.Encoding `json:"encoding"`
}

// note tells a person something beside the answer.
func (a *app) note(format string, values ...any) {
	if !a.quiet && !a.out.JSON {
		fmt.Fprintf(a.Stderr, format+"\n", values...)
	}
}

func (a *app) devKVInfo() *cobra.Command {
	var c codec
	cmd := &cobra.Command{Use: "info POOL/CONTAINER", Short: "describe a key-value device", Args: args(1, 1)}
	return a.devKVVerb(cmd, &c, func([]string) (onDevKV, error) {
		return func(ctx context.Context, dev system.KeyValueDevice) error {
			i, err := dev.Info(ctx)
			if err != nil {
				return err
			}
			return a.out.Answer(i, func(w io.Writer) error {
				return out.Fields(w,
					out.Field{Name: "Keys", Value: fmt.Sprint(i.KeyCount)},
					out.Field{Name: "KeyMax", Value: fmt.Sprintf("%d bytes", i.KeyMax)},
					out.Field{Name: "ValueMax", Value: arg.FormatSize(i.ValueMax)},
					out.Field{Name: "Capacity", Value: arg.FormatSize(i.Capacity) + ", of the pool"},
					out.Field{Name: "Used", Value: arg.FormatSize(i.Used)})
			})
		}, nil
	})
}
