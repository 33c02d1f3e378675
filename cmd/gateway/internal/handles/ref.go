// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"fmt"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Ref names a pool ("tank"), a container ("tank/neo") or an object ("tank/neo/stadium"). A UUID may stand for the label of a pool
// or of a container.
type Ref string

// The number of parts in a Ref.
const (
	PoolParts      = 1
	ContainerParts = 2
	ObjectParts    = 3
)

var shapes = [...]string{PoolParts: "POOL", ContainerParts: "POOL/CONTAINER", ObjectParts: "POOL/CONTAINER/OBJECT"}

// Parse checks that text is a reference of so many parts. What a label may look like is for the engine to say.
func Parse(text string, parts int) (Ref, error) {
	n := strings.Count(text, "/") + 1
	empty := text == "" || text[0] == '/' || text[len(text)-1] == '/' || strings.Contains(text, "//")
	long := len(text) > 2*system.LabelMax+system.ObjectNameMax+ObjectParts
	if n != parts || empty || long {
		return "", errno.New("", "", errno.Inval, fmt.Sprintf("%.64q is not a name of the form %s", text, shapes[parts]))
	}
	return Ref(text), nil
}

// Parent is the reference of what holds it; empty for a pool.
func (r Ref) Parent() Ref {
	i := strings.LastIndexByte(string(r), '/')
	if i < 0 {
		return ""
	}
	return r[:i]
}

// Name is the last part.
func (r Ref) Name() string { return string(r[strings.LastIndexByte(string(r), '/')+1:]) }

func (r Ref) parts() []string { return strings.Split(string(r), "/") }
