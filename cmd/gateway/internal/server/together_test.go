// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestPutsTogether: unary puts and deletions of many callers at the same time are as if each were alone, although some end early and some
// cannot be made.
func TestPutsTogether(t *testing.T) {
	const callers, calls, keys = 24, 60, 5
	_, _, stub := real(t, Config{})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for caller := range uint64(callers) {
		wg.Go(func() { alone(t, stub, caller, rand.New(rand.NewPCG(seed, caller)), calls, keys) })
	}
	wg.Wait()
}

// alone is a caller with keys of its own, and a key that all share.
func alone(t *testing.T, stub apiv1.KeyValueServiceClient, caller uint64, r *rand.Rand, calls, keys int) {
	has := map[string]string{} // what is there
	for i := range calls {
		key, val := fmt.Sprintf("key-%d-%d", caller, r.IntN(keys)), fmt.Sprintf("value-%d-%0*d", caller, 1+r.IntN(300), i)
		var err error
		switch r.IntN(10) {
		case 0:
			_, err = stub.Put(t.Context(), &apiv1.PutRequest{Object: object, Key: []byte("shared"), Value: []byte(val)})
		case 1:
			_, err = stub.Delete(t.Context(), &apiv1.DeleteRequest{Object: object, Key: []byte(key)})
			delete(has, key)
		case 2:
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(2000))*time.Microsecond)
			_, _ = stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte("given up"), Value: []byte(val)}) // in time or not
			cancel()
		case 3:
			_, no := stub.Put(t.Context(), &apiv1.PutRequest{Object: object, Value: []byte(val)})
			if status.Code(no) != codes.InvalidArgument {
				t.Errorf("an empty key: %v", no)
			}
		default:
			_, err = stub.Put(t.Context(), &apiv1.PutRequest{Object: object, Key: []byte(key), Value: []byte(val)})
			has[key] = val
		}
		if err != nil {
			t.Errorf("call %d of %d: %v", i, caller, err)
		}
	}
	compare(t, stub, has)
}

func compare(t *testing.T, stub apiv1.KeyValueServiceClient, has map[string]string) {
	for key, val := range has {
		resp, err := stub.Get(t.Context(), &apiv1.GetRequest{Object: object, Key: []byte(key)})
		if err != nil || string(resp.GetValue()) != val {
			t.Errorf("%s is %q, %v; want %q", key, resp.GetValue(), err, val)
		}
	}
}
