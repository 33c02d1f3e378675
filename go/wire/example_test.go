// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/wire"
)

func ExampleCodec() {
	conn, err := grpc.NewClient("unix:/var/lib/tarn/tarn.sock", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{}))) // the bytes are those of the standard codec
	fmt.Println(err)
	_ = conn.Close()
	// Output: <nil>
}

func ExampleChunk() {
	c := wire.NewChunk([]byte("a piece of a value")) // what SendMsg of a PutStream takes, beside *apiv1.PutStreamRequest
	data, err := wire.Codec{}.Marshal(c)
	fmt.Println(data.Len(), err)
	data.Free()
	// Output: 20 <nil>
}

func ExampleReceived() {
	sent, err := wire.Codec{}.Marshal(wire.NewChunk([]byte("a piece of a value")))
	if err != nil {
		panic(err)
	}
	defer sent.Free()
	got := wire.Received{Message: &apiv1.GetStreamResponse{}} // what RecvMsg of a GetStream takes
	if err := (wire.Codec{}).Unmarshal(sent, &got); err != nil {
		panic(err)
	}
	defer got.Free() // the data is that of the buffers it came in
	fmt.Printf("%v %s\n", got.IsData, got.Data.Materialize())
	// Output: true a piece of a value
}
