// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/fake"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func object(t *testing.T, props system.Properties) (*fake.System, system.KV) {
	t.Helper()
	ctx, sys := t.Context(), fake.New()
	_, err := sys.CreatePool(ctx, "tank", system.CreatePool{Size: 1 << 30})
	fatal(t, err)
	pool, err := sys.OpenPool(ctx, "tank")
	fatal(t, err)
	_, err = pool.CreateContainer(ctx, "neo", system.CreateContainer{Properties: props})
	fatal(t, err)
	cont, err := pool.OpenContainer(ctx, "neo")
	fatal(t, err)
	kv, err := cont.OpenKV(ctx, "tree", true)
	fatal(t, err)
	return sys, kv
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is bytes that differ with the size.
func content(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + size)
	}
	return b
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	fatal(t, os.MkdirAll(filepath.Dir(path), 0o777))
	fatal(t, os.WriteFile(path, data, 0o666))
}

func diff(t *testing.T, a, b string) {
	t.Helper()
	if text, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		t.Fatalf("diff -r: %v\n%s", err, text)
	}
}

// oddTree has files of every size at which something changes, names of every kind, links, and empty directories.
func oddTree(t *testing.T) (dir string, files int) {
	dir = t.TempDir()
	for _, size := range []int{0, 1, 4095, 4096, smallMax - 1, smallMax, smallMax + 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3*chunk + 17} {
		write(t, dir, fmt.Sprintf("sizes/%d", size), content(size))
		files++
	}
	for i := range 3 * batchFiles {
		write(t, dir, fmt.Sprintf("many/%03d/%d", i%7, i), content(i))
		files++
	}
	for _, name := range []string{"a b", "line\nbreak", "\xff\xfe", `"quoted"`, "-dash", "@at", "..dots..", "...", "back\\slash", "Köln", "deep/er/and/deep/er/x",
		strings.Repeat("n", 255)} {
		write(t, dir, "names/"+name, []byte(name))
		files++
	}
	for _, name := range []string{"none", "none/of/these", "names/none"} {
		fatal(t, os.MkdirAll(filepath.Join(dir, name), 0o777))
	}
	for name, target := range map[string]string{"link": "sizes/4096", "names/up": "../sizes/1", "linked": "names/deep", "abs": dir + "/sizes/0"} {
		fatal(t, os.Symlink(target, filepath.Join(dir, name)))
		files++ // the directory that is linked holds one
	}
	return dir, files
}

func TestThereAndBack(t *testing.T) {
	dir, files := oddTree(t)
	_, kv := object(t, system.Properties{})
	r, err := Import(t.Context(), kv, dir, ImportOptions{})
	fatal(t, err)
	if int(r.Files) != files || r.EmptyDirs != 2 || r.Links != 4 || r.Skipped != (Skipped{}) {
		t.Errorf("imported %+v, want %d files", r, files)
	}
	copied := filepath.Join(t.TempDir(), "new", "copy")
	back, err := Export(t.Context(), kv, copied, ExportOptions{})
	fatal(t, err)
	if back.Files != r.Files || back.Bytes != r.Bytes || back.EmptyDirs != 2 {
		t.Errorf("exported %+v, imported %+v", back, r)
	}
	diff(t, dir, copied)

	_, err = Export(t.Context(), kv, copied, ExportOptions{})
	if errno.CodeOf(err) != errno.Exist {
		t.Errorf("export onto files that exist: %v, want EXIST", err)
	}
	_, err = Export(t.Context(), kv, copied, ExportOptions{Overwrite: true})
	fatal(t, err)
	diff(t, dir, copied)

}

// TestLeftOut checks what an import does not store, and that it counts it.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/file", []byte("x"))
	for name, target := range map[string]string{"sub/loop": "..", "sub/self": ".", "gone": "nowhere", "ring": "ring", "ok": "sub/file"} {
		fatal(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	fatal(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for _, c := range []struct {
		opts ImportOptions
		want Result
		keys string
		says string
	}{
		{ImportOptions{}, Result{Files: 2, Bytes: 2, Links: 3, Skipped: Skipped{Special: 1, Dangling: 2, Loops: 2}}, "ok sub/file",
			"1 special file, 2 dangling links, 2 links to a directory above them"},
		{ImportOptions{NoFollow: true}, Result{Files: 1, Bytes: 1, Skipped: Skipped{Special: 1, Links: 5}}, "sub/file",
			"1 special file, 5 links"},
	} {
		_, kv := object(t, system.Properties{})
		got, err := Import(t.Context(), kv, dir, c.opts)
		fatal(t, err)
		if got != c.want || got.Skipped.String() != c.says || keys(t, kv) != c.keys {
			t.Errorf("got %+v, %q: %s", got, keys(t, kv), got.Skipped)
		}
	}
}

func keys(t *testing.T, kv system.KV) string {
	var all []string
	for e, err := range kv.List(t.Context(), system.Range{}) {
		fatal(t, err)
		all = append(all, string(e.Key))
	}
	return strings.Join(all, " ")
}

// TestKeysThatAreNoPaths checks that export refuses them before it writes anything.
func TestKeysThatAreNoPaths(t *testing.T) {
	for _, key := range []string{"/etc/passwd", "../evil", "a/../../evil", "..", ".", "./a", "a//b", "a/./b", "a/..", "//", "/", "a\x00b", "a/b/.."} {
		_, kv := object(t, system.Properties{})
		fatal(t, kv.Put(t.Context(), []byte("a-good-one"), nil))
		fatal(t, kv.Put(t.Context(), []byte(key), nil))
		dir := filepath.Join(t.TempDir(), "out")
		_, err := Export(t.Context(), kv, dir, ExportOptions{Overwrite: true})
		if errno.CodeOf(err) != errno.BadPath {
			t.Errorf("%q: %v, want BADPATH", key, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: something was written", key)
		}
	}
	_, kv := object(t, system.Properties{})
	fatal(t, kv.Put(t.Context(), []byte("dir/"), []byte("value")))
	if _, err := Export(t.Context(), kv, t.TempDir(), ExportOptions{}); errno.CodeOf(err) != errno.BadPath {
		t.Errorf("a directory with a value: %v, want BADPATH", err)
	}
}

// TestLinksLeadNowhere checks that export writes nothing through a link that leads out of its directory.
func TestLinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "victim", []byte("safe"))
	for _, overwrite := range []bool{false, true} {
		dir := t.TempDir()
		fatal(t, os.Symlink(outside, filepath.Join(dir, "out")))
		fatal(t, os.Symlink(filepath.Join(outside, "victim"), filepath.Join(dir, "file")))
		for _, key := range []string{"out/victim", "out/new", "out/empty/"} {
			_, kv := object(t, system.Properties{})
			fatal(t, kv.Put(t.Context(), []byte(key), nil))
			if _, err := Export(t.Context(), kv, dir, ExportOptions{Overwrite: overwrite}); err == nil {
				t.Errorf("%s was written through a link", key)
			}
		}
		_, kv := object(t, system.Properties{})
		fatal(t, kv.Put(t.Context(), []byte("file"), []byte("new")))
		if _, err := Export(t.Context(), kv, dir, ExportOptions{Overwrite: overwrite}); (err == nil) != overwrite {
			t.Errorf("overwrite %v: %v", overwrite, err)
		}
	}
	entries, err := os.ReadDir(outside)
	fatal(t, err)
	data, err := os.ReadFile(filepath.Join(outside, "victim"))
	fatal(t, err)
	if len(entries) != 1 || string(data) != "safe" {
		t.Errorf("outside there are now %v, and the file holds %q", entries, data)
	}
}

func TestFileAndDirectoryOfOneName(t *testing.T) {
	_, kv := object(t, system.Properties{})
	fatal(t, kv.Put(t.Context(), []byte("a"), nil))
	fatal(t, kv.Put(t.Context(), []byte("a/b"), nil))
	if _, err := Export(t.Context(), kv, t.TempDir(), ExportOptions{}); err == nil {
		t.Error("a file and a directory of one name were both written")
	}
}

// TestImportFails checks that the first error is the answer, says which file it is about, and ends the import.
func TestImportFails(t *testing.T) {
	dir, _ := oddTree(t)
	for _, op := range []string{"kv apply", "kv put"} {
		sys, kv := object(t, system.Properties{})
		sys.Fail[op] = errno.New(op, "tank/neo/tree", errno.NoSpace, "the pool is full")
		_, err := Import(t.Context(), kv, dir, ImportOptions{})
		if errno.CodeOf(err) != errno.NoSpace {
			t.Errorf("%s fails: %v, want NOSPACE", op, err)
		}
	}
	limit := uint64(chunk)
	_, kv := object(t, system.Properties{ValueMax: &limit})
	_, err := Import(t.Context(), kv, dir, ImportOptions{})
	var e *errno.Error
	if !errors.As(err, &e) || e.Code != errno.Rec2Big || !strings.HasPrefix(e.Ref, "sizes/") {
		t.Errorf("a file over the limit: %v, want REC2BIG about it", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, kv, dir, ImportOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if _, err := Import(t.Context(), kv, filepath.Join(dir, "nowhere"), ImportOptions{}); errno.CodeOf(err) != errno.NoEntry {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// TestBatchTooLarge checks that a batch which the pool's log cannot take goes key by key.
func TestBatchTooLarge(t *testing.T) {
	dir, files := oddTree(t)
	sys, kv := object(t, system.Properties{})
	sys.Fail["kv apply"] = errno.New("kv apply", "", errno.Rec2Big, "the batch does not fit into the log")
	r, err := Import(t.Context(), kv, dir, ImportOptions{})
	fatal(t, err)
	if int(r.Files) != files {
		t.Errorf("%d files, want %d", r.Files, files)
	}
	copied := t.TempDir()
	_, err = Export(t.Context(), kv, copied, ExportOptions{})
	fatal(t, err)
	diff(t, dir, copied)
}

func TestExportFails(t *testing.T) {
	dir, _ := oddTree(t)
	for _, op := range []string{"kv list", "kv get"} {
		sys, kv := object(t, system.Properties{})
		_, err := Import(t.Context(), kv, dir, ImportOptions{})
		fatal(t, err)
		sys.Fail[op] = errno.New(op, "tank/neo/tree", errno.Csum, "damaged")
		if _, err := Export(t.Context(), kv, t.TempDir(), ExportOptions{}); errno.CodeOf(err) != errno.Csum {
			t.Errorf("%s fails: %v, want CSUM", op, err)
		}
	}
}

// TestStore checks values around the size from which they are streamed, and a source that breaks: then nothing is stored.
func TestStore(t *testing.T) {
	_, kv := object(t, system.Properties{})
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk} {
		want := content(size)
		n, err := Store(t.Context(), kv, []byte("k"), iotest.HalfReader(bytes.NewReader(want)), system.CondNone)
		got, getErr := kv.Get(t.Context(), []byte("k"))
		if err != nil || getErr != nil || int(n) != size || !bytes.Equal(got, want) {
			t.Errorf("size %d: %d, %v, %v", size, n, err, getErr)
		}
		broken := io.MultiReader(bytes.NewReader(want), iotest.ErrReader(io.ErrNoProgress))
		if _, err := Store(t.Context(), kv, []byte("broken"), broken, system.CondNone); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("size %d, a source that breaks: %v", size, err)
		}
	}
	if there, _ := kv.Exists(t.Context(), []byte("broken")); there {
		t.Error("half a value was stored")
	}
}

func TestProgress(t *testing.T) {
	p := Progress{unit: "files"}
	p.Add(3, 3<<20)
	if got, want := p.line(time.Second), "3 files  3 MiB  3 MiB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.SetTotal(6, 6<<20)
	if got, want := p.line(time.Second), "[############------------]  50%  3/6 files  3 MiB/6 MiB  3 MiB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Add(100, 1<<40)
	if got := p.line(0); !strings.HasPrefix(got, "["+strings.Repeat("#", barWidth)+"] 100%") {
		t.Errorf("more than all: %q", got)
	}
	var none *Progress
	none.Add(1, 1)
	none.SetTotal(1, 1)
	none.Stop()
}

// TestProgressIsDrawn imports with a bar, which is gone in the end.
func TestProgressIsDrawn(t *testing.T) {
	dir, _ := oddTree(t)
	_, kv := object(t, system.Properties{})
	var b bytes.Buffer
	bar := NewProgress(&b)
	_, err := Import(t.Context(), kv, dir, ImportOptions{Progress: bar})
	fatal(t, err)
	time.Sleep(300 * time.Millisecond)
	bar.Stop()
	if !bar.totalKnown.Load() || bar.files.Load() != bar.totalFiles.Load() || bar.bytes.Load() != bar.totalBytes.Load() {
		t.Errorf("%d of %d files", bar.files.Load(), bar.totalFiles.Load())
	}
	if !strings.Contains(b.String(), "100%") || !strings.HasSuffix(b.String(), "\r\x1b[K") {
		t.Errorf("drawn: %q", &b)
	}
}

// TestFilesThatChange checks a file that grew and one that shrank after the walk had seen them.
func TestFilesThatChange(t *testing.T) {
	dir := t.TempDir()
	_, kv := object(t, system.Properties{})
	sizes := map[string]int{"grew": 100, "grew large": smallMax + 1000, "shrank": 10, "same": 50}
	var batch []found
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		write(t, dir, name, content(sizes[name]))
		batch = append(batch, found{key: name, path: filepath.Join(dir, name), size: 50})
	}
	m := &importer{ctx: t.Context(), kv: kv}
	fatal(t, m.small(batch))
	for name, size := range sizes {
		got, err := kv.Get(t.Context(), []byte(name))
		if err != nil || !bytes.Equal(got, content(size)) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, size)
		}
	}
}

// busy is an object that refuses every other call.
type busy struct {
	system.KV
	calls atomic.Int64
}

func (b *busy) refuse() error {
	if b.calls.Add(1)%2 == 1 {
		return errno.OverloadRetry
	}
	return nil
}

func (b *busy) Put(ctx context.Context, key, val []byte, cond ...system.Cond) error {
	if err := b.refuse(); err != nil {
		return err
	}
	return b.KV.Put(ctx, key, val, cond...)
}

func (b *busy) Apply(ctx context.Context, batch []system.Mutation) error {
	if err := b.refuse(); err != nil {
		return err
	}
	return b.KV.Apply(ctx, batch)
}

func (b *busy) Reader(ctx context.Context, key []byte) (system.Reader, error) {
	if err := b.refuse(); err != nil {
		return nil, err
	}
	return b.KV.Reader(ctx, key)
}

// TestBusy checks that a call which is refused for want of room is made again.
func TestBusy(t *testing.T) {
	dir, _ := oddTree(t)
	_, kv := object(t, system.Properties{})
	b := &busy{KV: kv}
	_, err := Import(t.Context(), b, dir, ImportOptions{})
	fatal(t, err)
	copied := t.TempDir()
	_, err = Export(t.Context(), b, copied, ExportOptions{})
	fatal(t, err)
	diff(t, dir, copied)
}

func TestPatience(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Patient(ctx, func() error { return errno.Again }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := Patient(t.Context(), func() error { calls++; return errno.OverloadRetry })
		if calls != attempts || errno.CodeOf(err) != errno.OverloadRetry {
			t.Errorf("%d calls, then %v", calls, err)
		}
	})
}
