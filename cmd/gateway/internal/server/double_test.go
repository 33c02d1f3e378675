// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// double stands for the system where a test wants errors, delays and defects at will: every call passes hook, with its name. It has
// one pool, container and object. A method that it does not have is a nil pointer: the defect.
type double struct {
	system.System
	hook func(ctx context.Context, op string) error

	mu     sync.Mutex
	values map[string][]byte
}

func newDouble(hook func(ctx context.Context, op string) error) *double {
	return &double{hook: hook, values: map[string][]byte{}}
}

func (d *double) Pools(ctx context.Context) ([]system.PoolInfo, error) {
	return []system.PoolInfo{{Label: "tank", UUID: "pool-uuid"}}, d.hook(ctx, "pools")
}

func (d *double) CreatePool(ctx context.Context, label string, _ system.CreatePool) (system.PoolInfo, error) {
	return system.PoolInfo{Label: label}, d.hook(ctx, "create pool")
}

func (d *double) OpenPool(ctx context.Context, _ string) (system.Pool, error) {
	return doublePool{d: d}, d.hook(ctx, "open pool")
}

func (d *double) Close() error { return nil }

type doublePool struct {
	system.Pool
	d *double
}

func (p doublePool) Info(context.Context) (system.PoolInfo, error) {
	return system.PoolInfo{Label: "tank", UUID: "pool-uuid"}, nil
}

func (p doublePool) Containers(ctx context.Context) ([]system.ContainerInfo, error) {
	return []system.ContainerInfo{{Label: "neo", UUID: "container-uuid", Snapshots: 3}}, p.d.hook(ctx, "containers")
}

func (p doublePool) OpenContainer(ctx context.Context, _ string) (system.Container, error) {
	return doubleContainer{d: p.d}, p.d.hook(ctx, "open container")
}

func (p doublePool) Access(context.Context) (system.Access, error) { return system.Access{}, nil }

func (p doublePool) Close() error { return nil }

type doubleContainer struct {
	system.Container
	d *double
}

func (c doubleContainer) Info(context.Context) (system.ContainerInfo, error) {
	return system.ContainerInfo{Label: "neo", UUID: "container-uuid"}, nil
}

func (c doubleContainer) Object(ctx context.Context, name string) (system.ObjectInfo, error) {
	return system.ObjectInfo{Name: name}, c.d.hook(ctx, "object")
}

func (c doubleContainer) OpenKV(ctx context.Context, _ string, _ bool) (system.KV, error) {
	return doubleKV{d: c.d}, c.d.hook(ctx, "open kv")
}

func (c doubleContainer) Access(context.Context) (system.Access, error) { return system.Access{}, nil }

func (c doubleContainer) Close() error { return nil }

type doubleKV struct {
	system.KV
	d *double
}

func (k doubleKV) GetInto(ctx context.Context, key, dst []byte) (int, error) {
	if err := k.d.hook(ctx, "get"); err != nil {
		return 0, err
	}
	val, ok := k.d.get(key)
	if !ok {
		return 0, errno.New("kv get", "tank/neo/stadium", errno.NonExist, "there is no such key")
	}
	if len(val) > len(dst) {
		e := errno.New("kv get", "tank/neo/stadium", errno.Rec2Big, "the buffer is too small")
		e.Size = uint64(len(val))
		return 0, e
	}
	return copy(dst, val), nil
}

func (k doubleKV) Put(ctx context.Context, key, val []byte, _ ...system.Cond) error {
	if err := k.d.hook(ctx, "put"); err != nil {
		return err
	}
	k.d.put(key, val)
	return nil
}

func (k doubleKV) Apply(ctx context.Context, batch []system.Mutation) error {
	if err := k.d.hook(ctx, "apply"); err != nil {
		return err
	}
	for _, m := range batch {
		k.d.put(m.Key, m.Value)
	}
	return nil
}

func (k doubleKV) Writer(ctx context.Context, key []byte, _ ...system.Cond) (system.Writer, error) {
	return &doubleWriter{d: k.d, key: bytes.Clone(key)}, k.d.hook(ctx, "write")
}

func (k doubleKV) Reader(ctx context.Context, key []byte) (system.Reader, error) {
	val, _ := k.d.get(key)
	return doubleReader{Reader: bytes.NewReader(val), size: len(val)}, k.d.hook(ctx, "read")
}

func (k doubleKV) Close() error { return nil }

func (d *double) get(key []byte) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	val, ok := d.values[string(key)]
	return val, ok
}

func (d *double) put(key, val []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[string(key)] = bytes.Clone(val)
}

type doubleWriter struct {
	bytes.Buffer
	d   *double
	key []byte
}

func (w *doubleWriter) Commit(context.Context) error {
	w.d.put(w.key, w.Bytes())
	return nil
}

func (w *doubleWriter) Close() error { return nil }

type doubleReader struct {
	io.Reader
	size int
}

func (r doubleReader) Stat() system.Stat { return system.Stat{Size: uint64(r.size), Revision: 1} }
func (r doubleReader) Close() error      { return nil }
