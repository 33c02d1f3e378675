// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/go/system"
)

const aboutWatch = `Shows each change once, in the order in which they were made, as it becomes durable: its revision, "put" or "del",
the key, and behind a tab the value, when it is not longer than 1 MiB or --value-max. A value over 2 KiB that the key no longer has may be "gone".
Changes of one revision were made as one. It ends at an interrupt, or after --count changes. --from goes on from a revision, as far back as the log
reaches; without it only what changes from now on is shown. Other programs change an object through a gateway: see tarn-gateway --help.`

// watching is how changes are shown.
type watching struct {
	prefix   string
	from     uint64
	count    uint64
	valueMax int
	keysOnly bool
}

func (a *app) kvWatch() *cobra.Command {
	var c codec
	var w watching
	cmd := &cobra.Command{
		Use: "watch POOL/CONTAINER/OBJECT", Short: "show what changes, as it changes", Long: aboutWatch, Args: args(1, 1),
		Example: "  tarn kv watch tank/neo/stadium --prefix B",
	}
	cmd.Flags().StringVar(&w.prefix, "prefix", "", "keys that begin with this")
	cmd.Flags().Uint64Var(&w.from, "from", 0, "from this revision on (default: from now on)")
	cmd.Flags().Uint64Var(&w.count, "count", 0, "end after so many changes (default: at an interrupt)")
	cmd.Flags().IntVar(&w.valueMax, "value-max", 0, "leave out values that are longer than so many bytes (default: 1 MiB)")
	cmd.Flags().BoolVar(&w.keysOnly, "keys-only", false, "without values")
	return a.kvVerb(cmd, &c, false, func([]string) (onKV, error) {
		prefix, err := c.Key(w.prefix)
		o := system.WatchOptions{Start: w.from, Prefix: prefix, KeysOnly: w.keysOnly, ValueMax: w.valueMax}
		return func(ctx context.Context, kv system.KV) error { return a.watch(ctx, kv, o, &c, w.count) }, err
	})
}

// changed is what JSON says of one change.
type changed struct {
	keyed
	Deleted bool `json:"deleted,omitempty"`
	Gone    bool `json:"gone,omitempty"`
}

func (a *app) watch(ctx context.Context, kv system.KV, o system.WatchOptions, c *codec, count uint64) error {
	add, shown := a.out.List(), uint64(0)
	for all, err := range system.AllChanges(ctx, kv, o) {
		if err != nil {
			return err
		}
		for _, ch := range all.Changes {
			item := changed{c.keyed(ch.Key, ch.Value, !ch.Omitted, system.Stat{Size: ch.Size, Revision: ch.Revision}), ch.Deleted, ch.Gone}
			if err := add(item, changeLine(c, ch)); err != nil {
				return err
			}
			if shown++; shown == count {
				return nil
			}
		}
	}
	return nil
}

func changeLine(c *codec, ch system.Change) string {
	verb := "put"
	if ch.Deleted {
		verb = "del"
	}
	line := fmt.Sprintf("%10d %s %s", ch.Revision, verb, c.Encoding.Show(ch.Key))
	switch {
	case ch.Deleted:
		return line
	case ch.Gone:
		return fmt.Sprintf("%s\t(%d bytes, gone)", line, ch.Size)
	case ch.Omitted:
		return fmt.Sprintf("%s\t(%d bytes)", line, ch.Size)
	}
	return line + "\t" + c.Encoding.Show(ch.Value)
}
