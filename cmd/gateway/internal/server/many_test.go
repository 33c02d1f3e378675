// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

// TestBatchGetMany: more keys than are read at once, of all lengths and some absent, from a system that has and one that has not a call
// for many short values: each has its own value at its own place.
func TestBatchGetMany(t *testing.T) {
	const n = 1000
	size := func(i int) int { return []int{0, 1, 100, 1023, 1024, 1025, 3000}[i%7] }
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size(i))[:size(i)] }
	var batch []system.Mutation
	var keys [][]byte
	for i := range n {
		key := fmt.Appendf(nil, "key-%04d", n-i)
		keys = append(keys, key)
		if i%10 != 3 {
			batch = append(batch, system.Mutation{Key: key, Value: value(i)})
		}
	}
	for name, open := range map[string]func() (system.KV, apiv1.KeyValueServiceClient){
		"engine": func() (system.KV, apiv1.KeyValueServiceClient) { _, kv, stub := real(t, Config{}); return kv, stub },
		"double": func() (system.KV, apiv1.KeyValueServiceClient) {
			d := newDouble(func(context.Context, string) error { return nil })
			return doubleKV{d: d}, apiv1.NewKeyValueServiceClient(connect(t, start(t, Config{System: d}).Addr()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			kv, stub := open()
			if err := kv.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			resp, err := stub.BatchGet(t.Context(), &apiv1.BatchGetRequest{Object: object, Keys: keys})
			if err != nil || len(resp.GetResults()) != n {
				t.Fatalf("%d results, %v", len(resp.GetResults()), err)
			}
			for i, r := range resp.GetResults() {
				absent := r.GetError().GetReason() == "DER_NONEXIST"
				if absent != (i%10 == 3) || !absent && (r.GetError() != nil || !bytes.Equal(r.GetValue(), value(i))) {
					t.Fatalf("%s: %v, %d bytes; want %d", keys[i], r.GetError(), len(r.GetValue()), size(i))
				}
			}
		})
	}
}
