// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const aboutSnap = `A snapshot keeps a container as it was. Taking one costs the same whatever the container holds; what is changed
or deleted later takes up space until the last snapshot that holds it is destroyed.

A snapshot is named by its name, or by "@" and its epoch, the number that 'tarn snap list' shows: nightly, @4711.
'tarn kv get', 'list', 'count' and 'exists' read from one with --snapshot.`

func (a *app) snapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "snap", Aliases: []string{"snapshot"}, Short: "snapshots of containers: create, list, destroy", Long: aboutSnap, RunE: group,
	}
	cmd.AddCommand(a.snapCreate(), a.snapList(), a.snapDestroy())
	return cmd
}

// snapshotRef reads how a snapshot is typed.
func snapshotRef(text string) (system.SnapshotRef, error) {
	number, isEpoch := strings.CutPrefix(text, "@")
	if !isEpoch {
		if text == "" {
			return system.SnapshotRef{}, usage("the name of the snapshot is empty")
		}
		return system.SnapshotRef{Name: text}, nil
	}
	epoch, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch == 0 {
		return system.SnapshotRef{}, usage("%q is not an epoch: write it as @4711", text)
	}
	return system.SnapshotRef{Epoch: epoch}, nil
}

func absentSnapshot(err error, p arg.Path) error {
	return ifAbsent(err, "'tarn snap list "+p.Pool+"/"+p.Container+"' shows the snapshots there are")
}

func (a *app) snapCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create POOL/CONTAINER [NAME]", Short: "take a snapshot, with a name or without", Args: args(1, 2), Long: aboutSnap,
		ValidArgsFunction: a.names(arg.Container), Example: "  tarn snap create tank/neo nightly",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args[0])
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 1 {
				if name = args[1]; name == "" || name[0] == '@' {
					return usage("%q is not a name of a snapshot: without a name it has its epoch", name)
				}
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				epoch, err := cont.CreateSnapshot(ctx, name)
				if err != nil {
					return err
				}
				return a.out.Answer(map[string]any{"epoch": epoch, "name": name}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "@%d\n", epoch)
					return err
				})
			})
		},
	}
}

func (a *app) snapList() *cobra.Command {
	return &cobra.Command{
		Use: "list POOL/CONTAINER", Aliases: []string{"ls"}, Short: "list the snapshots of a container, the oldest first",
		Args: args(1, 2), ValidArgsFunction: a.names(arg.Container),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args...)
			if err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				snaps, err := cont.Snapshots(ctx)
				if err != nil {
					return err
				}
				t := out.Table{Head: []string{"EPOCH", "NAME", "CREATED"}}
				for _, s := range snaps {
					t.Row("@"+strconv.FormatUint(s.Epoch, 10), s.Name, s.Created.UTC().Format(time.RFC3339))
				}
				return a.out.Answer(list(snaps), t.Write)
			})
		},
	}
}

func (a *app) snapDestroy() *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use: "destroy POOL/CONTAINER SNAPSHOT", Short: "destroy a snapshot", Args: args(2, 2), Long: aboutSnap,
		ValidArgsFunction: a.names(arg.Container), Example: "  tarn snap destroy tank/neo nightly\n  tarn snap destroy tank/neo @4711 --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := arg.ParsePath(arg.Container, args[0])
			if err != nil {
				return err
			}
			at, err := snapshotRef(args[1])
			if err != nil {
				return err
			}
			if err := a.ask(c, "destroy the snapshot "+at.String()+" of "+p.String()); err != nil {
				return err
			}
			return a.withContainer(cmd, p, func(ctx context.Context, cont system.Container) error {
				return a.destroySnapshot(ctx, cont, p, at)
			})
		},
	}
	c.flags(cmd, "")
	return cmd
}

func (a *app) destroySnapshot(ctx context.Context, cont system.Container, p arg.Path, at system.SnapshotRef) error {
	epoch, err := epochOf(ctx, cont, at)
	if err == nil {
		err = cont.DestroySnapshot(ctx, epoch)
	}
	if err != nil {
		return absentSnapshot(err, p)
	}
	return a.out.Answer(map[string]uint64{"destroyed": epoch}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: snapshot %s destroyed\n", p, at)
		return err
	})
}

// epochOf finds the epoch of a name: 0, which no snapshot has, when there is none.
func epochOf(ctx context.Context, cont system.Container, at system.SnapshotRef) (uint64, error) {
	if at.Name == "" {
		return at.Epoch, nil
	}
	snaps, err := cont.Snapshots(ctx)
	for _, s := range snaps {
		if s.Name == at.Name {
			return s.Epoch, nil
		}
	}
	if err == nil {
		err = errno.New("", "", errno.NonExist, "there is no snapshot "+at.Name)
	}
	return 0, err
}
