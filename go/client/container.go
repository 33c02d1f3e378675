// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"iter"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/kvdevice"
)

// Container is an open container.
type Container struct {
	handle
	sys  *System
	pool *Pool
	name string // "pool/container", in UUIDs; of a snapshot "pool/container@@epoch"
}

// Close closes the handle. BUSY while an object of it is open.
func (c *Container) Close() error { return c.close("container close", nil) }

// Info describes the container.
func (c *Container) Info(ctx context.Context) (system.ContainerInfo, error) {
	const op = "container query"
	if err := c.check(ctx, op); err != nil {
		return system.ContainerInfo{}, err
	}
	resp, err := c.sys.containers.GetContainer(ctx, &apiv1.GetContainerRequest{Container: c.name})
	if err != nil {
		return system.ContainerInfo{}, fromStatus(ctx, op, c.ref, err)
	}
	return containerInfo(resp.GetContainer()), nil
}

// SetProperties sets the properties that are not nil, all or none.
func (c *Container) SetProperties(ctx context.Context, p system.Properties) error {
	const op = "container set"
	if err := c.check(ctx, op); err != nil {
		return err
	}
	wire, err := wireProperties(op, c.ref, p)
	if err != nil {
		return err
	}
	_, err = c.sys.containers.UpdateContainer(ctx, &apiv1.UpdateContainerRequest{Container: c.name, Properties: wire})
	return fromStatus(ctx, op, c.ref, err)
}

// Sync waits until everything that was acknowledged so far is durable.
func (c *Container) Sync(ctx context.Context) error {
	const op = "container sync"
	if err := c.check(ctx, op); err != nil {
		return err
	}
	_, err := c.sys.containers.SyncContainer(ctx, &apiv1.SyncContainerRequest{Container: c.name})
	return fromStatus(ctx, op, c.ref, err)
}

// Objects lists the objects in the order of their names, those after one; "": all.
func (c *Container) Objects(ctx context.Context, after string) iter.Seq2[system.ObjectInfo, error] {
	const op = "object list"
	return func(yield func(system.ObjectInfo, error) bool) {
		for token := ""; ; {
			resp, err := c.page(ctx, op, after, token)
			if err != nil {
				yield(system.ObjectInfo{}, err)
				return
			}
			for _, o := range resp.GetObjects() {
				if !yield(objectInfo(o), nil) {
					return
				}
			}
			if token = resp.GetNextPageToken(); token == "" {
				return
			}
		}
	}
}

func (c *Container) page(ctx context.Context, op, after, token string) (*apiv1.ListObjectsResponse, error) {
	if err := c.check(ctx, op); err != nil {
		return nil, err
	}
	resp, err := c.sys.objects.ListObjects(ctx, &apiv1.ListObjectsRequest{
		Container: c.name, PageSize: int32(c.sys.limits.GetPageSize()), PageToken: token, After: after,
	})
	return resp, fromStatus(ctx, op, c.ref, err)
}

// CreateObject makes an empty object.
func (c *Container) CreateObject(ctx context.Context, name string) (system.ObjectInfo, error) {
	const op = "object create"
	ref := c.ref + "/" + name
	if err := c.checkName(ctx, op, ref, name); err != nil {
		return system.ObjectInfo{}, err
	}
	resp, err := c.sys.objects.CreateObject(ctx, &apiv1.CreateObjectRequest{Container: c.name, Name: name})
	if err != nil {
		return system.ObjectInfo{}, fromStatus(ctx, op, ref, err)
	}
	return objectInfo(resp.GetObject()), nil
}

// Object describes an object. NONEXIST when there is none of that name.
func (c *Container) Object(ctx context.Context, name string) (system.ObjectInfo, error) {
	return c.object(ctx, "object query", name)
}

func (c *Container) object(ctx context.Context, op, name string) (system.ObjectInfo, error) {
	ref := c.ref + "/" + name
	if err := c.checkName(ctx, op, ref, name); err != nil {
		return system.ObjectInfo{}, err
	}
	resp, err := c.sys.objects.GetObject(ctx, &apiv1.GetObjectRequest{Object: c.name + "/" + name})
	if err != nil {
		return system.ObjectInfo{}, fromStatus(ctx, op, ref, err)
	}
	return objectInfo(resp.GetObject()), nil
}

// RenameObject gives an object another name. EXIST when there is an object of the new name.
func (c *Container) RenameObject(ctx context.Context, name, to string) error {
	const op = "object rename"
	ref := c.ref + "/" + name
	for _, n := range []string{name, to} {
		if err := c.checkName(ctx, op, ref, n); err != nil {
			return err
		}
	}
	_, err := c.sys.objects.RenameObject(ctx, &apiv1.RenameObjectRequest{Object: c.name + "/" + name, NewName: to})
	return fromStatus(ctx, op, ref, err)
}

// DestroyObject removes an object with all its keys.
func (c *Container) DestroyObject(ctx context.Context, name string) error {
	const op = "object destroy"
	ref := c.ref + "/" + name
	if err := c.checkName(ctx, op, ref, name); err != nil {
		return err
	}
	_, err := c.sys.objects.DeleteObject(ctx, &apiv1.DeleteObjectRequest{Object: c.name + "/" + name})
	return fromStatus(ctx, op, ref, err)
}

// OpenKV finds an object, or makes it with create.
func (c *Container) OpenKV(ctx context.Context, name string, create bool) (system.KV, error) {
	const op = "kv open"
	_, err := c.object(ctx, op, name)
	if create && errors.Is(err, errno.NonExist) {
		_, err = c.CreateObject(ctx, name)
		if errors.Is(err, errno.Exist) { // somebody else was faster
			_, err = c.object(ctx, op, name)
		}
	}
	if err != nil {
		return nil, err
	}
	kv := &KV{sys: c.sys, name: c.name + "/" + name}
	if err := kv.init(&c.handle, "KV", c.ref+"/"+name); err != nil {
		return nil, err
	}
	watch(kv, &kv.handle, nil)
	return kv, nil
}

func objectInfo(o *apiv1.Object) system.ObjectInfo {
	return system.ObjectInfo{Name: o.GetName(), OID: o.GetOid(), Type: o.GetType()}
}

var _ system.KeyValueDevices = (*Container)(nil)

// OpenKeyValueDevice opens the container as a namespace of a key-value device. NOTYPE when it is not of type KV.
func (c *Container) OpenKeyValueDevice(ctx context.Context) (system.KeyValueDevice, error) {
	return kvdevice.Open(ctx, c, func(ctx context.Context) (system.PoolInfo, error) {
		const op = "pool query"
		resp, err := c.sys.pools.GetPool(ctx, &apiv1.GetPoolRequest{Pool: c.pool.name})
		if err != nil {
			return system.PoolInfo{}, fromStatus(ctx, op, c.ref, err)
		}
		return poolInfo(resp.GetPool()), nil
	})
}
