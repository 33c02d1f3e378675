// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/system/kvdevice"
)

type cont struct {
	access
	attributes
	s       *System
	info    system.ContainerInfo
	objects map[string]*kv
	snaps   []snapshot
}

func (c *cont) describe() system.ContainerInfo {
	info := c.info
	info.Objects, info.Snapshots = uint64(len(c.objects)), uint64(len(c.snaps))
	return info
}

func (c *cont) set(p system.Properties) {
	for _, s := range []struct{ from, to *string }{{p.Owner, &c.info.Owner}, {p.Description, &c.info.Description}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
	if p.Durability != nil {
		c.info.Durability = *p.Durability
	}
	if p.ValueMax != nil {
		c.info.ValueMax = *p.ValueMax
	}
}

func (c *cont) Info(ctx context.Context) (system.ContainerInfo, error) {
	defer c.s.mu.Unlock()
	err := c.s.enter(ctx, "cont info")
	return c.describe(), err
}

func (c *cont) SetProperties(ctx context.Context, p system.Properties) error {
	defer c.s.mu.Unlock()
	err := c.s.enter(ctx, "cont set")
	if err == nil {
		c.set(p)
	}
	return err
}

func (c *cont) Objects(ctx context.Context, after string) iter.Seq2[system.ObjectInfo, error] {
	return func(yield func(system.ObjectInfo, error) bool) {
		err := c.s.enter(ctx, "obj list")
		objects := values(c.objects)
		c.s.mu.Unlock()
		if err != nil {
			yield(system.ObjectInfo{}, err)
			return
		}
		for _, o := range objects {
			if o.info.Name > after && !yield(o.info, nil) {
				return
			}
		}
	}
}

func (c *cont) CreateObject(ctx context.Context, name string) (system.ObjectInfo, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "obj create"); err != nil {
		return system.ObjectInfo{}, err
	}
	if c.objects[name] != nil {
		return system.ObjectInfo{}, taken(name)
	}
	return c.create(name).info, nil
}

func (c *cont) create(name string) *kv {
	c.s.next++
	c.objects[name] = &kv{s: c.s, c: c, data: map[string]value{},
		info: system.ObjectInfo{Name: name, OID: fmt.Sprintf("720575940379279360.%d", c.s.next), Type: "KV_LEXICAL"}}
	return c.objects[name]
}

func (c *cont) Object(ctx context.Context, name string) (system.ObjectInfo, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "obj info"); err != nil {
		return system.ObjectInfo{}, err
	}
	if c.objects[name] == nil {
		return system.ObjectInfo{}, absent(name, "object")
	}
	return c.objects[name].info, nil
}

func (c *cont) RenameObject(ctx context.Context, name, to string) error {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "obj rename"); err != nil {
		return err
	}
	o := c.objects[name]
	switch {
	case o == nil:
		return absent(name, "object")
	case c.objects[to] != nil:
		return taken(to)
	}
	o.info.Name = to
	c.objects[to] = o
	delete(c.objects, name)
	return nil
}

func (c *cont) DestroyObject(ctx context.Context, name string) error {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "obj destroy"); err != nil {
		return err
	}
	if c.objects[name] == nil {
		return absent(name, "object")
	}
	delete(c.objects, name)
	return nil
}

func (c *cont) OpenKV(ctx context.Context, name string, create bool) (system.KV, error) {
	defer c.s.mu.Unlock()
	if err := c.s.enter(ctx, "kv open"); err != nil {
		return nil, err
	}
	o := c.objects[name]
	if o == nil && !create {
		return nil, absent(name, "object")
	}
	if o == nil {
		o = c.create(name)
	}
	c.s.Opens++
	return o, nil
}

func (c *cont) Close() error { return c.s.close() }

type value struct {
	data     []byte
	revision uint64
}

type kv struct {
	s    *System
	c    *cont
	info system.ObjectInfo
	data map[string]value
}

func (k *kv) get(ctx context.Context, op string, key []byte) (value, error) {
	defer k.s.mu.Unlock()
	if err := k.s.enter(ctx, op); err != nil {
		return value{}, err
	}
	v, ok := k.data[string(key)]
	if !ok {
		return v, absent(k.info.Name, fmt.Sprintf("key as %q", key))
	}
	return v, nil
}

func (k *kv) Get(ctx context.Context, key []byte) ([]byte, error) {
	v, err := k.get(ctx, "kv get", key)
	return bytes.Clone(v.data), err
}

func (k *kv) GetMany(ctx context.Context, keys [][]byte) ([]system.Value, error) {
	values := make([]system.Value, len(keys))
	for i, key := range keys {
		values[i].Data, values[i].Err = k.Get(ctx, key)
	}
	return values, nil
}

func (k *kv) GetInto(ctx context.Context, key, dst []byte) (int, error) {
	v, err := k.get(ctx, "kv get", key)
	if err == nil && len(v.data) > len(dst) {
		err = errno.Rec2Big
	}
	return copy(dst, v.data), err
}

func (k *kv) Stat(ctx context.Context, key []byte) (system.Stat, error) {
	v, err := k.get(ctx, "kv stat", key)
	return system.Stat{Size: uint64(len(v.data)), Revision: v.revision}, err
}

func (k *kv) Exists(ctx context.Context, key []byte) (bool, error) {
	_, err := k.get(ctx, "kv exists", key)
	if errno.CodeOf(err) == errno.NonExist {
		return false, nil
	}
	return err == nil, err
}

func (k *kv) Put(ctx context.Context, key, val []byte, cond ...system.Cond) error {
	m := system.Mutation{Key: key, Value: val}
	if len(cond) > 0 {
		m.Cond = cond[0]
	}
	return k.change(ctx, "kv put", m)
}

func (k *kv) Delete(ctx context.Context, key []byte, cond ...system.Cond) error {
	m := system.Mutation{Key: key, Delete: true}
	if len(cond) > 0 {
		m.Cond = cond[0]
	}
	return k.change(ctx, "kv del", m)
}

func (k *kv) Apply(ctx context.Context, batch []system.Mutation) error {
	return k.change(ctx, "kv apply", batch...)
}

func (k *kv) change(ctx context.Context, op string, batch ...system.Mutation) error {
	defer k.s.mu.Unlock()
	if err := k.s.enter(ctx, op); err != nil {
		return err
	}
	if k.c.info.Epoch != 0 {
		return errno.New(op, k.info.Name, errno.EPRO, "it is a snapshot")
	}
	for i, m := range batch {
		if err := k.allowed(m); err != nil {
			err.Index = i
			return err
		}
	}
	for _, m := range batch {
		if m.Check {
			continue
		}
		k.s.next++
		delete(k.data, string(m.Key))
		if !m.Delete {
			k.data[string(m.Key)] = value{bytes.Clone(m.Value), uint64(k.s.next)}
		}
	}
	return nil
}

func (k *kv) allowed(m system.Mutation) *errno.Error {
	_, there := k.data[string(m.Key)]
	switch {
	case len(m.Key) == 0:
		return errno.New("", k.info.Name, errno.Inval, "the key is empty")
	case uint64(len(m.Value)) > k.c.info.ValueMax:
		return errno.New("", k.info.Name, errno.Rec2Big, "the value is larger than value_max")
	case m.Cond == system.CondInsert && there:
		return errno.New("", k.info.Name, errno.Exist, fmt.Sprintf("the key %q exists", m.Key))
	case m.Cond == system.CondUpdate && !there:
		return errno.New("", k.info.Name, errno.NonExist, fmt.Sprintf("there is no such key as %q", m.Key))
	case m.Cond == system.CondRevision && k.data[string(m.Key)].revision != m.Revision:
		return errno.New("", k.info.Name, errno.TXRestart, fmt.Sprintf("the key %q has another revision", m.Key))
	}
	return nil
}

// entries is the range, taken at once.
func (k *kv) entries(ctx context.Context, op string, r system.Range) ([]system.Entry, error) {
	defer k.s.mu.Unlock()
	if err := k.s.enter(ctx, op); err != nil {
		return nil, err
	}
	var out []system.Entry
	for key, v := range k.data {
		if !strings.HasPrefix(key, string(r.Prefix)) || key < string(r.Start) || (len(r.End) > 0 && key >= string(r.End)) {
			continue
		}
		e := system.Entry{Key: []byte(key), Size: uint64(len(v.data)), Revision: v.revision}
		if e.Omitted = r.KeysOnly || len(v.data) > system.ListValueMax; !e.Omitted {
			e.Value = bytes.Clone(v.data)
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b system.Entry) int { return bytes.Compare(a.Key, b.Key) })
	if r.Reverse {
		slices.Reverse(out)
	}
	if r.Limit > 0 && uint64(len(out)) > r.Limit {
		out = out[:r.Limit]
	}
	return out, nil
}

func (k *kv) Count(ctx context.Context, r system.Range) (uint64, error) {
	e, err := k.entries(ctx, "kv count", r)
	return uint64(len(e)), err
}

func (k *kv) List(ctx context.Context, r system.Range) iter.Seq2[system.Entry, error] {
	return func(yield func(system.Entry, error) bool) {
		entries, err := k.entries(ctx, "kv list", r)
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(system.Entry{}, err)
		}
	}
}

func (k *kv) DeleteRange(ctx context.Context, r system.Range) (uint64, error) {
	entries, err := k.entries(ctx, "kv delrange", r)
	for _, e := range entries {
		delete(k.data, string(e.Key))
	}
	return uint64(len(entries)), err
}

type reader struct {
	io.Reader
	st system.Stat
}

func (r reader) Stat() system.Stat { return r.st }
func (reader) Close() error        { return nil }

func (k *kv) Reader(ctx context.Context, key []byte) (system.Reader, error) {
	v, err := k.get(ctx, "kv get", key)
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(v.data), system.Stat{Size: uint64(len(v.data)), Revision: v.revision}}, nil
}

type writer struct {
	bytes.Buffer
	k    *kv
	key  []byte
	cond []system.Cond
}

func (k *kv) Writer(_ context.Context, key []byte, cond ...system.Cond) (system.Writer, error) {
	return &writer{k: k, key: bytes.Clone(key), cond: cond}, nil
}

func (w *writer) Commit(ctx context.Context) error { return w.k.Put(ctx, w.key, w.Bytes(), w.cond...) }
func (w *writer) Close() error                     { return nil }

func (k *kv) Close() error { return k.s.close() }

var _ system.KeyValueDevices = (*cont)(nil)

func (c *cont) OpenKeyValueDevice(ctx context.Context) (system.KeyValueDevice, error) {
	return kvdevice.Open(ctx, c, func(context.Context) (system.PoolInfo, error) {
		return system.PoolInfo{TotalBytes: 1 << 30, FreeBytes: 1 << 29}, nil
	})
}
