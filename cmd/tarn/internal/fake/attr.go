// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"bytes"
	"context"

	"github.com/tarn-storage/tarn/go/errno"
)

// attributes are those of a pool or a container.
type attributes struct {
	s   *System
	all map[string][]byte
}

func newAttributes(s *System) attributes { return attributes{s, map[string][]byte{}} }

func (a *attributes) Attributes(ctx context.Context) (map[string][]byte, error) {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "attributes"); err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for name, value := range a.all {
		all[name] = bytes.Clone(value)
	}
	return all, nil
}

func (a *attributes) SetAttributes(ctx context.Context, change map[string][]byte) error {
	defer a.s.mu.Unlock()
	if err := a.s.enter(ctx, "set attributes"); err != nil {
		return err
	}
	useful := len(change) == 0
	for name, value := range change {
		useful = useful || len(value) > 0 || a.all[name] != nil
	}
	if !useful {
		return errno.New("", "", errno.NonExist, "there is no such attribute")
	}
	for name, value := range change {
		if len(value) == 0 {
			delete(a.all, name)
			continue
		}
		a.all[name] = bytes.Clone(value)
	}
	return nil
}
