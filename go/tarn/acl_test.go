// SPDX-License-Identifier: Apache-2.0

package tarn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/acl"
	"github.com/tarn-storage/tarn/go/errno"
)

// agree compares what the library and package acl make of a list.
func agree(t *testing.T, kind acl.Kind, text string) {
	t.Helper()
	inC, cErr := FormatACL(kind, text)
	list, goErr := acl.Parse(kind, text)
	inGo := ""
	for _, e := range list {
		inGo += e.String() + "\n"
	}
	if strings.Contains(text, "\x00") && errors.Is(cErr, errno.Inval) && goErr != nil {
		return // C has no such string
	}
	if errno.CodeOf(cErr) != errno.CodeOf(goErr) || inC != inGo {
		t.Fatalf("%v %q:\nC:  %q, %v\nGo: %q, %v", kind, text, inC, cErr, inGo, goErr)
	}
}

// FuzzACL: C and Go agree about every list. `go test -run - -fuzz FuzzACL ./go/tarn` looks for one that they do not agree about.
func FuzzACL(f *testing.F) {
	for _, seed := range []string{"", "A::OWNER@:rw\nA:G:GROUP@:r\n", "# c\n\nA::bob@:\nA::EVERYONE@:rwdtTaAo", "A:G:x@:c", "U:S:a@:r", "A::a@b:r", "A:GP:a@:r"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, pool bool) {
		if strings.Contains(text, "\x00") {
			return
		}
		agree(t, map[bool]acl.Kind{true: acl.Pool, false: acl.Container}[pool], text)
	})
}

// randomList is text that is nearly a list.
func randomList(rng *rand.Rand) string {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	for range rng.IntN(8) {
		name := pick("OWNER@", "GROUP@", "EVERYONE@", "a@", "b@", "bob@", "@", "a", "a@b", "ä@", "a b@", fmt.Sprintf("u%d@", rng.IntN(50)))
		perms := ""
		for range rng.IntN(4) {
			perms += pick("r", "w", "c", "d", "t", "T", "a", "A", "o")
		}
		b.WriteString(pick("A", "A", "A", "A", "A", "A", "A", "U", "AL", "x", "") + ":" + pick("", "", "G", "G", "", "P", "g") + ":" + name + ":" + perms + pick("\n", "\n", "\n\n", "\n# x\n", ""))
	}
	return b.String()
}

func TestACLAgrees(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	good := 0
	for range 20000 {
		text := randomList(rng)
		agree(t, acl.Pool, text)
		agree(t, acl.Container, text)
		if _, err := acl.Parse(acl.Container, text); err == nil {
			good++
		}
	}
	if good < 100 {
		t.Errorf("only %d of the lists were any good", good)
	}
	var long strings.Builder
	for i := 0; long.Len() < acl.Max; i++ {
		fmt.Fprintf(&long, "A::u%d@:r\n", i)
	}
	for cut := acl.Max - 20; cut <= acl.Max; cut++ { // the last entry, and the last byte
		text := long.String()[:min(cut, long.Len())]
		agree(t, acl.Container, text[:strings.LastIndex(text, "\n")])
		agree(t, acl.Container, text)
	}
}

// TestACLKept: owners and lists are there after the pool was opened again, and go with their container.
func TestACLKept(t *testing.T) {
	ctx, root := t.Context(), t.TempDir()
	sys, err := OpenWith(Options{Root: root, CacheBytes: 16 << 20})
	must(t, err)
	_, err = sys.CreatePool(ctx, "tank", CreatePool{Size: 16 << 20, Owner: "anna", Group: "staff"})
	must(t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	must(t, err)
	group := "ops"
	_, err = pool.CreateContainer(ctx, "neo", CreateContainer{Properties: Properties{Group: &group}})
	must(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	must(t, err)
	a, err := cont.Access(ctx)
	if err != nil || a.HasList || len(a.Entries) != 0 || a.Group != "ops" || a.Owner == "" {
		t.Errorf("a new container: %+v, %v", a, err)
	}
	must(t, cont.OverwriteACL(ctx, []string{"A::bob@:wr", "A::OWNER@:rw"}))
	must(t, cont.UpdateACL(ctx, []string{"A::bob@:r", "A:G:dev@:t"}))
	must(t, pool.OverwriteACL(ctx, nil))
	if err := cont.DeleteACL(ctx, "bob@"); !errors.Is(err, errno.Inval) {
		t.Errorf("whose bob: %v", err)
	}
	if err := cont.DeleteACL(ctx, "g:bob@"); !errors.Is(err, errno.NonExist) {
		t.Errorf("no such group: %v", err)
	}
	if err := cont.UpdateACL(ctx, []string{"A::x@:r\nA::y@:r"}); !errors.Is(err, errno.Inval) {
		t.Errorf("two entries in one: %v", err)
	}
	snap, err := cont.CreateSnapshot(ctx, "s")
	must(t, err)
	must(t, cont.DeleteACL(ctx, "OWNER@"))
	old, err := cont.OpenSnapshot(ctx, SnapshotRef{Epoch: snap})
	must(t, err)
	if a, err := old.Access(ctx); err != nil || !slices.Equal(a.Entries, []string{"A::bob@:r", "A:G:dev@:t"}) {
		t.Errorf("through a snapshot it is that of the container: %+v, %v", a, err)
	}
	if err := old.OverwriteACL(ctx, nil); !errors.Is(err, errno.EPRO) {
		t.Errorf("through a snapshot: %v", err)
	}
	must(t, old.Close())
	must(t, cont.Close())
	must(t, pool.Close())
	must(t, sys.Close())

	sys, err = OpenWith(Options{Root: root, CacheBytes: 16 << 20})
	must(t, err)
	pool, err = sys.OpenPool(ctx, "tank")
	must(t, err)
	if a, err := pool.Access(ctx); err != nil || !a.HasList || len(a.Entries) != 0 || a.Owner != "anna" || a.Group != "staff" {
		t.Errorf("the pool: %+v, %v", a, err)
	}
	must(t, pool.ClearACL(ctx))
	if err := pool.ClearACL(ctx); !errors.Is(err, errno.NonExist) {
		t.Errorf("no list: %v", err)
	}
	cont, err = pool.OpenContainer(ctx, "neo")
	must(t, err)
	if a, err := cont.Access(ctx); err != nil || !slices.Equal(a.Entries, []string{"A::bob@:r", "A:G:dev@:t"}) || a.Group != "ops" {
		t.Errorf("the container: %+v, %v", a, err)
	}
	must(t, cont.Close())
	must(t, pool.DestroyContainer(ctx, "neo", true))
	_, err = pool.CreateContainer(ctx, "neo", CreateContainer{})
	must(t, err)
	cont, err = pool.OpenContainer(ctx, "neo")
	must(t, err)
	if a, err := cont.Access(ctx); err != nil || a.HasList {
		t.Errorf("one of the same name: %+v, %v", a, err)
	}
	_, err = pool.Check(ctx, CheckOptions{})
	must(t, err)
	must(t, cont.Close())
	must(t, pool.Close())
	must(t, sys.Close())
}
