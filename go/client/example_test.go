// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// gateway starts one on a directory of its own, and returns its endpoint. Call what it returns when done.
func gateway() (endpoint string, done func()) {
	root, err := os.MkdirTemp("", "tarn")
	check(err)
	program, err := filepath.Abs("../../build/bin/tarn-gateway")
	check(err)
	if _, err := os.Stat(program); err != nil {
		panic("run 'make all' first: " + err.Error())
	}
	socket := filepath.Join(root, "tarn.sock")
	cmd := exec.Command(program, "--root", root, "--listen", "127.0.0.1:0", "--socket", socket)
	check(cmd.Start())
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			check(conn.Close())
			break
		}
		if time.Now().After(end) {
			panic(err)
		}
	}
	return "unix:" + socket, func() {
		check(cmd.Process.Signal(syscall.SIGTERM))
		check(cmd.Wait())
		check(os.RemoveAll(root))
	}
}

// neo is an open container of a new pool. Call what it returns when done.
func neo() (*client.System, system.Pool, system.Container, func()) {
	ctx := context.Background()
	endpoint, stop := gateway()
	sys, err := client.Dial(ctx, endpoint)
	check(err)
	_, err = sys.CreatePool(ctx, "tank", system.CreatePool{Size: 16 << 20})
	check(err)
	pool, err := sys.OpenPool(ctx, "tank")
	check(err)
	_, err = pool.CreateContainer(ctx, "neo", system.CreateContainer{})
	check(err)
	cont, err := pool.OpenContainer(ctx, "neo")
	check(err)
	return sys, pool, cont, func() {
		check(errors.Join(cont.Close(), pool.Close(), sys.Close()))
		stop()
	}
}

func Example() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou"))) // durable when Put returns
	value, err := kv.Get(ctx, []byte("Barcelona"))
	check(err)
	fmt.Printf("%s\n", value)
	// Output: Camp Nou
}

func ExampleSystem() {
	endpoint, stop := gateway()
	defer stop()
	ctx := context.Background()
	sys, err := client.Dial(ctx, endpoint)
	check(err)
	defer sys.Close()
	_, err = sys.CreatePool(ctx, "tank", system.CreatePool{Size: 16 << 20})
	check(err)
	pools, err := sys.Pools(ctx)
	check(err)
	for _, p := range pools {
		fmt.Println(p.Label, p.TotalBytes)
	}
	_, err = sys.OpenPool(ctx, "ocean")
	fmt.Println(errors.Is(err, os.ErrNotExist), errors.Is(err, errno.NonExist))
	// Output:
	// tank 16777216
	// true true
}

func ExampleOptions() {
	endpoint, stop := gateway()
	defer stop()
	ctx := context.Background()
	_, err := client.DialWith(ctx, "gateway.example.org:7447", client.Options{Token: "secret"})
	fmt.Println(errors.Is(err, errno.Inval)) // a token is sent to another machine over TLS only
	sys, err := client.DialWith(ctx, endpoint, client.Options{TokenFile: "token.jwt"})
	fmt.Println(sys == nil, err != nil) // there is no such file
	// Output:
	// true
	// true true
}

func ExamplePool() {
	_, pool, _, done := neo()
	defer done()
	ctx := context.Background()
	all, err := pool.Containers(ctx)
	check(err)
	for _, c := range all {
		fmt.Println(c.Label, c.Type)
	}
	report, err := pool.Check(ctx, system.CheckOptions{})
	check(err)
	fmt.Println(report.Findings, "pieces of damage")
	// Output:
	// neo KV
	// 0 pieces of damage
}

func ExampleWatch() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	w, err := system.OpenWatch(ctx, kv, system.WatchOptions{})
	check(err)
	defer w.Close()
	_, err = w.Next(ctx) // says where the watch begins
	check(err)
	check(kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou")))
	for changes, err := w.Next(ctx); ; changes, err = w.Next(ctx) {
		check(err)
		if len(changes.Changes) > 0 {
			fmt.Printf("%s is %s\n", changes.Changes[0].Key, changes.Changes[0].Value)
			return
		}
	}
	// Output: Barcelona is Camp Nou
}

func ExampleContainer() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("Rio"), []byte("Maracana")))
	_, err = cont.CreateSnapshot(ctx, "before")
	check(err)
	check(kv.Delete(ctx, []byte("Rio")))

	old, err := cont.OpenSnapshot(ctx, system.SnapshotRef{Name: "before"})
	check(err)
	defer old.Close()
	then, err := old.OpenKV(ctx, "stadium", false)
	check(err)
	defer then.Close()
	value, err := then.Get(ctx, []byte("Rio"))
	check(err)
	there, err := kv.Exists(ctx, []byte("Rio"))
	check(err)
	fmt.Printf("%s then, %v now\n", value, there)
	// Output: Maracana then, false now
}

func ExampleKV() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "stadium", true)
	check(err)
	defer kv.Close()
	check(kv.Apply(ctx, []system.Mutation{ // all or none
		{Key: []byte("Lima"), Value: []byte("Nacional"), Cond: system.CondInsert},
		{Key: []byte("Lisbon"), Value: []byte("Luz")},
		{Key: []byte("Oslo"), Value: []byte("Ullevaal")},
	}))
	for e, err := range kv.List(ctx, system.Range{Prefix: []byte("Li")}) {
		check(err)
		fmt.Printf("%s: %s\n", e.Key, e.Value)
	}
	n, err := system.Increment(ctx, kv, []byte("visits"), 3)
	check(err)
	fmt.Println(n)
	// Output:
	// Lima: Nacional
	// Lisbon: Luz
	// 3
}

func ExampleWriter() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "films", true)
	check(err)
	defer kv.Close()
	w, err := kv.Writer(ctx, []byte("final"))
	check(err)
	defer w.Close() // without Commit it leaves nothing
	out := bufio.NewWriterSize(w, 1<<20)
	for range 3 << 20 {
		check(out.WriteByte('x'))
	}
	check(out.Flush())
	check(w.Commit(ctx))
	stat, err := kv.Stat(ctx, []byte("final"))
	check(err)
	fmt.Println(stat.Size)
	// Output: 3145728
}

func ExampleReader() {
	_, _, cont, done := neo()
	defer done()
	ctx := context.Background()
	kv, err := cont.OpenKV(ctx, "films", true)
	check(err)
	defer kv.Close()
	check(kv.Put(ctx, []byte("final"), make([]byte, 2<<20)))
	r, err := kv.Reader(ctx, []byte("final"))
	check(err)
	defer r.Close()
	n, err := io.Copy(io.Discard, r) // whatever its size, in a few hundred KiB of memory
	check(err)
	fmt.Println(n, r.Stat().Size)
	// Output: 2097152 2097152
}
