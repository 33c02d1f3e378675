// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/tarn"
)

// stadiums opens an object of three keys in a pool of its own. Call what it returns when done.
func stadiums() (*tarn.KV, func()) {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	sys, err := tarn.Open(root)
	check(err)
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 64 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{})
	check(err)
	cont, err := pool.OpenContainer(ctx, "neo")
	check(err)
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	check(kv.Apply(ctx, []tarn.Mutation{
		{Key: []byte("Barcelona"), Value: []byte("Camp Nou")},
		{Key: []byte("London"), Value: []byte("Wembley")},
		{Key: []byte("Rio"), Value: []byte("Maracanã")},
	}))
	return kv, func() {
		for _, c := range []io.Closer{kv, cont, pool, sys} {
			check(c.Close())
		}
		check(os.RemoveAll(root))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)

	sys, err := tarn.Open(root)
	check(err)
	defer sys.Close()
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 64 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	defer pool.Close()
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{Type: tarn.TypeKV})
	check(err)
	cont, err := pool.OpenContainer(ctx, "neo")
	check(err)
	defer cont.Close()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()

	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou"))) // durable
	val, err := kv.Get(ctx, []byte("Barcelona"))
	check(err)
	fmt.Printf("%s\n", val)
	// Output: Camp Nou
}

func ExampleSystem() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.OpenWith(tarn.Options{Root: root, CacheBytes: 64 << 20})
	check(err)
	defer sys.Close()
	for _, label := range []string{"tank", "pond"} {
		_, err = sys.CreatePool(ctx, label, tarn.CreatePool{Size: 16 << 20})
		check(err)
	}
	pools, err := sys.Pools(ctx)
	check(err)
	for _, p := range pools {
		fmt.Println(p.Label, p.Targets)
	}
	_, err = sys.OpenPool(ctx, "sea")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// pond 1
	// tank 1
	// true
}

func ExampleKV_Put() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	err := kv.Put(ctx, []byte("London"), []byte("Highbury"), tarn.CondInsert)
	fmt.Println(errors.Is(err, errno.Exist))
	check(kv.Put(ctx, []byte("London"), []byte("Highbury"), tarn.CondUpdate))
	val, err := kv.Get(ctx, []byte("London"))
	fmt.Printf("%s %v\n", val, err)
	// Output:
	// true
	// Highbury <nil>
}

func ExampleKV_List() {
	kv, done := stadiums()
	defer done()
	for e, err := range kv.List(context.Background(), tarn.Range{Start: []byte("C"), Reverse: true}) {
		check(err)
		fmt.Printf("%s: %s\n", e.Key, e.Value)
	}
	// Output:
	// Rio: Maracanã
	// London: Wembley
}

func ExampleKV_Apply() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	old, err := kv.Stat(ctx, []byte("Rio"))
	check(err)
	// Move a key, unless somebody has changed it meanwhile.
	move := []tarn.Mutation{
		{Key: []byte("Rio"), Delete: true, Cond: tarn.CondRevision, Revision: old.Revision},
		{Key: []byte("Rio de Janeiro"), Value: []byte("Maracanã"), Cond: tarn.CondInsert},
	}
	check(kv.Apply(ctx, move))
	err = kv.Apply(ctx, move)
	var e *errno.Error
	fmt.Println(errors.As(err, &e), e.Code.Name(), e.Index)
	// Output: true DER_TX_RESTART 0
}

func ExampleKV_Count() {
	kv, done := stadiums()
	defer done()
	n, err := kv.Count(context.Background(), tarn.Range{Prefix: []byte("L")})
	fmt.Println(n, err)
	// Output: 1 <nil>
}

func ExamplePool() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.Open(root)
	check(err)
	defer sys.Close()
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 16 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{Type: tarn.TypePython})
	check(err)
	_, err = pool.Check(ctx, tarn.CheckOptions{}) // everything that it holds can be read
	check(err)
	info, err := pool.Info(ctx)
	check(err)
	fmt.Println(info.Label, info.TotalBytes>>20, "MiB", info.Containers, "container")
	check(pool.Close())
	_, err = pool.Info(ctx)
	fmt.Println(errors.Is(err, fs.ErrClosed))
	// Output:
	// tank 16 MiB 1 container
	// true
}

func ExampleContainer() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	defer os.RemoveAll(root)
	sys, err := tarn.Open(root)
	check(err)
	defer sys.Close()
	_, err = sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 16 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	defer pool.Close()
	small := uint64(1 << 20)
	_, err = pool.CreateContainer(ctx, "neo", tarn.CreateContainer{Properties: tarn.Properties{ValueMax: &small}})
	check(err)
	cont, err := pool.OpenContainer(ctx, "neo")
	check(err)
	defer cont.Close()
	for _, name := range []string{"stadium", "mascot"} {
		_, err = cont.CreateObject(ctx, name)
		check(err)
	}
	for o, err := range cont.Objects(ctx, "") {
		check(err)
		fmt.Println(o.Name, o.Type)
	}
	// Output:
	// mascot KV_LEXICAL
	// stadium KV_LEXICAL
}

func ExampleWriter() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	w, err := kv.Writer(ctx, []byte("anthem"))
	check(err)
	defer w.Close() // nothing is left unless Commit was called
	_, err = io.Copy(w, strings.NewReader(strings.Repeat("olé ", 100000)))
	check(err)
	check(w.Commit(ctx))
	st, err := kv.Stat(ctx, []byte("anthem"))
	fmt.Println(st.Size, err)
	// Output: 500000 <nil>
}

func ExampleReader() {
	kv, done := stadiums()
	defer done()
	ctx := context.Background()
	r, err := kv.Reader(ctx, []byte("Rio"))
	check(err)
	defer r.Close()
	check(kv.Delete(ctx, []byte("Rio"))) // the reader still sees the value
	val, err := io.ReadAll(r)
	fmt.Printf("%s %v\n", val, err)
	// Output: Maracanã <nil>
}
