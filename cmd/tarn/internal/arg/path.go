// SPDX-License-Identifier: Apache-2.0

package arg

import "strings"

// The levels of a path.
const (
	Pool      = 1
	Container = 2
	Object    = 3
)

// shape is how a path of each level is written.
var shape = [...]string{Pool: "POOL", Container: "POOL/CONTAINER", Object: "POOL/CONTAINER/OBJECT"}

// Path names a pool, a container in it or an object in that: "tank", "tank/neo", "tank/neo/stadium".
type Path struct{ Pool, Container, Object string }

// ParsePath reads a path of the given level. Its parts may also stand in arguments of their own: "tank", "neo".
func ParsePath(level int, args ...string) (Path, error) {
	text := strings.Join(args, "/")
	parts := strings.Split(text, "/")
	if len(parts) != level {
		return Path{}, invalid("%q is not of the form %s", text, shape[level])
	}
	for _, p := range parts {
		if p == "" {
			return Path{}, invalid("%q has an empty part: write it as %s", text, shape[level])
		}
	}
	parts = append(parts, "", "")
	return Path{parts[0], parts[1], parts[2]}, nil
}

// String writes the path as it is typed.
func (p Path) String() string {
	s := p.Pool
	for _, part := range []string{p.Container, p.Object} {
		if part != "" {
			s += "/" + part
		}
	}
	return s
}
