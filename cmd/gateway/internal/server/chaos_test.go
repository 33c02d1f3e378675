// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/system"
)

const (
	chaosClients  = 6
	chaosDeadline = 500 * time.Millisecond // of one attempt
	chaosSlack    = 10 * time.Second       // that a loaded machine may take beyond it
)

// chaosClient makes changes through a faulty proxy, each again and again until it is acknowledged, and knows what must then be there.
type chaosClient struct {
	t        *testing.T
	id       int
	stub     apiv1.KeyValueServiceClient
	random   *mrand.Rand
	values   map[string]string // by key: what was acknowledged; "": a deletion
	counted  int64             // what was added to the counter that all share
	attempts int
}

// until repeats a call until it is acknowledged. It never gives up: otherwise what is there would not be known.
func (c *chaosClient) until(call func(ctx context.Context) error) {
	for {
		c.attempts++
		begin := time.Now()
		ctx, cancel := context.WithTimeout(c.t.Context(), chaosDeadline)
		err := call(ctx)
		cancel()
		if took := time.Since(begin); took > chaosDeadline+chaosSlack {
			c.t.Errorf("client %d: a call with a deadline of %v took %v", c.id, chaosDeadline, took)
		}
		switch status.Code(err) {
		case codes.OK:
			return
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Internal:
			time.Sleep(time.Duration(c.random.IntN(20)) * time.Millisecond) // Internal: a stream that ended in the middle of an answer
		default:
			c.t.Errorf("client %d: %v", c.id, err)
			return
		}
		if c.t.Failed() {
			return
		}
	}
}

// change makes one change. Each key has one value: an attempt that was given up may still arrive, behind later changes.
func (c *chaosClient) change() {
	key, val := fmt.Sprintf("%d-%d", c.id, len(c.values)), fmt.Sprint("value ", c.attempts)
	switch c.random.IntN(5) {
	case 0, 1:
		req := &apiv1.IncrementRequest{Object: object, Key: []byte("counter"), Delta: 1 + c.random.Int64N(9), RequestId: uuid()}
		c.until(func(ctx context.Context) error { _, err := c.stub.Increment(ctx, req); return err })
		c.counted += req.Delta
	case 2:
		c.until(func(ctx context.Context) error { return c.upload(ctx, key, val) })
		c.values[key] = val
	default:
		before := c.attempts
		c.until(func(ctx context.Context) error {
			_, err := c.stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: []byte(key), Value: []byte(val)})
			return err
		})
		c.values[key] = val
		if c.attempts == before+1 && c.random.IntN(2) == 0 {
			c.remove(key)
		}
	}
}

func (c *chaosClient) remove(key string) {
	c.until(func(ctx context.Context) error {
		_, err := c.stub.Delete(ctx, &apiv1.DeleteRequest{Object: object, Key: []byte(key)})
		return err
	})
	c.values[key] = ""
}

// upload stores a value by PutStream.
func (c *chaosClient) upload(ctx context.Context, key, val string) error {
	stream, err := c.stub.PutStream(ctx)
	if err != nil {
		return err
	}
	header := &apiv1.PutStreamHeader{Object: object, Key: []byte(key), ChecksumType: apiv1.ChecksumType_CHECKSUM_TYPE_CRC32C}
	for _, m := range []*apiv1.PutStreamRequest{
		{Part: &apiv1.PutStreamRequest_Header{Header: header}},
		{Part: &apiv1.PutStreamRequest_Data{Data: []byte(val)}},
		{Part: &apiv1.PutStreamRequest_Commit{Commit: &apiv1.PutStreamCommit{Checksum: crc([]byte(val))}}},
	} {
		if stream.Send(m) != nil {
			break // the answer says why
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// TestChaos: through a network that delays, drops, half-closes, trickles and resets, every change that was acknowledged is there, nothing was
// made twice, no call lasts beyond its deadline, and nothing is left of it all. TARN_CHAOS=1m makes it longer, TARN_SEED replays its faults.
func TestChaos(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("TARN_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	length, err := time.ParseDuration(os.Getenv("TARN_CHAOS"))
	if err != nil {
		length = 1500 * time.Millisecond
	}
	t.Logf("TARN_SEED=%d", seed)
	dir := t.TempDir()
	s := start(t, Config{System: engine(t, filepath.Join(dir, "root")), Listen: "127.0.0.1:0", Socket: filepath.Join(dir, "sock")})
	kv := openKV(t, dial(t, "unix:"+filepath.Join(dir, "sock")))
	before, conns := holds(t), s.conns.Open()
	var clients []*chaosClient
	var wg sync.WaitGroup
	proxy := newFaultyProxy(t, s.Addr(), seed)
	end := time.Now().Add(length)
	for id := range chaosClients {
		conn := chaosDial(t, proxy.l.Addr().String())
		c := &chaosClient{t: t, id: id, stub: apiv1.NewKeyValueServiceClient(conn), random: mrand.New(mrand.NewPCG(seed, uint64(1000+id))),
			values: map[string]string{}}
		clients = append(clients, c)
		wg.Go(func() {
			defer conn.Close()
			for n := 0; n < 20 || time.Now().Before(end); n++ {
				if c.change(); t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	proxy.close()
	checkChaos(t, kv, clients)
	settles(t, s, before, conns)
	t.Logf("faults: %v", proxy.counts)
}

func chaosDial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.5, Jitter: 0.5, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// checkChaos compares what is there with what was acknowledged.
func checkChaos(t *testing.T, kv system.KV, clients []*chaosClient) {
	t.Helper()
	sum, attempts, keys := int64(0), 0, 0
	for _, c := range clients {
		sum, attempts, keys = sum+c.counted, attempts+c.attempts, keys+len(c.values)
		for key, want := range c.values {
			got, err := kv.Get(t.Context(), []byte(key))
			if absent := want == ""; absent != (err != nil) || string(got) != want {
				t.Errorf("%s is %q, %v; acknowledged was %q", key, got, err, want)
			}
		}
	}
	got, err := kv.Get(t.Context(), []byte("counter"))
	if err != nil && sum > 0 || string(got) != strconv.FormatInt(sum, 10) && sum > 0 {
		t.Errorf("the counter is %s, %v; %d was added", got, err, sum)
	}
	t.Logf("%d attempts, %d keys, the counter is %s", attempts, keys, got)
}
