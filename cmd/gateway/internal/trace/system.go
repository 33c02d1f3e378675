// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"

	"github.com/tarn-storage/tarn/go/system"
)

// System is a system whose own operations have spans. What is done with an open pool has its span where its handle is used.
func (t *Tracing) System(s system.System) system.System {
	if t == nil {
		return s
	}
	return traced{s, t}
}

type traced struct {
	system.System
	t *Tracing
}

// Pools implements system.System.
func (s traced) Pools(ctx context.Context) ([]system.PoolInfo, error) {
	ctx, span := s.t.Storage(ctx, "list pools", "")
	all, err := s.System.Pools(ctx)
	return all, span.End(err)
}

// CreatePool implements system.System.
func (s traced) CreatePool(ctx context.Context, label string, opts system.CreatePool) (system.PoolInfo, error) {
	ctx, span := s.t.Storage(ctx, "create pool", label)
	info, err := s.System.CreatePool(ctx, label, opts)
	return info, span.End(err)
}

// OpenPool implements system.System.
func (s traced) OpenPool(ctx context.Context, labelOrUUID string) (system.Pool, error) {
	ctx, span := s.t.Storage(ctx, "open pool", labelOrUUID)
	pool, err := s.System.OpenPool(ctx, labelOrUUID)
	return pool, span.End(err)
}

// DestroyPool implements system.System.
func (s traced) DestroyPool(ctx context.Context, labelOrUUID string, force bool) error {
	ctx, span := s.t.Storage(ctx, "destroy pool", labelOrUUID)
	return span.End(s.System.DestroyPool(ctx, labelOrUUID, force))
}
