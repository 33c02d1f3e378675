// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package tarn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
)

// holdRoot names the root directory in the environment of the child that holds a pool.
const holdRoot = "TARN_TEST_HOLD"

// hold opens the pool tank and keeps it until its input ends.
func hold() int {
	sys, err := Open(os.Getenv(holdRoot))
	if err == nil {
		_, err = sys.OpenPool(context.Background(), "tank")
	}
	fmt.Println("open:", err)
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestHeldElsewhere: another process holds the pool, until it dies.
func TestHeldElsewhere(t *testing.T) {
	sys := open(t, Options{})
	_, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: testPool})
	must(t, err)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), holdRoot+"="+sys.Root())
	out, err := child.StdoutPipe()
	must(t, err)
	_, err = child.StdinPipe()
	must(t, err)
	must(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "open: <nil>\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	_, err = sys.OpenPool(t.Context(), "tank")
	wantCode(t, "OpenPool of a pool that another process holds", err, errno.Busy)
	if pid := fmt.Sprint(child.Process.Pid); !strings.Contains(err.Error(), pid) {
		t.Errorf("%v does not name the holder, process %s", err, pid)
	}
	wantCode(t, "DestroyPool of it", sys.DestroyPool(t.Context(), "tank", true), errno.Busy)
	must(t, child.Process.Kill())
	child.Wait()
	pool, err := sys.OpenPool(t.Context(), "tank")
	if err != nil {
		t.Fatal(err)
	}
	must(t, pool.Close())
}

func TestReadOnly(t *testing.T) {
	ctx := t.Context()
	kv := openKV(t)
	must(t, kv.Put(ctx, []byte("k"), []byte("v")))
	ro, err := kv.cont.OpenKV(ctx, "stadium", false, ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ro.Get(ctx, []byte("k"))
	if err != nil || string(got) != "v" {
		t.Errorf("Get = %q, %v", got, err)
	}
	wantCode(t, "Put through a read-only KV", ro.Put(ctx, []byte("k"), nil), errno.EPRO)
	must(t, ro.Close())
	pool, err := kv.cont.pool.sys.OpenPool(ctx, "tank", ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	_, err = pool.CreateContainer(ctx, "other", CreateContainer{})
	wantCode(t, "CreateContainer in a read-only pool", err, errno.EPRO)
	must(t, pool.Close())
}

// TestDevicePool: a pool on a device that is given by name.
func TestDevicePool(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, testPool))
	sys := open(t, Options{Devices: []string{path}, CacheBytes: 4 << 20})
	info, err := sys.CreatePool(ctx, "tank", CreatePool{Device: path})
	if err != nil || info.Path != path && info.Path != "file:"+path {
		t.Fatalf("CreatePool = %+v, %v", info, err)
	}
	_, err = sys.CreatePool(ctx, "other", CreatePool{Device: path})
	wantCode(t, "CreatePool on a device that holds a pool", err, errno.Exist)
	_, err = sys.CreatePool(ctx, "other", CreatePool{Device: path, Overwrite: true})
	must(t, err)
	_, err = sys.OpenPool(ctx, "tank")
	wantCode(t, "OpenPool of a pool that was overwritten", err, errno.IDMismatch)
	pool, err := sys.OpenPool(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pool.Info(ctx); err != nil || got.CacheBytes != 4<<20 {
		t.Errorf("Info() = %+v, %v", got, err)
	}
	must(t, pool.Close())
}

// TestZeroedPool: a pool that is written when it is made, which is told as it goes on, and can be stopped.
func TestZeroedPool(t *testing.T) {
	sys := open(t, Options{})
	var last atomic.Uint64
	info, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: testPool, Zeroed: true, Progress: func(done, all uint64) {
		if done > all || done < last.Load() {
			t.Errorf("%d bytes of %d after %d", done, all, last.Load())
		}
		last.Store(done)
	}})
	must(t, err)
	file, err := os.Open(info.Path)
	must(t, err)
	defer file.Close()
	const seekHole = 4 // of Linux's lseek
	if hole, err := file.Seek(0, seekHole); err != nil || uint64(hole) != info.TotalBytes {
		t.Errorf("the first block that nobody has written is at %d of %d: %v", hole, info.TotalBytes, err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = sys.CreatePool(stopped, "tunk", CreatePool{Size: testPool, Zeroed: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("CreatePool with a context that has ended: %v", err)
	}
}

// TestLog: what the library has to say reaches the logger, at its level.
func TestLog(t *testing.T) {
	var log memLog
	logger := slog.New(&log)
	sys := open(t, Options{Logger: logger})
	info, err := sys.CreatePool(t.Context(), "tank", CreatePool{Size: testPool})
	must(t, err)
	must(t, os.WriteFile(strings.Replace(info.Path, "tank", "junk", 1), make([]byte, 1<<20), 0o600))
	pools, err := sys.Pools(t.Context())
	if err != nil || len(pools) != 1 {
		t.Errorf("Pools() = %+v, %v", pools, err)
	}
	said := func(line string) bool { return strings.HasPrefix(line, "WARN") && strings.Contains(line, "junk") }
	for deadline := time.Now().Add(5 * time.Second); !slices.ContainsFunc(log.all(), said) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if !slices.ContainsFunc(log.all(), said) {
		t.Errorf("a pool file that cannot be read was not logged: %q", log.all())
	}
}

func TestLogLines(t *testing.T) {
	var log memLog
	logger := slog.New(&log)
	p := logPipe{loggers: map[*slog.Logger]int{logger: 1}}
	for _, line := range []string{"DEBUG quiet", "INFO a word", "WARN two words", "ERROR x", "odd line"} {
		p.log(line)
	}
	if want := []string{"INFO a word", "WARN two words", "ERROR x", "INFO odd line"}; !slices.Equal(log.all(), want) {
		t.Errorf("logged %q, want %q", log.all(), want)
	}
}

func TestVersion(t *testing.T) {
	var major, minor, patch int
	if n, err := fmt.Sscanf(Version(), "%d.%d.%d", &major, &minor, &patch); n != 3 {
		t.Errorf("Version() = %q, %v", Version(), err)
	}
}
