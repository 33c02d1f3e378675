// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"strings"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Pool is an open pool.
type Pool struct {
	handle
	sys  *System
	name string // its UUID
}

// Close closes the handle; the pool stays as it is. BUSY while a container of it is open.
func (p *Pool) Close() error { return p.close("pool close", nil) }

// Info describes the pool.
func (p *Pool) Info(ctx context.Context) (system.PoolInfo, error) {
	const op = "pool query"
	if err := p.check(ctx, op); err != nil {
		return system.PoolInfo{}, err
	}
	resp, err := p.sys.pools.GetPool(ctx, &apiv1.GetPoolRequest{Pool: p.name})
	if err != nil {
		return system.PoolInfo{}, fromStatus(ctx, op, p.ref, err)
	}
	return poolInfo(resp.GetPool()), nil
}

// Sync waits until everything that was applied so far is durable.
func (p *Pool) Sync(ctx context.Context) error {
	const op = "pool sync"
	if err := p.check(ctx, op); err != nil {
		return err
	}
	_, err := p.sys.pools.SyncPool(ctx, &apiv1.SyncPoolRequest{Pool: p.name})
	return fromStatus(ctx, op, p.ref, err)
}

// Checkpoint empties the log.
func (p *Pool) Checkpoint(ctx context.Context) error {
	const op = "pool checkpoint"
	if err := p.check(ctx, op); err != nil {
		return err
	}
	_, err := p.sys.pools.CheckpointPool(ctx, &apiv1.CheckpointPoolRequest{Pool: p.name})
	return fromStatus(ctx, op, p.ref, err)
}

// Containers lists the containers in the order of their labels.
func (p *Pool) Containers(ctx context.Context) ([]system.ContainerInfo, error) {
	const op = "container list"
	if err := p.check(ctx, op); err != nil {
		return nil, err
	}
	var all []system.ContainerInfo
	for token := ""; ; {
		resp, err := p.sys.containers.ListContainers(ctx, &apiv1.ListContainersRequest{Pool: p.name, PageToken: token})
		if err != nil {
			return nil, fromStatus(ctx, op, p.ref, err)
		}
		for _, c := range resp.GetContainers() {
			all = append(all, containerInfo(c))
		}
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// CreateContainer makes a container.
func (p *Pool) CreateContainer(ctx context.Context, label string, opts system.CreateContainer) (system.ContainerInfo, error) {
	const op = "container create"
	ref := p.ref + "/" + label
	if err := p.checkName(ctx, op, ref, label); err != nil {
		return system.ContainerInfo{}, err
	}
	props, err := wireProperties(op, ref, opts.Properties)
	if err != nil {
		return system.ContainerInfo{}, err
	}
	kind, ok := containerTypes[opts.Type]
	if !ok {
		return system.ContainerInfo{}, errno.New(op, ref, errno.Inval, fmt.Sprintf("there is no container type %q", opts.Type))
	}
	resp, err := p.sys.containers.CreateContainer(ctx, &apiv1.CreateContainerRequest{
		Pool: p.name, Label: label, Type: kind, Properties: props,
	})
	if err != nil {
		return system.ContainerInfo{}, fromStatus(ctx, op, ref, err)
	}
	return containerInfo(resp.GetContainer()), nil
}

// OpenContainer finds a container. CONT_NONEXIST when there is none of that label or UUID.
func (p *Pool) OpenContainer(ctx context.Context, labelOrUUID string) (system.Container, error) {
	const op = "container open"
	ref := p.ref + "/" + labelOrUUID
	if err := p.checkName(ctx, op, ref, labelOrUUID); err != nil {
		return nil, err
	}
	resp, err := p.sys.containers.GetContainer(ctx, &apiv1.GetContainerRequest{Container: p.name + "/" + labelOrUUID})
	if err != nil {
		return nil, fromStatus(ctx, op, ref, err)
	}
	c := &Container{sys: p.sys, pool: p, name: p.name + "/" + resp.GetContainer().GetUuid()}
	if err := c.init(&p.handle, "container", p.ref+"/"+resp.GetContainer().GetLabel()); err != nil {
		return nil, err
	}
	watch(c, &c.handle, nil)
	return c, nil
}

// DestroyContainer destroys a container; with force also one that holds objects.
func (p *Pool) DestroyContainer(ctx context.Context, labelOrUUID string, force bool) error {
	const op = "container destroy"
	ref := p.ref + "/" + labelOrUUID
	if err := p.checkName(ctx, op, ref, labelOrUUID); err != nil {
		return err
	}
	_, err := p.sys.containers.DeleteContainer(ctx, &apiv1.DeleteContainerRequest{Container: p.name + "/" + labelOrUUID, Force: force})
	return fromStatus(ctx, op, ref, err)
}

// containerTypes are the types of containers, in the system and on the wire.
var containerTypes = map[system.ContainerType]apiv1.ContainerType{
	"":                 apiv1.ContainerType_CONTAINER_TYPE_KV,
	system.TypeUnknown: apiv1.ContainerType_CONTAINER_TYPE_UNKNOWN,
	system.TypePOSIX:   apiv1.ContainerType_CONTAINER_TYPE_POSIX,
	system.TypeHDF5:    apiv1.ContainerType_CONTAINER_TYPE_HDF5,
	system.TypePython:  apiv1.ContainerType_CONTAINER_TYPE_PYTHON,
	system.TypeKV:      apiv1.ContainerType_CONTAINER_TYPE_KV,
}

func containerType(kind apiv1.ContainerType) system.ContainerType {
	for name, number := range containerTypes {
		if number == kind && name != "" {
			return name
		}
	}
	return system.TypeUnknown
}

// wireProperties is the properties as the wire has them.
func wireProperties(op, ref string, p system.Properties) (*apiv1.ContainerProperties, error) {
	wire := &apiv1.ContainerProperties{Owner: p.Owner, Group: p.Group, Description: p.Description, ValueMax: p.ValueMax}
	if p.Durability != nil {
		number, ok := apiv1.Durability_value["DURABILITY_"+strings.ToUpper(string(*p.Durability))]
		if !ok || number == 0 {
			return nil, errno.New(op, ref, errno.Inval, fmt.Sprintf("there is no durability %q: use durable or relaxed", *p.Durability))
		}
		wire.Durability = apiv1.Durability(number).Enum()
	}
	return wire, nil
}

func durability(d apiv1.Durability) system.Durability {
	if d == apiv1.Durability_DURABILITY_UNSPECIFIED {
		return ""
	}
	return system.Durability(strings.ToLower(strings.TrimPrefix(d.String(), "DURABILITY_")))
}

func containerInfo(c *apiv1.Container) system.ContainerInfo {
	props := c.GetProperties()
	return system.ContainerInfo{
		UUID: c.GetUuid(), Label: c.GetLabel(), Type: containerType(c.GetType()), Created: c.GetCreateTime().AsTime(),
		OpenHandles: c.GetOpenHandles(), Objects: c.GetObjects(),
		ValueMax: props.GetValueMax(), Owner: props.GetOwner(), Group: props.GetGroup(), Description: props.GetDescription(),
		Durability: durability(props.GetDurability()), Snapshots: c.GetSnapshots(), Epoch: c.GetEpoch(),
	}
}
