// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tarn-storage/tarn/go/system"
)

// corpus is the files that are put: what a key should hold is the number of one.
type corpus struct {
	names []string
	data  [][]byte
}

func newCorpus(files map[string][]byte) *corpus {
	c := &corpus{names: slices.Sorted(maps.Keys(files))}
	for _, name := range c.names {
		c.data = append(c.data, files[name])
	}
	return c
}

// absent stands for a file when a key is deleted.
const absent = -1

// oracle is a worker, and knows what must be there of what it has put. Its goroutine alone uses it while the gateway runs.
type oracle struct {
	files   *corpus
	mine    []int // the files whose names are this worker's keys
	random  *rand.Rand
	have    map[string]int // acknowledged: key -> file
	pending map[string]int // of the call that was not acknowledged: key -> file, or absent
	acked   int
	failure error // a call that failed although the gateway was there
}

func newOracle(files *corpus, worker int, random *rand.Rand) *oracle {
	o := &oracle{files: files, random: random, have: map[string]int{}}
	for i := worker; i < len(files.names); i += workers {
		o.mine = append(o.mine, i)
	}
	return o
}

// run works until the gateway is gone, and counts the calls that were acknowledged.
func (o *oracle) run(kv system.KV, calls *atomic.Int64) {
	for {
		o.pending = o.choose()
		err := o.call(kv)
		if err != nil {
			if !lost(err) {
				o.failure = err
			}
			return
		}
		o.acknowledged()
		calls.Add(1)
	}
}

func (o *oracle) acknowledged() {
	o.acked++
	for key, file := range o.pending {
		if file == absent {
			delete(o.have, key)
		} else {
			o.have[key] = file
		}
	}
	o.pending = nil
}

// choose makes up the next change: mostly a put of a file under its own name or of another file in its place, sometimes a deletion,
// sometimes a batch of both.
func (o *oracle) choose() map[string]int {
	n := 1
	if o.random.IntN(8) == 0 {
		n = 2 + o.random.IntN(10)
	}
	change := map[string]int{}
	for range n {
		own := o.mine[o.random.IntN(len(o.mine))]
		file := own
		switch o.random.IntN(6) {
		case 0:
			file = o.random.IntN(len(o.files.data))
		case 1:
			file = absent
		}
		change[o.files.names[own]] = file
	}
	return change
}

// streamed is the size from which a single value goes through a writer; the gateway takes no message over 4 MiB.
const streamed = 200_000

// call makes the pending change.
func (o *oracle) call(kv system.KV) error {
	ctx := context.Background()
	var batch []system.Mutation
	for key, file := range o.pending {
		m := system.Mutation{Key: []byte(key), Delete: file == absent}
		if file != absent {
			m.Value = o.files.data[file]
		}
		batch = append(batch, m)
	}
	one := batch[0]
	switch {
	case len(batch) > 1:
		return kv.Apply(ctx, batch)
	case one.Delete:
		return kv.Delete(ctx, one.Key)
	case len(one.Value) >= streamed:
		return stream(ctx, kv, one)
	}
	return kv.Put(ctx, one.Key, one.Value)
}

func stream(ctx context.Context, kv system.KV, m system.Mutation) error {
	w, err := kv.Writer(ctx, m.Key)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(m.Value); err != nil {
		return err
	}
	return w.Commit(ctx)
}

// settle compares what was found with what must be there. A change that was not acknowledged has happened whole, and is taken over,
// or not at all.
func (o *oracle) settle(found map[string][]byte) (complaints []string) {
	happened, possible := o.happened(found)
	if !possible {
		complaints = append(complaints, fmt.Sprintf("a change that was not acknowledged happened in part: %v", o.pending))
	}
	if happened {
		o.acknowledged()
		o.acked--
	}
	o.pending = nil
	for key, file := range o.have {
		if data, there := found[key]; !there || !bytes.Equal(data, o.files.data[file]) {
			complaints = append(complaints, fmt.Sprintf("%s: acknowledged with %d bytes, found %v with %d bytes", key,
				len(o.files.data[file]), there, len(data)))
		}
	}
	return complaints
}

// happened reports whether the pending change is there, and whether what is there is the change or the state before it.
func (o *oracle) happened(found map[string][]byte) (yes, possible bool) {
	after, before := true, true
	for key, file := range o.pending {
		old, had := o.have[key]
		if !had {
			old = absent
		}
		after = after && o.holds(found, key, file)
		before = before && o.holds(found, key, old)
	}
	return after, after || before
}

func (o *oracle) holds(found map[string][]byte, key string, file int) bool {
	data, there := found[key]
	if file == absent {
		return !there
	}
	return there && bytes.Equal(data, o.files.data[file])
}

// TestOracle checks that the oracle notices what must not happen.
func TestOracle(t *testing.T) {
	files := &corpus{names: []string{"a", "b"}, data: [][]byte{[]byte("one"), []byte("two")}}
	for _, c := range []struct {
		name          string
		have, pending map[string]int
		found         map[string][]byte
		complaints    int
		after         map[string]int
	}{
		{"as acknowledged", map[string]int{"a": 0}, nil, map[string][]byte{"a": []byte("one")}, 0, map[string]int{"a": 0}},
		{"lost", map[string]int{"a": 0}, nil, nil, 1, map[string]int{"a": 0}},
		{"another value", map[string]int{"a": 0}, nil, map[string][]byte{"a": []byte("two")}, 1, map[string]int{"a": 0}},
		{"a pending put that happened", nil, map[string]int{"a": 0}, map[string][]byte{"a": []byte("one")}, 0, map[string]int{"a": 0}},
		{"a pending put that did not", nil, map[string]int{"a": 0}, nil, 0, map[string]int{}},
		{"a pending deletion that happened", map[string]int{"a": 0}, map[string]int{"a": absent}, nil, 0, map[string]int{}},
		{"half a batch", map[string]int{}, map[string]int{"a": 0, "b": 1}, map[string][]byte{"a": []byte("one")}, 1, map[string]int{}},
		{"torn", nil, map[string]int{"a": 0}, map[string][]byte{"a": []byte("on")}, 1, map[string]int{}},
	} {
		o := &oracle{files: files, have: map[string]int{}, pending: c.pending}
		maps.Copy(o.have, c.have)
		if got := o.settle(c.found); len(got) != c.complaints || !maps.Equal(o.have, c.after) {
			t.Errorf("%s: %d complaints %v, want %d; then %v, want %v", c.name, len(got), got, c.complaints, o.have, c.after)
		}
	}
}
