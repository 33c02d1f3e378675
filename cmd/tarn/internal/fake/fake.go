// SPDX-License-Identifier: Apache-2.0

// Package fake is a system in memory for the tests of the command line: its UUIDs and times are always the same, and calls can be
// made to fail. It keeps the contract of package system as far as the commands can see it.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// System is a system in memory.
type System struct {
	mu    sync.Mutex
	pools map[string]*pool
	next  int              // for UUIDs and object ids
	Fail  map[string]error // what the call of that name answers: "kv put"
	Opens int              // handles that are open

	Report system.CheckReport // what a check and a scrub answer: with findings it is an error
}

// New returns a system without pools.
func New() *System { return &System{pools: map[string]*pool{}, Fail: map[string]error{}} }

func (s *System) uuid() string {
	s.next++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", s.next)
}

// enter locks the system for one call. The lock is held whatever the answer is.
func (s *System) enter(ctx context.Context, op string) error {
	s.mu.Lock()
	if ctx.Err() != nil {
		return errno.FromContext(op, "", ctx)
	}
	return s.Fail[op]
}

func absent(ref, what string) error {
	return errno.New("", ref, errno.NonExist, "there is no such "+what)
}
func taken(ref string) error { return errno.New("", ref, errno.Exist, "the name is taken") }

func values[T any, K cmp.Ordered](m map[K]T) []T {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]T, len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}

func (s *System) Pools(ctx context.Context) ([]system.PoolInfo, error) {
	defer s.mu.Unlock()
	if err := s.enter(ctx, "pool list"); err != nil {
		return nil, err
	}
	var infos []system.PoolInfo
	for _, p := range values(s.pools) {
		infos = append(infos, p.info)
	}
	return infos, nil
}

func (s *System) CreatePool(ctx context.Context, label string, o system.CreatePool) (system.PoolInfo, error) {
	defer s.mu.Unlock()
	if err := s.enter(ctx, "pool create"); err != nil {
		return system.PoolInfo{}, err
	}
	if s.pools[label] != nil {
		return system.PoolInfo{}, taken(label)
	}
	info := system.PoolInfo{UUID: s.uuid(), Label: label, Path: cmp.Or(o.Device, "/root/"+label+".pool"), Targets: 1, MapVersion: 1,
		FormatVersion: 1, TotalBytes: o.Size, FreeBytes: o.Size / 2, LogBytes: cmp.Or(o.LogBytes, o.Size/16), Generation: 1}
	s.pools[label] = &pool{access: access{s: s, kind: acl.Pool, of: system.Access{Owner: o.Owner, Group: o.Group}}, attributes: newAttributes(s), s: s, info: info, conts: map[string]*cont{}}
	return info, nil
}

func (s *System) OpenPool(ctx context.Context, label string) (system.Pool, error) {
	defer s.mu.Unlock()
	if err := s.enter(ctx, "pool open"); err != nil {
		return nil, err
	}
	p := s.pools[label]
	if p == nil {
		return nil, absent(label, "pool")
	}
	s.Opens++
	return p, nil
}

func (s *System) DestroyPool(ctx context.Context, label string, force bool) error {
	defer s.mu.Unlock()
	if err := s.enter(ctx, "pool destroy"); err != nil {
		return err
	}
	p := s.pools[label]
	switch {
	case p == nil:
		return absent(label, "pool")
	case len(p.conts) > 0 && !force:
		return errno.New("", label, errno.Busy, "the pool holds containers")
	}
	delete(s.pools, label)
	return nil
}

func (s *System) Close() error { return nil }

func (s *System) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Opens--
	return nil
}

type pool struct {
	access
	attributes
	s     *System
	info  system.PoolInfo
	conts map[string]*cont
}

func (p *pool) Info(ctx context.Context) (system.PoolInfo, error) {
	defer p.s.mu.Unlock()
	err := p.s.enter(ctx, "pool info")
	info := p.info
	info.CacheBytes, info.CacheUsedBytes, info.Containers = 256<<20, 1<<20, uint64(len(p.conts))
	return info, err
}

func (p *pool) Containers(ctx context.Context) ([]system.ContainerInfo, error) {
	defer p.s.mu.Unlock()
	if err := p.s.enter(ctx, "cont list"); err != nil {
		return nil, err
	}
	var infos []system.ContainerInfo
	for _, c := range values(p.conts) {
		infos = append(infos, c.describe())
	}
	return infos, nil
}

func (p *pool) CreateContainer(ctx context.Context, label string, o system.CreateContainer) (system.ContainerInfo, error) {
	defer p.s.mu.Unlock()
	if err := p.s.enter(ctx, "cont create"); err != nil {
		return system.ContainerInfo{}, err
	}
	if p.conts[label] != nil {
		return system.ContainerInfo{}, taken(label)
	}
	c := &cont{access: access{s: p.s, kind: acl.Container, of: system.Access{Owner: "anna"}}, attributes: newAttributes(p.s), s: p.s, objects: map[string]*kv{}}
	c.info = system.ContainerInfo{UUID: p.s.uuid(), Label: label, Type: o.Type, Created: time.Unix(1700000000, 0), Owner: "anna",
		ValueMax: system.ValueMax, Durability: system.Durable}
	c.set(o.Properties)
	p.conts[label] = c
	return c.info, nil
}

func (p *pool) OpenContainer(ctx context.Context, label string) (system.Container, error) {
	defer p.s.mu.Unlock()
	if err := p.s.enter(ctx, "cont open"); err != nil {
		return nil, err
	}
	c := p.conts[label]
	if c == nil {
		return nil, errno.New("", label, errno.ContNonExist, "there is no such container")
	}
	p.s.Opens++
	return c, nil
}

func (p *pool) DestroyContainer(ctx context.Context, label string, force bool) error {
	defer p.s.mu.Unlock()
	if err := p.s.enter(ctx, "cont destroy"); err != nil {
		return err
	}
	c := p.conts[label]
	switch {
	case c == nil:
		return errno.New("", label, errno.ContNonExist, "there is no such container")
	case len(c.objects) > 0 && !force:
		return errno.New("", label, errno.Busy, "the container holds objects")
	}
	delete(p.conts, label)
	return nil
}

func (p *pool) verb(ctx context.Context, op string) error {
	defer p.s.mu.Unlock()
	return p.s.enter(ctx, op)
}

func (p *pool) Sync(ctx context.Context) error       { return p.verb(ctx, "pool sync") }
func (p *pool) Checkpoint(ctx context.Context) error { return p.verb(ctx, "pool checkpoint") }
func (p *pool) Close() error                         { return p.s.close() }

func (p *pool) Check(ctx context.Context, o system.CheckOptions) (system.CheckReport, error) {
	return p.verify(ctx, "pool check", o)
}

func (p *pool) Scrub(ctx context.Context, o system.CheckOptions) (system.CheckReport, error) {
	return p.verify(ctx, "pool scrub", o)
}

func (p *pool) verify(ctx context.Context, op string, o system.CheckOptions) (system.CheckReport, error) {
	defer p.s.mu.Unlock()
	if err := p.s.enter(ctx, op); err != nil {
		return system.CheckReport{}, err
	}
	if o.Progress != nil {
		o.Progress(p.s.Report.Bytes, p.s.Report.Bytes)
	}
	if p.s.Report.Findings > 0 {
		return p.s.Report, errno.New(op, p.info.Label, errno.Csum, p.s.Report.Found[0].What)
	}
	return p.s.Report, nil
}
