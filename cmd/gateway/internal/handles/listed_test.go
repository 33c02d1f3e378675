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
	c.w.asked.Add(1)
	return system.Access{Owner: "owner of " + c.name, HasList: true, Entries: []string{"A::alice@:r"}}, nil
}

// TestListed: to list many more containers than are kept open asks each of them once, until a change of who may use what. How many are
// opened for it is the janitor's affair: those that it has not closed yet are asked as they are.
func TestListed(t *testing.T) {
	w, c := newWorld(t, Options{Max: 8, Idle: time.Hour})
	h, err := c.Get(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	list := func() (asked int64) {
		before := w.asked.Load()
		for i := range 100 {
			_, access, err := h.Listed(t.Context(), fmt.Sprint(i))
			if err != nil || access.Owner.User != fmt.Sprint("owner of ", i) || !access.HasList || len(access.List) != 1 {
				t.Fatalf("container %d: %+v, %v", i, access, err)
			}
		}
		return w.asked.Load() - before
	}
	for i, want := range []int64{100, 0, 0} {
		if n := list(); n != want {
			t.Errorf("list %d asks %d containers, want %d", i, n, want)
		}
	}
	c.AccessChanged()
	if n := list(); n != 100 {
		t.Errorf("after a change a list asks %d containers, want 100", n)
	}
	w.opening = func(context.Context, string) error { return errno.ContNonExist }
	if _, _, err := h.Listed(t.Context(), "gone"); errno.CodeOf(err) != errno.ContNonExist {
		t.Errorf("a container that is gone: %v", err)
	}
	h.Release()
}
