// SPDX-License-Identifier: Apache-2.0

package system

import "context"

// Limits of user attributes, as in tarn/attr.h. All of a pool, or of a container, have at most 1 MiB together, where each counts its name,
// its value and 64 bytes.
const (
	AttributeNameMax  = 511
	AttributeValueMax = 65536
	AttributeSetMax   = 1024 // in one call
)

// Attributes are what pools and containers have: user attributes, names with values, which mean nothing to Tarn. A name is UTF-8. A snapshot
// of a container has those of its time.
type Attributes interface {
	// Attributes returns all of them. They are the caller's.
	Attributes(ctx context.Context) (map[string][]byte, error)
	// SetAttributes sets those that are given, all or none, and durably; the others stay. One with an empty value is deleted. NONEXIST when
	// it only deletes, and none of the names is there; INVAL (a name), REC2BIG (a value, or all together), EP_RO, NOSPACE.
	SetAttributes(ctx context.Context, change map[string][]byte) error
}
