// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

func quiet() *double { return newDouble(func(context.Context, string) error { return nil }) }

// TestSocket: only this user may connect, and the file is gone after the stop.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.sock")
	s := begin(t, Config{System: quiet(), Socket: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	if s.Addr() != "" {
		t.Errorf("a TCP address %q that nobody asked for", s.Addr())
	}
	dial(t, "unix:"+path)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the stop: %v", err)
	}
}

// TestSocketTaken: a socket is taken over only when nobody answers on it.
func TestSocketTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.sock")
	s := begin(t, Config{System: quiet(), Socket: path})
	log := slog.New(slog.DiscardHandler)
	if _, err := New(Config{System: quiet(), Socket: path, Log: log}); !errors.Is(err, errno.Busy) {
		t.Errorf("a second gateway: %v", err)
	}
	dial(t, "unix:"+path) // the first one is not disturbed
	s.listeners[0].(*net.UnixListener).SetUnlinkOnClose(false)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no stale socket to take over: %v", err)
	}
	start(t, Config{System: quiet(), Socket: path})
	dial(t, "unix:"+path)
}

func TestSocketRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := New(Config{System: quiet(), Socket: file, Log: log}); !errors.Is(err, errno.Exist) {
		t.Errorf("a file in the way: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "precious" || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
	if _, err := New(Config{System: quiet(), Socket: filepath.Join(dir, "none", "sock"), Log: log}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if _, err := New(Config{System: quiet(), Log: log}); err == nil {
		t.Error("a gateway that listens nowhere")
	}
}

// TestDevice: a device of the machine is formatted for the gateway's own user only.
func TestDevice(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "sock")
	s := start(t, Config{System: engine(t, filepath.Join(dir, "root")), Listen: "127.0.0.1:0", Socket: socket})
	opts := system.CreatePool{Device: filepath.Join(dir, "disk")}
	if err := os.WriteFile(opts.Device, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.Addr()).CreatePool(t.Context(), "tank", opts); !errors.Is(err, errno.NoPerm) {
		t.Errorf("over TCP: %v", err)
	}
	if disk, err := os.ReadFile(opts.Device); err != nil || !bytes.Equal(disk, make([]byte, 16<<20)) {
		t.Errorf("the device was written to, or is gone: %v", err)
	}
	if info, err := dial(t, "unix:"+socket).CreatePool(t.Context(), "tank", opts); err != nil || info.Path != opts.Device {
		t.Errorf("over the socket: %+v, %v", info, err)
	}
}

// TestReflection: a client that knows nothing finds every service.
func TestReflection(t *testing.T) {
	s := start(t, Config{System: quiet()})
	stream, err := reflectionpb.NewServerReflectionClient(connect(t, s.Addr())).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(ask); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range resp.GetListServicesResponse().GetService() {
		names = append(names, strings.TrimPrefix(service.GetName(), "tarn.v1."))
	}
	sort.Strings(names)
	if got := strings.Join(names, " "); !strings.HasPrefix(got, "AdminService ContainerService DeviceService KeyValueService ObjectService OperationService PoolService SnapshotService grpc.") {
		t.Errorf("services: %s", got)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
