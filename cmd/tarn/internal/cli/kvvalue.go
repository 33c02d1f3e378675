// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/tree"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (a *app) kvPut() *cobra.Command {
	var c codec
	var insert, update bool
	cmd := &cobra.Command{
		Use: "put POOL/CONTAINER/OBJECT KEY VALUE", Short: "store a value; the object is made when it is missing", Long: aboutKV,
		Args: args(3, 3),
		Example: "  tarn kv put tank/neo/stadium Barcelona \"Camp Nou\"\n  tarn kv put tank/neo/stadium photo @camp-nou.jpg\n" +
			"  tar c . | tarn kv put tank/neo/backups today -",
	}
	cmd.Flags().BoolVar(&insert, "insert", false, "only when the key is not there")
	cmd.Flags().BoolVar(&update, "update", false, "only when the key is there")
	cmd.MarkFlagsMutuallyExclusive("insert", "update")
	return a.kvVerb(cmd, &c, true, func(args []string) (onKV, error) {
		key, err := c.Key(args[0])
		if err != nil {
			return nil, err
		}
		if len(key) == 0 {
			return nil, usage("the key is empty: a key has 1 to 65536 bytes")
		}
		value, err := c.Open(args[1])
		return func(ctx context.Context, kv system.KV) error {
			defer value.Close()
			return a.put(ctx, kv, &c, key, value, condition(insert, update))
		}, err
	})
}

func (a *app) put(ctx context.Context, kv system.KV, c *codec, key []byte, value io.Reader, cond system.Cond) error {
	size, err := tree.Store(ctx, kv, key, value, cond)
	if err != nil {
		return putHint(err)
	}
	return a.out.Answer(c.keyed(key, nil, false, system.Stat{Size: size}), func(io.Writer) error { return nil })
}

func condition(insert, update bool) system.Cond {
	switch {
	case insert:
		return system.CondInsert
	case update:
		return system.CondUpdate
	}
	return system.CondNone
}

func putHint(err error) error {
	switch errno.CodeOf(err) {
	case errno.Exist:
		return out.WithHint(err, "without --insert the value is replaced")
	case errno.NonExist:
		return out.WithHint(err, "without --update the key is made")
	}
	return err
}

func (a *app) kvGet() *cobra.Command {
	var c codec
	cmd := &cobra.Command{
		Use: "get POOL/CONTAINER/OBJECT KEY", Short: "write a value to the standard output, byte for byte", Args: args(2, 2),
		Long: aboutKV + "\n\nOn a terminal a newline follows the value. With --hex or --base64 it is encoded, and a newline follows.",
	}
	c.readsOld(cmd)
	return a.kvVerb(cmd, &c, false, func(args []string) (onKV, error) {
		key, err := c.Key(args[0])
		return func(ctx context.Context, kv system.KV) error {
			r, err := kv.Reader(ctx, key)
			if err != nil {
				return ifAbsent(err, "'tarn kv list' shows the keys there are")
			}
			return errors.Join(a.show(&c, key, r), r.Close())
		}, err
	})
}

// show answers with a value. Only as raw bytes may it be larger than memory.
func (a *app) show(c *codec, key []byte, r system.Reader) error {
	if !a.out.JSON && c.Encoding == arg.UTF8 {
		if _, err := io.Copy(a.Stdout, r); err != nil {
			return err
		}
		if a.StdoutTTY {
			_, err := io.WriteString(a.Stdout, "\n")
			return err
		}
		return nil
	}
	value, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return a.out.Answer(c.keyed(key, value, true, r.Stat()), func(w io.Writer) error {
		_, err := io.WriteString(w, c.Encoding.Encode(value)+"\n")
		return err
	})
}
