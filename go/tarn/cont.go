// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"time"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Container is an open container.
type Container struct {
	object
	c    *C.tarn_cont
	pool *Pool  // kept alive
	name string // its UUID, or what it was opened by
}

var contTypes = map[ContainerType]C.tarn_cont_type{
	TypeUnknown: C.TARN_CONT_UNKNOWN,
	TypePOSIX:   C.TARN_CONT_POSIX,
	TypeHDF5:    C.TARN_CONT_HDF5,
	TypePython:  C.TARN_CONT_PYTHON,
	TypeKV:      C.TARN_CONT_KV,
	"":          C.TARN_CONT_KV,
}

func contType(c C.tarn_cont_type) ContainerType {
	for name, number := range contTypes {
		if number == c && name != "" {
			return name
		}
	}
	return TypeUnknown
}

// Containers describes the containers of the pool in the order of their labels. Errors: those of any call that reads.
//
// Implements: int tarn_cont_list(tarn_pool *, tarn_cont_info *, size_t *, tarn_event *)
func (p *Pool) Containers(ctx context.Context) ([]ContainerInfo, error) {
	s, err := p.begin(ctx, "container list")
	if err != nil {
		return nil, err
	}
	defer p.end(s)
	return listInfos(ctx, s, contInfo, func(infos *C.tarn_cont_info, count *C.size_t) C.int {
		return C.tarn_cont_list(p.c, infos, count, &s.c.ev)
	})
}

// CreateContainer makes a container. Errors: EXIST (the label is taken), INVAL (label, type, property), NOSPACE, EP_RO, IO.
//
// Implements: int tarn_cont_create(tarn_pool *, const char *, tarn_cont_type, const tarn_prop *, size_t, tarn_uuid *, tarn_event *)
func (p *Pool) CreateContainer(ctx context.Context, label string, opts CreateContainer) (ContainerInfo, error) {
	if err := p.createContainer(ctx, label, opts); err != nil {
		return ContainerInfo{}, err
	}
	c, err := p.OpenContainer(ctx, label)
	if err != nil {
		return ContainerInfo{}, err
	}
	defer c.Close()
	info, err := c.Info(ctx)
	if err == nil {
		info.OpenHandles-- // this one
	}
	return info, err
}

func (p *Pool) createContainer(ctx context.Context, label string, opts CreateContainer) error {
	s, err := p.begin(ctx, "container create")
	if err != nil {
		return err
	}
	defer p.end(s)
	s.ref = p.h.ref + "/" + label
	kind, ok := contTypes[opts.Type]
	if !ok {
		return errno.New(s.op, s.ref, errno.Inval, "there is no container type "+string(opts.Type)+
			": use KV, PYTHON, POSIX, HDF5 or UNKNOWN")
	}
	var names cstrings
	defer names.free()
	name, err := names.add(s.op, label)
	if err != nil {
		return err
	}
	props, n, err := fillProps(s, &names, opts.Properties)
	if err != nil {
		return err
	}
	return s.wait(ctx, C.tarn_cont_create(p.c, name, kind, props, n, nil, &s.c.ev))
}

var durabilities = map[Durability]C.uint64_t{Durable: C.TARN_DURABILITY_DURABLE, Relaxed: C.TARN_DURABILITY_RELAXED}

// fillProps writes the properties that are set into the slot.
func fillProps(s *slot, names *cstrings, p Properties) (*C.tarn_prop, C.size_t, error) {
	props := unsafe.Slice((*C.tarn_prop)(s.data()), 5)
	n := 0
	if p.ValueMax != nil {
		props[n] = C.tarn_prop{id: C.TARN_PROP_VALUE_MAX, number: C.uint64_t(*p.ValueMax)}
		n++
	}
	if p.Durability != nil {
		number, ok := durabilities[*p.Durability]
		if !ok {
			return nil, 0, errno.New(s.op, s.ref, errno.Inval, "there is no durability "+string(*p.Durability)+": use durable or relaxed")
		}
		props[n] = C.tarn_prop{id: C.TARN_PROP_DURABILITY, number: number}
		n++
	}
	for _, text := range []struct {
		id    C.tarn_prop_id
		value *string
	}{{C.TARN_PROP_OWNER, p.Owner}, {C.TARN_PROP_GROUP, p.Group}, {C.TARN_PROP_DESCRIPTION, p.Description}} {
		if text.value == nil {
			continue
		}
		c, err := names.add(s.op, *text.value)
		if err != nil {
			return nil, 0, err
		}
		props[n] = C.tarn_prop{id: text.id, string: c}
		n++
	}
	return &props[0], C.size_t(n), nil
}

// OpenContainer opens a container by label or UUID. Errors: CONT_NONEXIST, CONT_DESTROYING.
//
// Implements: int tarn_cont_open(tarn_pool *, const char *, unsigned, tarn_cont **, tarn_event *)
func (p *Pool) OpenContainer(ctx context.Context, labelOrUUID string, opts ...OpenOption) (*Container, error) {
	s, err := p.begin(ctx, "container open")
	if err != nil {
		return nil, err
	}
	defer p.end(s)
	s.ref = p.h.ref + "/" + labelOrUUID
	var names cstrings
	defer names.free()
	name, err := names.add(s.op, labelOrUUID)
	if err != nil {
		return nil, err
	}
	flags := openFlags(opts, C.TARN_CONT_RDONLY)
	err = s.wait(ctx, C.tarn_cont_open(p.c, name, flags, (**C.tarn_cont)(s.opened()), &s.c.ev))
	if err != nil {
		return nil, err
	}
	return newContainer(p, s.ref, labelOrUUID, (*C.tarn_cont)(s.handle())), nil
}

func newContainer(p *Pool, ref, name string, c *C.tarn_cont) *Container {
	cont := &Container{c: c, pool: p, name: name}
	cont.h = newHandle(p.h.core, p.h, "container", ref, func() error {
		return direct("container close", ref, func() C.int { return C.tarn_cont_close(c) })
	})
	watch(cont, cont.h)
	return cont
}

// DestroyContainer destroys a container with all its objects. Errors: CONT_NONEXIST, BUSY (open, or it holds objects and force is
// not set).
//
// Implements: int tarn_cont_destroy(tarn_pool *, const char *, unsigned, tarn_event *)
func (p *Pool) DestroyContainer(ctx context.Context, labelOrUUID string, force bool) error {
	s, err := p.begin(ctx, "container destroy")
	if err != nil {
		return err
	}
	defer p.end(s)
	s.ref = p.h.ref + "/" + labelOrUUID
	var names cstrings
	defer names.free()
	name, err := names.add(s.op, labelOrUUID)
	if err != nil {
		return err
	}
	return s.wait(ctx, C.tarn_cont_destroy(p.c, name, destroyFlags(force), &s.c.ev))
}

// Info describes the container. Errors: those of any call that reads.
//
// Implements: int tarn_cont_query(tarn_cont *, tarn_cont_info *, tarn_event *)
func (c *Container) Info(ctx context.Context) (ContainerInfo, error) {
	s, err := c.begin(ctx, "container query")
	if err != nil {
		return ContainerInfo{}, err
	}
	defer c.end(s)
	info := (*C.tarn_cont_info)(s.data())
	if err = s.wait(ctx, C.tarn_cont_query(c.c, info, &s.c.ev)); err != nil {
		return ContainerInfo{}, err
	}
	return contInfo(info), nil
}

func contInfo(i *C.tarn_cont_info) ContainerInfo {
	return ContainerInfo{
		UUID:        uuidText(&i.uuid),
		Label:       C.GoString(&i.label[0]),
		Type:        contType(i._type),
		Created:     time.Unix(0, int64(i.created_ns)).UTC(),
		OpenHandles: uint32(i.open_handles),
		Objects:     uint64(i.objects),
		ValueMax:    uint64(i.value_max),
		Owner:       C.GoString(&i.owner[0]),
		Group:       C.GoString(&i.group[0]),
		Description: C.GoString(&i.description[0]),
		Durability:  durability(i.durability),
		Snapshots:   uint64(i.snapshots),
		Epoch:       uint64(i.epoch),
	}
}

func durability(c C.tarn_durability) Durability {
	if c == C.TARN_DURABILITY_RELAXED {
		return Relaxed
	}
	return Durable
}

// SetProperties sets the properties that are not nil, all or none. Errors: INVAL, EP_RO.
//
// Implements: int tarn_cont_set_props(tarn_cont *, const tarn_prop *, size_t, tarn_event *)
func (c *Container) SetProperties(ctx context.Context, p Properties) error {
	s, err := c.begin(ctx, "container set")
	if err != nil {
		return err
	}
	defer c.end(s)
	var names cstrings
	defer names.free()
	props, n, err := fillProps(s, &names, p)
	if err != nil || n == 0 {
		return err
	}
	return s.wait(ctx, C.tarn_cont_set_props(c.c, props, n, &s.c.ev))
}

// Sync waits until all changes that were acknowledged before, of any container of the pool, are durable. Errors: EP_RO, IO.
//
// Implements: int tarn_cont_sync(tarn_cont *, tarn_event *)
func (c *Container) Sync(ctx context.Context) error {
	s, err := c.begin(ctx, "container sync")
	if err != nil {
		return err
	}
	defer c.end(s)
	return s.wait(ctx, C.tarn_cont_sync(c.c, &s.c.ev))
}
