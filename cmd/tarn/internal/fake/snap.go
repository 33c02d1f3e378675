// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// snapshot is a container as it was.
type snapshot struct {
	info system.SnapshotInfo
	cont *cont
}

func (c *cont) Sync(ctx context.Context) error {
	defer c.s.mu.Unlock()
	return c.s.enter(ctx, "cont sync")
}

func (c *cont) CreateSnapshot(ctx context.Context, name string) (uint64, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "snap create"); err != nil {
		return 0, err
	}
	if name != "" && slices.ContainsFunc(c.snaps, func(s snapshot) bool { return s.info.Name == name }) {
		return 0, taken(name)
	}
	c.s.next++
	old := &cont{access: c.access, attributes: attributes{c.s, maps.Clone(c.all)}, s: c.s, info: c.info, objects: map[string]*kv{}, snaps: c.snaps}
	old.info.Epoch = uint64(c.s.next)
	for name, o := range c.objects {
		copied := *o
		copied.c, copied.data = old, maps.Clone(o.data)
		old.objects[name] = &copied
	}
	info := system.SnapshotInfo{Epoch: old.info.Epoch, Name: name, Created: time.Unix(1700000000, 0)}
	c.snaps = append(c.snaps, snapshot{info, old})
	return info.Epoch, nil
}

func (c *cont) Snapshots(ctx context.Context) ([]system.SnapshotInfo, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "snap list"); err != nil {
		return nil, err
	}
	var infos []system.SnapshotInfo
	for _, s := range c.snaps {
		infos = append(infos, s.info)
	}
	return infos, nil
}

// find is the place of a snapshot among the others.
func (c *cont) find(at system.SnapshotRef) (int, error) {
	i := slices.IndexFunc(c.snaps, func(s snapshot) bool {
		return at.Name != "" && s.info.Name == at.Name || at.Name == "" && s.info.Epoch == at.Epoch
	})
	if i < 0 {
		return 0, errno.New("", c.info.Label, errno.NonExist, "there is no snapshot "+at.String())
	}
	return i, nil
}

func (c *cont) DestroySnapshot(ctx context.Context, epoch uint64) error {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "snap destroy"); err != nil {
		return err
	}
	i, err := c.find(system.SnapshotRef{Epoch: epoch})
	if err == nil {
		c.snaps = slices.Delete(c.snaps, i, i+1)
	}
	return err
}

func (c *cont) OpenSnapshot(ctx context.Context, at system.SnapshotRef) (system.Container, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "snap open"); err != nil {
		return nil, err
	}
	i, err := c.find(at)
	if err != nil {
		return nil, err
	}
	c.s.Opens++
	return c.snaps[i].cont, nil
}
