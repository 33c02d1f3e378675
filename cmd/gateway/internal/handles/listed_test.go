// SPDX-License-Identifier: Apache-2.0

package handles

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func (p pool) Access(context.Context) (system.Access, error) { return system.Access{}, nil }

func (c container) Access(context.Context) (system.Access, error) {
	return system.Access{Owner: "owner of " + c.name, HasList: true, Entries: []string{"A::alice@:r"}}, nil
}

// TestListed: to list many more containers than are kept open opens each of them once, until a change of who may use what.
func TestListed(t *testing.T) {
	w, c := newWorld(t, Options{Max: 8, Idle: time.Hour})
	h, err := c.Get(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	list := func() (opened int64) {
		before := w.opens.Load()
		for i := range 100 {
			_, access, err := h.Listed(t.Context(), fmt.Sprint(i))
			if err != nil || access.Owner.User != fmt.Sprint("owner of ", i) || !access.HasList || len(access.List) != 1 {
				t.Fatalf("container %d: %+v, %v", i, access, err)
			}
		}
		return w.opens.Load() - before
	}
	for i, want := range []int64{100, 0, 0} {
		if n := list(); n != want {
			t.Errorf("list %d opens %d containers, want %d", i, n, want)
		}
	}
	c.AccessChanged()
	if n := list(); n == 0 { // some of those that are open may be so still
		t.Error("after a change a list asks nobody")
	}
	w.opening = func(context.Context, string) error { return errno.ContNonExist }
	if _, _, err := h.Listed(t.Context(), "gone"); errno.CodeOf(err) != errno.ContNonExist {
		t.Errorf("a container that is gone: %v", err)
	}
	h.Release()
}
