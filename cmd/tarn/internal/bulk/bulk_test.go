// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn"
)

var seed = flag.Uint64("seed", 0, "of what is exported (0: a new one)")

func random(t *testing.T) *rand.Rand {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with -seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pool is a pool of the engine, in a directory of its own.
func pool(t testing.TB) system.Pool {
	t.Helper()
	core, err := tarn.Open(t.TempDir())
	fatal(t, err)
	sys := core.System()
	_, err = sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 96 << 20, LogBytes: 1 << 20})
	fatal(t, err)
	p, err := sys.OpenPool(t.Context(), "tank")
	fatal(t, err)
	t.Cleanup(func() { fatal(t, errors.Join(p.Close(), sys.Close())) })
	return p
}

func container(t testing.TB, p system.Pool, label string) system.Container {
	t.Helper()
	_, err := p.CreateContainer(t.Context(), label, system.CreateContainer{})
	fatal(t, err)
	c, err := p.OpenContainer(t.Context(), label)
	fatal(t, err)
	t.Cleanup(func() { fatal(t, c.Close()) })
	return c
}

// model is what containers hold: object, key, value.
type model map[string]map[string]string

func (m model) entries() (n uint64) {
	for _, keys := range m {
		n += uint64(len(keys))
	}
	return n
}

func sampleOf(r *rand.Rand) model {
	m := model{"empty": {}, "odd": {"\x00": "", "\xff\xfe": "\x80", "text": "Übersee", "\"<&>\u2028": "\x00\n"}, "\xffname": {"k": "v"}}
	many := map[string]string{}
	for range 2000 {
		many[bytesOf(r, 1+r.IntN(40))] = bytesOf(r, r.IntN(200))
	}
	m["many"] = many
	m["large"] = map[string]string{bytesOf(r, system.KeyMax): bytesOf(r, ValueMax)}
	for _, size := range []int{ValueMax - 1, ValueMax, ValueMax + 1, pieceMax, pieceMax + 1, 3*pieceMax + 17} {
		m["large"][fmt.Sprint(size)] = bytesOf(r, size)
	}
	return m
}

func bytesOf(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func (m model) store(t testing.TB, c system.Container) {
	t.Helper()
	for object, keys := range m {
		kv, err := c.OpenKV(t.Context(), object, true)
		fatal(t, err)
		for k, v := range keys {
			fatal(t, kv.Put(t.Context(), []byte(k), []byte(v)))
		}
		fatal(t, kv.Close())
	}
}

func load(t testing.TB, c system.Container) model {
	t.Helper()
	m := model{}
	for info, err := range c.Objects(t.Context(), "") {
		fatal(t, err)
		kv, err := c.OpenKV(t.Context(), info.Name, false)
		fatal(t, err)
		m[info.Name] = map[string]string{}
		for e, err := range kv.List(t.Context(), system.Range{}) {
			fatal(t, err)
			if e.Omitted {
				e.Value, err = kv.Get(t.Context(), e.Key)
				fatal(t, err)
			}
			m[info.Name][string(e.Key)] = string(e.Value)
		}
		fatal(t, kv.Close())
	}
	return m
}

func same(t *testing.T, what string, got, want model) {
	t.Helper()
	if !maps.EqualFunc(got, want, maps.Equal[map[string]string]) {
		t.Errorf("%s: %d objects with %d entries, want %d with %d, or other bytes", what, len(got), got.entries(), len(want), want.entries())
	}
}

func export(t testing.TB, c system.Container, lines bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	_, err := Export(t.Context(), c, "tank/neo", &buf, ExportOptions{Lines: lines, Progress: func(uint64, uint64) {}})
	fatal(t, err)
	return buf.Bytes()
}

func importing(ctx context.Context, c system.Container, stream []byte, on OnConflict) (Imported, error) {
	return Import(ctx, c, bytes.NewReader(stream), ImportOptions{OnConflict: on, Attributes: true, Progress: func(uint64) {}})
}

// TestRoundTrip: everything comes back, in both forms, and a second export is the same stream.
func TestRoundTrip(t *testing.T) {
	p := pool(t)
	want := sampleOf(random(t))
	from := container(t, p, "from")
	want.store(t, from)
	for _, lines := range []bool{false, true} {
		stream := export(t, from, lines)
		header, total, err := Verify(bytes.NewReader(stream), func(uint64) {})
		if err != nil || header.Source != "tank/neo" || header.Type != system.TypeKV || total.Entries != want.entries() || total.Objects != uint64(len(want)) {
			t.Fatalf("lines %v: %+v, %+v, %v", lines, header, total, err)
		}
		to := container(t, p, fmt.Sprintf("to-%v", lines))
		done, err := importing(t.Context(), to, stream, Fail)
		if err != nil || done.Stored != want.entries() || done.Total != total {
			t.Fatalf("lines %v: %+v, %v", lines, done, err)
		}
		same(t, "imported", load(t, to), want)
		if !bytes.Equal(export(t, to, lines), stream) {
			t.Errorf("lines %v: a second export is another stream", lines)
		}
	}
}

// TestConflicts: what is there stays, goes, or ends the import, whatever the size of the value.
func TestConflicts(t *testing.T) {
	p := pool(t)
	want := sampleOf(random(t))
	from := container(t, p, "from")
	want.store(t, from)
	stream := export(t, from, false)
	there := model{"odd": {"text": "mine"}, "many": {"mine": "mine"}, "large": {fmt.Sprint(pieceMax): "mine"}}
	for key := range want["many"] {
		if len(there["many"]) < 700 {
			there["many"][key] = "mine"
		}
	}
	mixed := model{}
	for object, keys := range want {
		mixed[object] = maps.Clone(keys)
	}
	for object, keys := range there {
		maps.Copy(mixed[object], keys)
	}
	for on, expected := range map[OnConflict]model{Skip: mixed, Overwrite: with(want, "many", "mine", "mine")} {
		to := container(t, p, string(on))
		there.store(t, to)
		done, err := importing(t.Context(), to, stream, on)
		if fatal(t, err); on == Skip && done.Skipped != there.entries()-1 || done.Stored+done.Skipped != want.entries() {
			t.Errorf("%s: %+v", on, done)
		}
		same(t, string(on), load(t, to), expected)
	}
	to := container(t, p, "fail")
	there.store(t, to)
	done, err := importing(t.Context(), to, stream, Fail)
	if !errors.Is(err, errno.Exist) {
		t.Fatalf("fail: %v", err)
	}
	got := load(t, to)
	if n := got.entries() - there.entries(); n != done.Stored {
		t.Errorf("%d entries are new, and %d are said to be stored", n, done.Stored)
	}
	done, err = importing(t.Context(), to, stream, Skip) // as who goes on with an import that was interrupted
	if err != nil || done.Stored+done.Skipped != want.entries() {
		t.Errorf("then skip: %+v, %v", done, err)
	}
	same(t, "then skip", load(t, to), mixed)
}

func with(m model, object, key, value string) model {
	m = maps.Clone(m)
	m[object] = maps.Clone(m[object])
	m[object][key] = value
	return m
}

// tiny is a stream with every kind of frame in it.
func tiny(t testing.TB, c system.Container) []byte {
	model{"a": {"k": "v", "large": strings.Repeat("x", ValueMax+1)}, "b": {}}.store(t, c)
	fatal(t, c.SetAttributes(t.Context(), map[string][]byte{"team": []byte("storage")}))
	return export(t, c, false)
}

// TestDamage: a stream of which a byte changed, or which is cut off, is refused where that is; what is stored stood before it.
func TestDamage(t *testing.T) {
	p := pool(t)
	from := container(t, p, "from")
	stream, want := tiny(t, from), load(t, from)
	r := random(t)
	places := []int{}
	for i := range len(stream) {
		if i < 600 || i > len(stream)-300 || r.IntN(500) == 0 {
			places = append(places, i)
		}
	}
	for _, i := range places {
		bad := slices.Clone(stream)
		bad[i] ^= byte(1 + r.IntN(255))
		refused(t, fmt.Sprintf("byte %d changed", i), bad, i)
		refused(t, fmt.Sprintf("cut off at %d", i), stream[:i], i)
	}
	refused(t, "something behind it", append(slices.Clone(stream), 0), len(stream))
	refused(t, "twice", append(slices.Clone(stream), stream[len(magic):]...), len(stream))
	for i := range 20 {
		to := container(t, p, fmt.Sprintf("to-%d", i))
		bad := stream[:r.IntN(len(stream))]
		if done, err := importing(t.Context(), to, bad, Fail); !errors.Is(err, errno.Csum) || done.Stored != load(t, to).entries() {
			t.Errorf("import of %d bytes: %+v, %v", len(bad), done, err)
		}
		for object, keys := range load(t, to) {
			for k, v := range keys {
				if want[object][k] != v {
					t.Errorf("import of %d bytes stored %.20q in %s", len(bad), k, object)
				}
			}
		}
	}
}

func refused(t *testing.T, what string, stream []byte, place int) {
	t.Helper()
	_, _, err := Verify(bytes.NewReader(stream), func(uint64) {})
	if !errors.Is(err, errno.Csum) {
		t.Errorf("%s: %v", what, err)
		return
	}
	at := -1
	if n, _ := fmt.Sscanf(err.Error(), "the stream is damaged at byte %d", &at); n != 1 || at > place {
		t.Errorf("%s: it is said to be at %d: %v", what, at, err)
	}
}

// TestFrames: frames that are whole by themselves may not be missing, doubled or in another place.
func TestFrames(t *testing.T) {
	stream := tiny(t, container(t, pool(t), "from"))
	var starts []int
	src, err := open(bytes.NewReader(stream))
	fatal(t, err)
	for {
		if _, err := src.next(); err == io.EOF {
			break
		}
		starts = append(starts, int(src.offset()))
	}
	starts = append(starts, len(stream))
	for i := range len(starts) - 1 {
		a, b := stream[:starts[i]], stream[starts[i]:starts[i+1]]
		refused(t, fmt.Sprintf("frame %d is missing", i), slices.Concat(a, stream[starts[i+1]:]), starts[i])
		refused(t, fmt.Sprintf("frame %d is doubled", i), slices.Concat(a, b, b, stream[starts[i+1]:]), starts[i+1])
	}
}

// TestLines: what people may write, and what they may not.
func TestLines(t *testing.T) {
	p := pool(t)
	to := container(t, p, "neo")
	written := "{\"object\":\"cities\"}\n\n {\"key\":\"Rio\",\"value\":\"Maracanã\"}\r\n{\"key64\":\"/w==\",\"value64\":\"\"}\n" +
		"{\"key\":\"pieces\",\"size\":3}\n{\"data64\":\"YQ==\"}\n{\"data64\":\"YmM=\"}"
	if _, err := importing(t.Context(), to, []byte(written), Fail); err != nil {
		t.Fatal(err)
	}
	same(t, "written by hand", load(t, to), model{"cities": {"Rio": "Maracanã", "\xff": "", "pieces": "abc"}})
	for _, bad := range []string{
		"{", "[]", "null", "{}", `{"key":"k","value":"v"}`, `{"object":"o"} {"object":"p"}`, `{"object":"o","key":"k"}`,
		"{\"object\":\"o\"}\n{\"key\":\"k\"}", "{\"object\":\"o\"}\n{\"key\":\"\",\"value\":\"\"}",
		"{\"object\":\"o\"}\n{\"key\":\"k\",\"value\":\"v\",\"value64\":\"\"}", "{\"object\":\"o\"}\n{\"keys\":\"k\"}",
		"{\"object\":\"o\"}\n{\"key\":\"k\",\"size\":3}", "{\"object\":\"o\"}\n{\"key\":\"k\",\"size\":1}\n{\"data64\":\"YWJj\"}",
		"{\"object\":\"o\"}\n{\"data64\":\"YWJj\"}", `{"tarn":{"version":1}}`, "{\"object\":\"o\"}\n{\"end\":{\"objects\":2}}",
		`{"attribute":"a"}`, `{"attribute":"","value":"v"}`, `{"attribute":"a","size":1}`, `{"attribute":"a","value":""}`, `{"attribute":"a","key":"k","value":"v"}`,
		"{\"object\":\"o\"}\n{\"attribute\":\"a\",\"value\":\"v\"}", strings.Repeat("{\"attribute\":\"a\",\"value\":\""+strings.Repeat("v", 60000)+"\"}\n", 20),
		"{\"object\":\"o\"}\n" + strings.Repeat(" ", lineMax+1), "\x00",
	} {
		if _, _, err := Verify(strings.NewReader(bad), func(uint64) {}); !errors.Is(err, errno.Csum) {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	if _, _, err := Verify(strings.NewReader(`{"tarn":{"version":3}}`), func(uint64) {}); !errors.Is(err, errno.DFIncompt) {
		t.Errorf("a later version: %v", err)
	}
}

// TestOneObject: an object goes under another name, when it is the only one.
func TestOneObject(t *testing.T) {
	p := pool(t)
	from, to := container(t, p, "from"), container(t, p, "to")
	model{"a": {"k": "v"}, "b": {}}.store(t, from)
	o := ImportOptions{OnConflict: Fail, Object: "c", Progress: func(uint64) {}}
	if _, err := Import(t.Context(), to, bytes.NewReader(export(t, from, false)), o); !errors.Is(err, errno.Inval) {
		t.Errorf("two objects: %v", err)
	}
	var buf bytes.Buffer
	_, err := Export(t.Context(), from, "tank/from/a", &buf, ExportOptions{Object: "a", Progress: func(uint64, uint64) {}})
	fatal(t, err)
	o.Object = "d"
	_, err = Import(t.Context(), to, &buf, o)
	fatal(t, err)
	same(t, "d", model{"d": load(t, to)["d"]}, model{"d": {"k": "v"}})
	if _, err := Export(t.Context(), from, "", io.Discard, ExportOptions{Object: "none"}); !errors.Is(err, errno.NonExist) {
		t.Errorf("an object that is not there: %v", err)
	}
	if _, err := Export(t.Context(), arrays{from}, "", io.Discard, ExportOptions{}); !errors.Is(err, errno.NotSupported) {
		t.Errorf("an object of another type: %v", err)
	}
}

// arrays is a container whose objects are of another type.
type arrays struct{ system.Container }

func (a arrays) Objects(context.Context, string) iter.Seq2[system.ObjectInfo, error] {
	return func(yield func(system.ObjectInfo, error) bool) {
		yield(system.ObjectInfo{Name: "a", Type: "ARRAY"}, nil)
	}
}

// TestAttributes: those of the container go with it, in both forms; what becomes of one that is there is said; one object has none.
func TestAttributes(t *testing.T) {
	p := pool(t)
	from := container(t, p, "from")
	model{"a": {"k": "v"}}.store(t, from)
	want := map[string][]byte{"team": []byte("storage"), "\u00e4": {0xff, 0}, "long": bytes.Repeat([]byte("x"), 65536)}
	fatal(t, from.SetAttributes(t.Context(), want))
	mixed := maps.Clone(want)
	mixed["team"] = []byte("mine")
	for _, lines := range []bool{false, true} {
		stream := export(t, from, lines)
		if header, total, err := Verify(bytes.NewReader(stream), func(uint64) {}); err != nil || header.Version != 2 || total.Attributes != 3 {
			t.Errorf("%+v, %+v, %v", header, total, err)
		}
		for on, result := range map[OnConflict]map[string][]byte{Fail: {"team": []byte("mine")}, Skip: mixed, Overwrite: want} {
			to := container(t, p, fmt.Sprintf("%s-%v", on, lines))
			fatal(t, to.SetAttributes(t.Context(), map[string][]byte{"team": []byte("mine")}))
			_, err := importing(t.Context(), to, stream, on)
			if got, _ := to.Attributes(t.Context()); !maps.EqualFunc(got, result, bytes.Equal) || errors.Is(err, errno.Exist) != (on == Fail) || err != nil && on != Fail {
				t.Errorf("%s: %d attributes, team %q, %v", on, len(got), got["team"], err)
			}
		}
		to := container(t, p, fmt.Sprintf("same-%v", lines))
		if _, err := importing(t.Context(), to, stream, Fail); err != nil || !bytes.Equal(export(t, to, lines), stream) {
			t.Errorf("a second export is another stream: %v", err)
		}
	}
	var one bytes.Buffer
	total, err := Export(t.Context(), from, "tank/from/a", &one, ExportOptions{Object: "a", Progress: func(uint64, uint64) {}})
	if err != nil || total.Attributes != 0 {
		t.Errorf("of one object: %+v, %v", total, err)
	}
}

// TestManyObjects: more objects than are open at once.
func TestManyObjects(t *testing.T) {
	p := pool(t)
	from, to := container(t, p, "from"), container(t, p, "to")
	want := model{}
	for i := range maxOpen + 50 {
		want[fmt.Sprint(i)] = map[string]string{"k": fmt.Sprint(i)}
	}
	want.store(t, from)
	_, err := importing(t.Context(), to, export(t, from, false), Fail)
	fatal(t, err)
	same(t, "many objects", load(t, to), want)
}

// FuzzVerify: no bytes make a reader fall over, and what it takes has the total that it says.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(magic))
	f.Add(tiny(f, container(f, pool(f), "from"))[:400])
	f.Add([]byte("{\"tarn\":{\"version\":1}}\n{\"object\":\"o\"}\n{\"key\":\"k\",\"value\":\"v\"}\n{\"end\":{\"objects\":1,\"entries\":1,\"bytes\":2}}\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		_, total, err := Verify(bytes.NewReader(stream), func(uint64) {})
		if err == nil && total.Bytes > uint64(len(stream)) {
			t.Errorf("%d bytes hold %+v", len(stream), total)
		}
		if code := errno.CodeOf(err); code != errno.OK && code != errno.Csum && code != errno.DFIncompt {
			t.Errorf("%v", err)
		}
	})
}
