// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutKV = `Keys are 1 to 65536 bytes, in bytewise order; values have 0 bytes to 4 GiB.

A key or a value is typed as text; with --hex or --base64 it is decoded. "@FILE" is the content of a file and "-" the
standard input, as they are; "@@x" is the text "@x", and with --literal nothing but the text itself is meant.
Put -- in front of a key or a value that begins with a dash.`

// codec is how the keys and values of a command are typed and shown.
type codec struct {
	hex, base64, literal bool
	snapshot             string // read from it; "": from the container as it is
	arg.Bytes
}

func (c *codec) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.hex, "hex", false, "keys and values are typed and shown in hexadecimal")
	cmd.Flags().BoolVar(&c.base64, "base64", false, "keys and values are typed and shown in base64")
	cmd.Flags().BoolVar(&c.literal, "literal", false, `"@" and "-" mean themselves`)
	cmd.MarkFlagsMutuallyExclusive("hex", "base64")
}

// readsOld adds the flag of commands that read from a snapshot, too.
func (c *codec) readsOld(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.snapshot, "snapshot", "", "read from a snapshot of the container: its name, or @EPOCH")
}

// set takes the flags over when they have been read.
func (c *codec) set(stdin io.Reader) {
	c.Bytes = arg.Bytes{Encoding: arg.UTF8, Literal: c.literal, Stdin: stdin}
	switch {
	case c.hex:
		c.Encoding = arg.Hex
	case c.base64:
		c.Encoding = arg.Base64
	}
}

func (a *app) kvCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kv", Short: "keys and values: put, get, del, exists, list, count, incr, txn, watch", Long: aboutKV, RunE: group}
	cmd.AddCommand(a.kvPut(), a.kvGet(), a.kvDel(), a.kvExists(), a.kvList(), a.kvCount(), a.kvIncr(), a.kvTxn(), a.kvWatch())
	return cmd
}

// onKV is what a command does with an object when its arguments have been read.
type onKV func(ctx context.Context, kv system.KV) error

// kvVerb is a command on an object: read takes the arguments behind the path. An argument that is not right changes nothing.
func (a *app) kvVerb(cmd *cobra.Command, c *codec, create bool, read func(args []string) (onKV, error)) *cobra.Command {
	c.flags(cmd)
	cmd.ValidArgsFunction = a.names(arg.Object)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.set(a.Stdin)
		p, err := arg.ParsePath(arg.Object, args[0])
		if err != nil {
			return err
		}
		run, err := read(args[1:])
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("snapshot") {
			return a.withKV(cmd, p, create, run)
		}
		at, err := snapshotRef(c.snapshot)
		if err != nil {
			return err
		}
		return a.withOldKV(cmd, p, at, run)
	}
	return cmd
}

// keyed is what JSON says of one key.
type keyed struct {
	Key      string       `json:"key"`
	Value    *string      `json:"value,omitempty"`
	Encoding arg.Encoding `json:"encoding"`
	Size     uint64       `json:"size"`
	Revision uint64       `json:"revision,omitempty"`
}

func (c *codec) keyed(key, value []byte, withValue bool, st system.Stat) keyed {
	e := c.Encoding.Exact(key, value)
	k := keyed{Key: e.Encode(key), Encoding: e, Size: st.Size, Revision: st.Revision}
	if withValue {
		text := e.Encode(value)
		k.Value = &text
	}
	return k
}

func (a *app) kvExists() *cobra.Command {
	var c codec
	cmd := &cobra.Command{
		Use: "exists POOL/CONTAINER/OBJECT KEY", Short: "say whether a key is there: exit status 0 if so, 3 if not", Args: args(2, 2),
	}
	c.readsOld(cmd)
	return a.kvVerb(cmd, &c, false, func(args []string) (onKV, error) {
		key, err := c.Key(args[0])
		return func(ctx context.Context, kv system.KV) error { return a.exists(ctx, kv, key) }, err
	})
}

func (a *app) exists(ctx context.Context, kv system.KV, key []byte) error {
	there, err := kv.Exists(ctx, key)
	if err != nil {
		return err
	}
	if !there {
		a.exit = out.ExitNotFound
	}
	return a.out.Answer(map[string]bool{"exists": there}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, yesNo(there))
		return err
	})
}

func (a *app) kvDel() *cobra.Command {
	var c codec
	var ifExists bool
	cmd := &cobra.Command{
		Use: "del POOL/CONTAINER/OBJECT KEY...", Short: "delete keys: all of them, or none when one is not there", Args: args(2, -1),
		Aliases: []string{"rm"},
	}
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "a key that is not there is no error")
	return a.kvVerb(cmd, &c, false, func(args []string) (onKV, error) {
		batch, err := deletions(&c, args, condition(false, !ifExists))
		return func(ctx context.Context, kv system.KV) error {
			if err := kv.Apply(ctx, batch); err != nil {
				return ifAbsent(err, "--if-exists lets keys that are not there pass")
			}
			return a.out.Answer(map[string]int{"deleted": len(batch)}, func(io.Writer) error { return nil })
		}, err
	})
}

func deletions(c *codec, keys []string, cond system.Cond) ([]system.Mutation, error) {
	batch := make([]system.Mutation, len(keys))
	for i, text := range keys {
		key, err := c.Key(text)
		if err != nil {
			return nil, err
		}
		batch[i] = system.Mutation{Key: key, Delete: true, Cond: cond}
	}
	return batch, nil
}

// rangeFlags are the flags that bound a range of keys.
type rangeFlags struct{ prefix, start, end string }

func (r *rangeFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.prefix, "prefix", "", "keys that begin with this")
	cmd.Flags().StringVar(&r.start, "start", "", "keys from this one on")
	cmd.Flags().StringVar(&r.end, "end", "", "keys before this one")
}

func (r *rangeFlags) decode(c *codec) (out system.Range, err error) {
	for _, part := range []struct {
		text string
		to   *[]byte
	}{{r.prefix, &out.Prefix}, {r.start, &out.Start}, {r.end, &out.End}} {
		if *part.to, err = c.Key(part.text); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (a *app) kvCount() *cobra.Command {
	var c codec
	var r rangeFlags
	cmd := &cobra.Command{Use: "count POOL/CONTAINER/OBJECT", Short: "count keys: all, or those of a range", Args: args(1, 1)}
	r.flags(cmd)
	c.readsOld(cmd)
	return a.kvVerb(cmd, &c, false, func([]string) (onKV, error) {
		keys, err := r.decode(&c)
		return func(ctx context.Context, kv system.KV) error { return a.count(ctx, kv, keys) }, err
	})
}

func (a *app) count(ctx context.Context, kv system.KV, keys system.Range) error {
	n, err := kv.Count(ctx, keys)
	if err != nil {
		return err
	}
	return a.out.Answer(map[string]uint64{"count": n}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, n)
		return err
	})
}
