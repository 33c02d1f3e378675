// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

const object = "tank/neo/linear"

// errDefect is an answer that no state explains.
var errDefect = errors.New("a call failed")

// client makes calls at random and records them. Its goroutine alone uses it.
type client struct {
	id      int
	prefix  string // of the keys of the round
	random  *rand.Rand
	epoch   time.Time // of the clock of the history
	stub    apiv1.KeyValueServiceClient
	serial  int
	seen    [places]sight // what it saw last
	history []porcupine.Operation
	err     error // errDefect
}

// sight is what a key had, and its revision then.
type sight struct {
	value
	revision uint64
}

func (c *client) now() int64 { return int64(time.Since(c.epoch)) }

func (c *client) key(i int) []byte { return fmt.Appendf(nil, "%s-%d", c.prefix, i) }

// text is a value that nobody else puts.
func (c *client) text(key int) string {
	c.serial++
	if key == counter {
		return strconv.Itoa((c.serial*100 + c.id) * 1000)
	}
	return fmt.Sprintf("%d.%d", c.id, c.serial)
}

// run makes n calls, or fewer when the gateway goes.
func (c *client) run(ctx context.Context, conn *grpc.ClientConn, n int) {
	c.stub = apiv1.NewKeyValueServiceClient(conn)
	for range n {
		var gone bool
		switch c.random.IntN(8) {
		case 0, 1, 2:
			gone = c.record(ctx, c.transaction())
		case 3:
			gone = c.session(ctx)
		case 4:
			gone = c.batch(ctx)
		default:
			gone = c.record(ctx, c.single())
		}
		if gone || c.err != nil {
			return
		}
	}
}

// record makes a call and notes it. gone says that the gateway is.
func (c *client) record(ctx context.Context, in input) (gone bool) {
	call := c.now()
	out, err := c.call(ctx, in)
	return c.note(in, out, err, call)
}

func (c *client) note(in input, out output, err error, call int64) (gone bool) {
	switch code := status.Code(err); {
	case errors.Is(err, io.EOF) || code == codes.Unavailable:
		gone, out.unknown = true, true
	case code == codes.Aborted && reason(err) == "DER_TX_RESTART" && !hasRevision(in):
		return false // it lost against others again and again, and did nothing
	case reason(err) == "DER_MISMATCH":
		out.code = codes.Aborted
	case code != codes.OK && code != codes.AlreadyExists && code != codes.NotFound && code != codes.Aborted:
		c.err = fmt.Errorf("%w: %+v: %w", errDefect, in, err)
	default:
		out.code = code
	}
	c.history = append(c.history, operation(c.id, in, out, call, c.now()))
	return gone
}

func hasRevision(in input) bool {
	for _, st := range append(in.success, in.failure...) {
		if st.cond == revision {
			return true
		}
	}
	return false
}

func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// change is a change of a key at random.
func (c *client) change(key int) step {
	st := step{key: key, what: "put", text: c.text(key), cond: c.random.IntN(revision + 1)}
	if c.random.IntN(3) == 0 {
		st.what, st.text = "delete", ""
		if st.cond == insert {
			st.cond = always
		}
	}
	st.seen = c.seen[key].value
	if st.cond == revision && key == counter { // its values may come again
		st.cond = always
	}
	return st
}

// single is a call about one key.
func (c *client) single() input {
	key := c.random.IntN(places)
	switch n := c.random.IntN(5); {
	case n == 0:
		return input{rpc: "Scan", success: reads()}
	case n == 1 || n == 2 && key != counter:
		return input{rpc: "Get", success: []step{{key: key, what: "get"}}}
	case n == 2:
		return input{rpc: "Increment", success: []step{{key: key, what: "add", add: 1 + c.random.Int64N(9)}}}
	}
	st := c.change(key)
	if st.what == "delete" {
		return input{rpc: "Delete", success: []step{st}}
	}
	return input{rpc: "Put", success: []step{st}}
}

// reads reads every key.
func reads() (all []step) {
	for key := range places {
		all = append(all, step{key: key, what: "get"})
	}
	return all
}

// transaction compares a key or two, and changes or reads some.
func (c *client) transaction() input {
	in := input{rpc: "Transact", failure: reads()}
	if c.random.IntN(4) == 0 {
		in.rpc, in.failure = "ApplyBatch", nil
	}
	for range c.random.IntN(3) {
		key := c.random.IntN(places)
		in.compares = append(in.compares, compare{key: key, want: c.seen[key].value, exists: key == counter || c.random.IntN(2) == 0,
			not: c.random.IntN(4) == 0})
	}
	for _, key := range c.random.Perm(places)[:1+c.random.IntN(places)] {
		st := c.change(key)
		if in.rpc == "Transact" && c.random.IntN(3) == 0 {
			st = step{key: key, what: "get"}
		}
		in.success = append(in.success, st)
	}
	if in.rpc == "ApplyBatch" {
		in.compares = nil
	}
	return in
}

// call makes a call.
func (c *client) call(ctx context.Context, in input) (out output, err error) {
	st := in.success[0]
	key, cond := c.key(st.key), apiv1.Condition(st.cond)
	switch in.rpc {
	case "Get":
		resp, err := c.stub.Get(ctx, &apiv1.GetRequest{Object: object, Key: key})
		return got(resp.GetValue(), err)
	case "Scan":
		return c.scan(ctx)
	case "Put":
		_, err = c.stub.Put(ctx, &apiv1.PutRequest{Object: object, Key: key, Value: []byte(st.text), Condition: cond, Revision: c.revision(st)})
	case "Delete":
		_, err = c.stub.Delete(ctx, &apiv1.DeleteRequest{Object: object, Key: key, Condition: cond, Revision: c.revision(st)})
	case "Increment":
		resp, err := c.stub.Increment(ctx, &apiv1.IncrementRequest{Object: object, Key: key, Delta: st.add})
		return output{sum: resp.GetValue()}, err
	case "ApplyBatch":
		req := &apiv1.ApplyBatchRequest{Object: object}
		for _, st := range in.success {
			req.Mutations = append(req.Mutations, c.mutation(st))
		}
		_, err = c.stub.ApplyBatch(ctx, req)
	case "Transact":
		return c.transact(ctx, in)
	}
	return out, err
}

// got is the answer of a read, to which absence is a value.
func got(val []byte, err error) (output, error) {
	if status.Code(err) == codes.NotFound {
		return output{gets: []value{{}}}, nil
	}
	return output{gets: []value{{true, string(val)}}}, err
}

// revision is that of what was seen, for a step that wants it.
func (c *client) revision(st step) uint64 {
	if st.cond != revision {
		return 0
	}
	return c.seen[st.key].revision
}

func (c *client) mutation(st step) *apiv1.Mutation {
	m := &apiv1.Mutation{Key: c.key(st.key), Condition: apiv1.Condition(st.cond), Revision: c.revision(st)}
	if st.what == "delete" {
		m.Change = &apiv1.Mutation_Delete{Delete: true}
	} else {
		m.Change = &apiv1.Mutation_Put{Put: []byte(st.text)}
	}
	return m
}

// scan reads all keys in one message, which is a view of one moment.
func (c *client) scan(ctx context.Context) (output, error) {
	stream, err := c.stub.Scan(ctx, &apiv1.ScanRequest{Object: object, Range: &apiv1.KeyRange{Prefix: []byte(c.prefix + "-")}})
	if err != nil {
		return output{}, err
	}
	out := output{gets: make([]value, places)}
	for messages := 0; ; messages++ {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil || messages > 0 {
			return out, errors.Join(err, manyMessages(messages))
		}
		for _, e := range msg.GetEntries() {
			_, i, _ := strings.Cut(string(e.GetKey()), "-")
			out.gets[i[0]-'0'] = value{true, string(e.GetValue())}
		}
	}
}

func manyMessages(n int) error {
	if n > 0 {
		return errors.New("a small scan has more than one message")
	}
	return nil
}

func (c *client) transact(ctx context.Context, in input) (output, error) {
	req := &apiv1.TransactRequest{Object: object}
	for _, cmp := range in.compares {
		req.Compares = append(req.Compares, c.compare(cmp))
	}
	req.Success, req.Failure = c.steps(in.success), c.steps(in.failure)
	resp, err := c.stub.Transact(ctx, req)
	if err != nil {
		return output{}, err
	}
	out := output{failed: !resp.GetSucceeded()}
	for _, g := range resp.GetGets() {
		val := value{g.Value != nil, string(g.GetValue())}
		out.gets = append(out.gets, val)
		c.seen[g.GetKey()[len(g.GetKey())-1]-'0'] = sight{val, g.GetRevision()}
	}
	return out, nil
}

// compare asks by existence, by revision or by value.
func (c *client) compare(cmp compare) *apiv1.Compare {
	wire := &apiv1.Compare{Key: c.key(cmp.key), Comparison: apiv1.Comparison_COMPARISON_EQUAL}
	if cmp.not {
		wire.Comparison = apiv1.Comparison_COMPARISON_NOT_EQUAL
	}
	switch {
	case cmp.exists:
		wire.Target = &apiv1.Compare_Exists{Exists: cmp.want.there}
	case c.random.IntN(2) == 0 || !cmp.want.there:
		wire.Target = &apiv1.Compare_Revision{Revision: c.seen[cmp.key].revision}
	default:
		wire.Target = &apiv1.Compare_Value{Value: []byte(cmp.want.text)}
	}
	return wire
}

func (c *client) steps(steps []step) (wire []*apiv1.Step) {
	for _, st := range steps {
		if st.what == "get" {
			wire = append(wire, &apiv1.Step{Step: &apiv1.Step_Get{Get: c.key(st.key)}})
		} else {
			wire = append(wire, &apiv1.Step{Step: &apiv1.Step_Change{Change: c.mutation(st)}})
		}
	}
	return wire
}
