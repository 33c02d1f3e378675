// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// counting is a worker that increments a counter of its own, makes objects, gives them other names, makes pools, and repeats with the same id
// what was not answered. It must see every number once.
type counting struct {
	name    string
	random  *rand.Rand
	last    int64
	objects int
	renamed int
	pools   int
	id      string // of the call that was not answered; "": all were
	repeats int
	failure error
}

func (c *counting) newID() string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", c.random.Uint32(), c.random.Uint64()>>16)
}

// run makes calls until one is not answered because the gateway was killed.
func (c *counting) run(conn *grpc.ClientConn, calls *atomic.Int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	kv, objects := apiv1.NewKeyValueServiceClient(conn), apiv1.NewObjectServiceClient(conn)
	for c.failure == nil {
		again := c.id != ""
		if !again {
			c.id = c.newID()
		}
		err := c.next(ctx, kv, objects, apiv1.NewPoolServiceClient(conn))
		if status.Code(err) == codes.Unavailable || status.Code(err) == codes.Canceled {
			return
		}
		if c.failure = err; err == nil {
			c.id = ""
			calls.Add(1)
		}
		if again {
			c.repeats++
		}
	}
}

// next makes the call that follows from what was answered: so a repetition is the same call.
func (c *counting) next(ctx context.Context, kv apiv1.KeyValueServiceClient, objects apiv1.ObjectServiceClient, pools apiv1.PoolServiceClient) error {
	switch {
	case c.renamed < c.objects:
		return c.rename(ctx, objects)
	case c.pools < min(c.objects/4, poolsMax):
		return c.createPool(ctx, pools)
	case (c.last+int64(c.objects))%5 == 4:
		return c.create(ctx, objects)
	}
	return c.increment(ctx, kv)
}

// poolsMax is how many pools a worker makes.
const poolsMax = 3

func (c *counting) rename(ctx context.Context, objects apiv1.ObjectServiceClient) error {
	name := fmt.Sprintf("%s-%d", c.name, c.renamed)
	resp, err := objects.RenameObject(ctx, &apiv1.RenameObjectRequest{Object: "tank/neo/" + name, NewName: name + "-renamed", RequestId: c.id})
	if err == nil && resp.GetObject().GetName() != name+"-renamed" {
		return fmt.Errorf("RenameObject answers %v", resp)
	}
	if err == nil {
		c.renamed++
	}
	return err
}

func (c *counting) createPool(ctx context.Context, pools apiv1.PoolServiceClient) error {
	label := fmt.Sprintf("w%s-%d", c.name, c.pools)
	resp, err := pools.CreatePool(ctx, &apiv1.CreatePoolRequest{Label: label, Size: 4 << 20, Owner: "worker", RequestId: c.id})
	if err == nil && resp.GetPool().GetLabel() != label {
		return fmt.Errorf("CreatePool answers %v", resp)
	}
	if err == nil {
		c.pools++
	}
	return err
}

// check compares what is there with what was answered; the call that was not may be done.
func (c *counting) check(t *testing.T, cli rig.CLI, objects map[string]bool) {
	t.Helper()
	got := cli.OK("kv", "get", "tank/neo/counters", c.name)
	if n, _ := strconv.ParseInt(got, 10, 64); n != c.last && !(c.id != "" && n == c.last+1) {
		t.Errorf("counter %s is %s, and %d increments were answered", c.name, got, c.last)
	}
	for i := range c.renamed {
		name := fmt.Sprintf("%s-%d", c.name, i)
		if objects[name] || !objects[name+"-renamed"] {
			t.Errorf("the object %s was renamed, and is there: %v; under its new name: %v", name, objects[name], objects[name+"-renamed"])
		}
	}
	for i := range c.pools {
		if acl := cli.OK("pool", "acl", "get", fmt.Sprintf("w%s-%d", c.name, i)); !strings.Contains(acl, "# Owner: worker@") {
			t.Errorf("a pool of worker %s has no owner: %s", c.name, acl)
		}
	}
}

func (c *counting) increment(ctx context.Context, kv apiv1.KeyValueServiceClient) error {
	resp, err := kv.Increment(ctx, &apiv1.IncrementRequest{Object: "tank/neo/counters", Key: []byte(c.name), Delta: 1, RequestId: c.id})
	if err != nil {
		return err
	}
	if resp.GetValue() != c.last+1 {
		return fmt.Errorf("%s counts %d after %d", c.name, resp.GetValue(), c.last)
	}
	c.last++
	return nil
}

func (c *counting) create(ctx context.Context, objects apiv1.ObjectServiceClient) error {
	name := fmt.Sprintf("%s-%d", c.name, c.objects)
	_, err := objects.CreateObject(ctx, &apiv1.CreateObjectRequest{Container: "tank/neo", Name: name, RequestId: c.id})
	if err == nil {
		c.objects++
	}
	return err
}

// TestReplay kills the gateway again and again under calls that carry a request_id, and repeats on the next gateway those that were not
// answered: each has one effect, and an answer that fits.
func TestReplay(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay the workload with -seed %d", *seed)
	cli := rig.CLI{T: t, Root: t.TempDir()}
	cli.OK("pool", "create", "tank", "--size", "128M")
	cli.OK("cont", "create", "tank/neo")
	cli.OK("obj", "create", "tank/neo/counters")
	random := rand.New(rand.NewPCG(*seed, 0))
	all := make([]*counting, workers)
	for i := range all {
		all[i] = &counting{name: strconv.Itoa(i), random: rand.New(rand.NewPCG(*seed, uint64(i)+1))}
	}
	for range max(*rounds/2, 1) {
		replayRound(t, cli.Root, all, time.Duration(50+random.IntN(300))*time.Millisecond)
	}
	repeats, renamed, pools, objects := 0, 0, 0, map[string]bool{}
	for _, line := range strings.Split(cli.OK("obj", "list", "tank/neo"), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 {
			objects[fields[0]] = true
		}
	}
	for _, c := range all {
		c.check(t, cli, objects)
		repeats, renamed, pools = repeats+c.repeats, renamed+c.renamed, pools+c.pools
	}
	t.Logf("%d calls were repeated on the next gateway; %d objects were renamed, %d pools made", repeats, renamed, pools)
	if repeats == 0 {
		t.Error("no call was repeated: the test shows nothing")
	}
	if got := cli.OK("pool", "check", "tank"); got != "tank checked\n" {
		t.Error(got)
	}
}

func replayRound(t *testing.T, root string, all []*counting, after time.Duration) {
	t.Helper()
	g := rig.StartGateway(t, root)
	conn, err := grpc.NewClient("unix:"+g.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	fatal(t, err)
	defer conn.Close()
	var running sync.WaitGroup
	var calls atomic.Int64
	for _, c := range all {
		running.Go(func() { c.run(conn, &calls) })
	}
	time.Sleep(after)
	for slow := time.Now(); calls.Load() < enough && time.Since(slow) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	g.Kill()
	running.Wait()
	for _, c := range all {
		if c.failure != nil {
			t.Fatalf("worker %s: %v", c.name, c.failure)
		}
	}
}
