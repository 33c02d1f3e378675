// SPDX-License-Identifier: Apache-2.0

package service

import (
	"slices"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// Operations are those that run and those that are remembered, the newest first, at most so many.
func (s *Services) Operations(most int) (all []*apiv1.Operation) {
	list := s.operations.list()
	slices.Reverse(list)
	for _, op := range list[:min(len(list), most)] {
		all = append(all, op.wire(false))
	}
	return all
}
