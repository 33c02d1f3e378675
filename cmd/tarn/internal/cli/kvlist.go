// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/go/system"
)

const aboutList = `Keys are listed in bytewise order, one a line. What is not printable text is quoted, with escapes; --hex, --base64
and -o json are exact. Values over 64 KiB are left out of a listing with --values: get them one by one.`

func (a *app) kvList() *cobra.Command {
	var c codec
	var r rangeFlags
	var l listing
	cmd := &cobra.Command{
		Use: "list POOL/CONTAINER/OBJECT", Aliases: []string{"ls"}, Short: "list keys: all, or those of a range", Long: aboutList,
		Args: args(1, 1), Example: "  tarn kv list tank/neo/stadium --prefix B --long",
	}
	r.flags(cmd)
	c.readsOld(cmd)
	cmd.Flags().BoolVar(&l.reverse, "reverse", false, "in descending order")
	cmd.Flags().Uint64Var(&l.limit, "limit", 0, "at most so many keys (default: all)")
	cmd.Flags().BoolVarP(&l.long, "long", "l", false, "with the size of the value and the revision in front")
	cmd.Flags().BoolVarP(&l.values, "values", "v", false, "with the value, behind a tab")
	return a.kvVerb(cmd, &c, false, func([]string) (onKV, error) {
		keys, err := r.decode(&c)
		keys.Reverse, keys.Limit, keys.KeysOnly = l.reverse, l.limit, !l.values
		return func(ctx context.Context, kv system.KV) error { return a.list(ctx, kv, keys, &c, l) }, err
	})
}

func (a *app) list(ctx context.Context, kv system.KV, keys system.Range, c *codec, l listing) error {
	add := a.out.List()
	for e, err := range kv.List(ctx, keys) {
		if err != nil {
			return err
		}
		item := c.keyed(e.Key, e.Value, l.values && !e.Omitted, system.Stat{Size: e.Size, Revision: e.Revision})
		if err := add(item, l.line(c, e)); err != nil {
			return err
		}
	}
	return nil
}

// listing is how a list of keys is shown.
type listing struct {
	reverse, long, values bool
	limit                 uint64
}

func (l *listing) line(c *codec, e system.Entry) string {
	text := c.Encoding.Show(e.Key)
	if l.long {
		text = fmt.Sprintf("%12d %10d  %s", e.Size, e.Revision, text)
	}
	switch {
	case !l.values:
		return text
	case e.Omitted:
		return fmt.Sprintf("%s\t(%d bytes)", text, e.Size)
	}
	return text + "\t" + c.Encoding.Show(e.Value)
}
