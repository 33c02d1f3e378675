// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Ref names a pool ("tank"), a container ("tank/neo") or an object ("tank/neo/stadium"). A UUID may stand for the label of a pool
// or of a container. "tank/neo@daily" is the container as it was when the snapshot daily was taken, "tank/neo@@17" that of epoch 17.
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
	long := len(text) > 3*system.LabelMax+system.ObjectNameMax+ObjectParts+1
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

// holder is what must be there for it to be there: of a snapshot the container as it is; empty for a pool.
func (r Ref) holder() Ref {
	if label, _, isSnapshot := strings.Cut(r.Name(), "@"); isSnapshot && strings.Count(string(r), "/") == ContainerParts-1 {
		return r.Parent() + "/" + Ref(label)
	}
	return r.Parent()
}

// Name is the last part.
func (r Ref) Name() string { return string(r[strings.LastIndexByte(string(r), '/')+1:]) }

// Snapshot splits the reference of a container: its label, and the snapshot of it that is meant, when there is one.
func (r Ref) Snapshot() (label string, at system.SnapshotRef, has bool, err error) {
	label, text, has := strings.Cut(r.Name(), "@")
	if !has {
		return label, at, false, nil
	}
	number, isEpoch := strings.CutPrefix(text, "@")
	if !isEpoch {
		at.Name = text
	} else if at.Epoch, err = strconv.ParseUint(number, 10, 64); err != nil || at.Epoch == 0 {
		return label, at, true, errno.New("", "", errno.Inval, fmt.Sprintf("%.64q is not an epoch: in %.64q it stands behind @@", number, r))
	}
	if text == "" {
		return label, at, true, errno.New("", "", errno.Inval, fmt.Sprintf("%.64q names no snapshot behind @", r))
	}
	return label, at, true, nil
}

func (r Ref) parts() []string { return strings.Split(string(r), "/") }
