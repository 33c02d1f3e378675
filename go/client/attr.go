// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// attributeMask names the attributes that a change is about.
func attributeMask(change map[string][]byte) *fieldmaskpb.FieldMask {
	mask := &fieldmaskpb.FieldMask{}
	for _, name := range slices.Sorted(maps.Keys(change)) {
		mask.Paths = append(mask.Paths, "attributes."+name)
	}
	return mask
}

// checkAttributes refuses what cannot be sent: an empty mask would mean something else, and so would an empty name.
func checkAttributes(op, ref string, change map[string][]byte) error {
	for name := range change {
		if name == "" {
			return errno.New(op, ref, errno.Inval, "an attribute needs a name of 1 to 511 bytes: this one is empty")
		}
		if !utf8.ValidString(name) {
			return errno.New(op, ref, errno.Inval, fmt.Sprintf("the attribute's name %q is not UTF-8", name))
		}
	}
	return nil
}

func present(all map[string][]byte) map[string][]byte {
	if all == nil {
		return map[string][]byte{}
	}
	return all
}

// Attributes returns the pool's user attributes.
func (p *Pool) Attributes(ctx context.Context) (map[string][]byte, error) {
	const op = "pool attributes"
	if err := p.check(ctx, op); err != nil {
		return nil, err
	}
	resp, err := p.sys.pools.GetPool(ctx, &apiv1.GetPoolRequest{Pool: p.name, View: apiv1.PoolView_POOL_VIEW_ATTRIBUTES})
	if err != nil {
		return nil, fromStatus(ctx, op, p.ref, err)
	}
	return present(resp.GetPool().GetAttributes()), nil
}

// SetAttributes sets user attributes of the pool, all or none; one with an empty value is deleted.
func (p *Pool) SetAttributes(ctx context.Context, change map[string][]byte) error {
	const op = "pool set attributes"
	if err := p.check(ctx, op); err != nil {
		return err
	}
	if err := checkAttributes(op, p.ref, change); err != nil || len(change) == 0 {
		return err
	}
	_, err := p.sys.pools.UpdatePool(ctx, &apiv1.UpdatePoolRequest{Pool: p.name, Attributes: change, UpdateMask: attributeMask(change)})
	return fromStatus(ctx, op, p.ref, err)
}

// Attributes returns the container's user attributes; a snapshot's are those of its time.
func (c *Container) Attributes(ctx context.Context) (map[string][]byte, error) {
	const op = "container attributes"
	if err := c.check(ctx, op); err != nil {
		return nil, err
	}
	resp, err := c.sys.containers.GetContainer(ctx, &apiv1.GetContainerRequest{
		Container: c.name, ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"attributes"}}})
	if err != nil {
		return nil, fromStatus(ctx, op, c.ref, err)
	}
	return present(resp.GetContainer().GetAttributes()), nil
}

// SetAttributes sets user attributes of the container, all or none; one with an empty value is deleted.
func (c *Container) SetAttributes(ctx context.Context, change map[string][]byte) error {
	const op = "container set attributes"
	if err := c.check(ctx, op); err != nil {
		return err
	}
	if err := checkAttributes(op, c.ref, change); err != nil || len(change) == 0 {
		return err
	}
	_, err := c.sys.containers.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{
		Container: c.name, Attributes: change, UpdateMask: attributeMask(change)})
	return fromStatus(ctx, op, c.ref, err)
}
