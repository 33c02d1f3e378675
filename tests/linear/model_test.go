// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc/codes"
)

// places is how many keys a history is about. The last one is a counter: only its values are added to.
const (
	places  = 3
	counter = places - 1
)

// value is what a key has. No two puts have the same text, so that of a key that is no counter the text tells the revision.
type value struct {
	there bool
	text  string
}

// state is all keys.
type state [places]value

// compare wants a key to have something, or not to.
type compare struct {
	key    int
	want   value
	exists bool // only whether it is there counts
	not    bool
}

// The conditions of a step.
const (
	always = iota
	insert
	update
	revision
)

// step is a read, or a change under a condition.
type step struct {
	key  int
	what string // "get", "put", "delete", "add"
	text string // that is put
	add  int64
	cond int
	seen value // that the key must have, for revision
}

// input is a call. Everything is a transaction, the smallest are a read and a put.
type input struct {
	rpc              string
	compares         []compare
	success, failure []step
}

// output is an answer. Of a call whose answer never came, it is only known that it may happen, now or later or never.
type output struct {
	unknown bool
	failed  bool // the comparisons did not hold
	code    codes.Code
	gets    []value
	sum     int64
}

// step1 is what a state becomes by a call with that answer, and whether the answer is one that it can have.
func step1(before state, in input, out output) (bool, state) {
	steps, holds := in.success, true
	for _, c := range in.compares {
		holds = holds && c.holds(before)
	}
	if !holds {
		steps = in.failure
	}
	refusals := refused(before, steps)
	switch {
	case len(refusals) > 0:
		return out.unknown || refusals[out.code], before
	case out.unknown:
		after, _ := do(before, steps)
		return true, after
	case out.code != codes.OK || out.failed == holds:
		return false, before
	}
	after, said := do(before, steps)
	return said.sum == out.sum && fmt.Sprint(said.gets) == fmt.Sprint(out.gets), after
}

func (c compare) holds(s state) bool {
	if c.exists {
		return (s[c.key].there == c.want.there) != c.not
	}
	return (s[c.key] == c.want) != c.not
}

// refused are the codes of the conditions that do not hold: the answer may be any of them.
func refused(s state, steps []step) map[codes.Code]bool {
	all := map[codes.Code]bool{}
	for _, st := range steps {
		has := s[st.key]
		switch {
		case st.cond == insert && has.there:
			all[codes.AlreadyExists] = true
		case st.cond == update && !has.there:
			all[codes.NotFound] = true
		case st.cond == revision && has != st.seen:
			all[codes.Aborted] = true
		}
	}
	return all
}

// do makes the steps. Reads see what was before all of them.
func do(before state, steps []step) (after state, out output) {
	after = before
	for _, st := range steps {
		switch st.what {
		case "get":
			out.gets = append(out.gets, before[st.key])
		case "put":
			after[st.key] = value{true, st.text}
		case "delete":
			after[st.key] = value{}
		case "add":
			n, _ := strconv.ParseInt(before[st.key].text, 10, 64) // absent counts as 0
			out.sum = n + st.add
			after[st.key] = value{true, strconv.FormatInt(out.sum, 10)}
		}
	}
	return after, out
}

var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(s, in, out any) (bool, any) { return step1(s.(state), in.(input), out.(output)) },
}

// TestModel: what the checker must refuse, it refuses; and what is right but odd, it takes.
func TestModel(t *testing.T) {
	a := value{true, "a"}
	put := func(text string) input { return input{success: []step{{what: "put", text: text}}} }
	get := input{success: []step{{what: "get"}}}
	cas := input{success: []step{{what: "put", text: "b", cond: revision, seen: a}}}
	txn := input{compares: []compare{{want: a}}, success: []step{{what: "put", text: "b"}, {key: 1, what: "put", text: "c"}},
		failure: []step{{what: "get"}}}
	saw := func(vals ...value) output { return output{gets: vals} }
	lost := output{unknown: true}
	for _, c := range []struct {
		name  string
		right bool
		calls []any // input, output; one after the other
	}{
		{"a put is read", true, []any{put("a"), output{}, get, saw(a)}},
		{"a put is lost", false, []any{put("a"), output{}, get, saw(value{})}},
		{"an unknown put happened", true, []any{put("a"), lost, get, saw(a)}},
		{"an unknown put did not", true, []any{put("a"), lost, get, saw(value{})}},
		{"an unknown put happened late", true, []any{put("a"), lost, get, saw(value{}), get, saw(a)}},
		{"an unknown put went away", false, []any{put("a"), lost, get, saw(a), get, saw(value{})}},
		{"a condition held", true, []any{put("a"), output{}, cas, output{}, get, saw(value{true, "b"})}},
		{"a condition held wrongly", false, []any{cas, output{}}},
		{"a condition failed wrongly", false, []any{put("a"), output{}, cas, output{code: codes.Aborted}}},
		{"comparisons held", true, []any{put("a"), output{}, txn, output{}, get, saw(value{true, "b"})}},
		{"comparisons held wrongly", false, []any{txn, output{}}},
		{"comparisons failed", true, []any{txn, output{failed: true, gets: []value{{}}}}},
		{"half a transaction", false, []any{put("a"), output{}, txn, lost, get, saw(value{true, "b"}),
			input{success: []step{{key: 1, what: "get"}}}, saw(value{})}},
		{"an increment twice", false, []any{input{success: []step{{key: counter, what: "add", add: 2}}}, output{sum: 4}}},
	} {
		var h []porcupine.Operation
		for i := 0; i < len(c.calls); i += 2 {
			h = append(h, operation(0, c.calls[i].(input), c.calls[i+1].(output), int64(10*i), int64(10*i+5)))
		}
		if got := porcupine.CheckOperations(model, h); got != c.right {
			t.Errorf("%s: linearizable: %v", c.name, got)
		}
	}
}

// operation is one call of a history. One whose answer never came lasts until the end of time.
func operation(client int, in input, out output, call, ret int64) porcupine.Operation {
	if out.unknown {
		ret = 1 << 62
	}
	return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: ret}
}

// longest is the longest beginning of an order that the model takes.
func longest(info porcupine.LinearizationInfo) (most []porcupine.Operation) {
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(most) {
				most = order
			}
		}
	}
	return most
}

// show is the operations in that order, each with the state after it, and then those that find no place in it.
func show(h, order []porcupine.Operation) string {
	var text strings.Builder
	placed, s := map[string]bool{}, state{}
	for _, o := range order {
		_, s = step1(s, o.Input.(input), o.Output.(output))
		fmt.Fprintf(&text, "%s\n\t%v\n", line(o), s)
		placed[line(o)] = true
	}
	fmt.Fprintf(&text, "\nno place for:\n")
	slices.SortFunc(h, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, o := range h {
		if !placed[line(o)] {
			fmt.Fprintln(&text, line(o))
		}
	}
	return text.String()
}

func line(o porcupine.Operation) string {
	return fmt.Sprintf("%d..%d client %d %v -> %v", o.Call, o.Return, o.ClientId, o.Input, o.Output)
}

// String is for who reads a history.
func (s step) String() string {
	cond := []string{"", " insert", " update", fmt.Sprintf(" if %v", s.seen)}[s.cond]
	switch s.what {
	case "put":
		return fmt.Sprintf("put %d %s%s", s.key, s.text, cond)
	case "add":
		return fmt.Sprintf("add %d %d", s.key, s.add)
	}
	return fmt.Sprintf("%s %d%s", s.what, s.key, cond)
}

// String is for who reads a history.
func (v value) String() string {
	if !v.there {
		return "-"
	}
	return v.text
}
