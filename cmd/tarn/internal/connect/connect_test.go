// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func TestFromEnv(t *testing.T) {
	for _, c := range []struct {
		where Where
		env   map[string]string
		want  Where
	}{
		{Where{}, map[string]string{"HOME": "/home/anna"}, Where{Root: "/home/anna/.local/share/tarn"}},
		{Where{}, map[string]string{"HOME": "/home/anna", "XDG_DATA_HOME": "/data"}, Where{Root: "/data/tarn"}},
		{Where{}, map[string]string{"XDG_DATA_HOME": "/data", "TARN_ROOT": "/pools"}, Where{Root: "/pools"}},
		{Where{}, map[string]string{"TARN_ROOT": "/pools", "TARN_ENDPOINT": "unix:/s"}, Where{Root: "/pools", Endpoint: "unix:/s"}},
		{Where{Root: "/mine"}, map[string]string{"TARN_ROOT": "/pools", "TARN_ENDPOINT": "unix:/s"}, Where{Root: "/mine"}},
		{Where{Endpoint: "host:1"}, map[string]string{"TARN_ROOT": "/pools", "TARN_ENDPOINT": "unix:/s"}, Where{Root: "/pools", Endpoint: "host:1"}},
	} {
		if got := c.where.FromEnv(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%+v with %v: got %+v, want %+v", c.where, c.env, got, c.want)
		}
	}
}

// TestOpenHere checks that pools are opened in this process when no gateway answers: without a socket, with one that a killed gateway
// left behind, and with something else in its place.
func TestOpenHere(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"no socket": func(string) error { return nil },
		"stale socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		},
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := prepare(filepath.Join(root, SocketName)); err != nil {
				t.Fatal(err)
			}
			sys, took := open(t, Where{Root: root})
			if took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 16 << 20}); err != nil {
				t.Error(err)
			}
			if err := sys.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func open(t *testing.T, w Where) (system.System, time.Duration) {
	t.Helper()
	start := time.Now()
	sys, err := Open(t.Context(), w, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return sys, time.Since(start)
}

// TestNoRoot checks that who only wants to look does not make the directory that is mistyped.
func TestNoRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "tpyo")
	_, err := Open(t.Context(), Where{Root: root}, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want NONEXIST", err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v, want it not to be there", err)
	}
	sys, _ := open(t, Where{Root: root, MakeRoot: true})
	if err := sys.Close(); err != nil {
		t.Error(err)
	}
}

// TestSilentGateway checks that a gateway which accepts but never answers is given up, by the time that the user gave.
func TestSilentGateway(t *testing.T) {
	root := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(root, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = Open(ctx, Where{Root: root}, slog.New(slog.DiscardHandler))
	if code := errno.CodeOf(err); code != errno.TimedOut || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v, want TIMEDOUT", time.Since(start), err)
	}
}

func TestNobodyThere(t *testing.T) {
	endpoint := "unix:" + filepath.Join(t.TempDir(), "none")
	_, err := Open(t.Context(), Where{Root: t.TempDir(), Endpoint: endpoint}, nil)
	var e *errno.Error
	if !errors.As(err, &e) || e.Code != errno.Unreach || e.Message != "no gateway answers at "+endpoint+": no such file or directory" {
		t.Errorf("got %v, want UNREACH", err)
	}
}
