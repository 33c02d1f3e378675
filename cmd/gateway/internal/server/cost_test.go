// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// calls are what a call costs by itself, and what a get and a put of 128 bytes cost: client and server are this process.
func calls(t testing.TB, s *Server, stub apiv1.KeyValueServiceClient, admin apiv1.AdminServiceClient) map[string]func() {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	key, val, ctx := []byte("key-of-16-bytes."), make([]byte, 128), t.Context()
	return map[string]func(){
		"echo": func() { _, err := admin.Echo(ctx, &apiv1.EchoRequest{}); must(err) },
		"put": func() {
			_, err := stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Value: val})
			must(err)
		},
		"get": func() { _, err := stub.Get(ctx, &apiv1.GetRequest{Object: object, Key: key}); must(err) },
	}
}

// TestAllocations: beyond what grpc takes for an empty call, a get and a put take little.
func TestAllocations(t *testing.T) {
	const most = 10
	s, _, stub := real(t, Config{})
	all := calls(t, s, stub, apiv1.NewAdminServiceClient(connect(t, s.Addr())))
	for _, warm := range []string{"echo", "put", "get"} {
		all[warm]()
	}
	echo := testing.AllocsPerRun(300, all["echo"])
	for _, name := range []string{"put", "get"} {
		if n := testing.AllocsPerRun(300, all[name]); n > echo+most {
			t.Errorf("a %s takes %v allocations and an echo %v; at most %d more", name, n, echo, most)
		} else {
			t.Logf("a %s takes %v allocations, an echo %v", name, n, echo)
		}
	}
}

// BenchmarkCalls is the same beside each other, for benchstat and for profiles: client and server are this process.
func BenchmarkCalls(b *testing.B) {
	s, _, stub := real(b, Config{})
	admin := apiv1.NewAdminServiceClient(connect(b, s.Addr()))
	calls(b, s, stub, admin)["put"]() // what is got
	for _, depth := range []int{1, 64} {
		for _, name := range []string{"echo", "get", "put"} {
			call := calls(b, s, stub, admin)[name]
			b.Run(fmt.Sprintf("%s/depth-%d", name, depth), func(b *testing.B) {
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for range depth {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							call()
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
