// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// TestOpenNVMe: what is no NVMe device is refused, with a sentence. What a device answers is tested where there is one.
func TestOpenNVMe(t *testing.T) {
	for path, code := range map[string]errno.Code{filepath.Join(t.TempDir(), "none"): errno.NonExist, "/dev/null": errno.Inval, "": errno.Inval,
		"a\x00b": errno.Inval, t.TempDir(): errno.Inval} {
		n, err := OpenNVMe(path, false)
		var e *errno.Error
		if !errors.As(err, &e) || e.Message == "" || e.Code != code {
			t.Errorf("%q: %v, %v; want %s", path, n, err, code.Name())
		}
	}
}

func TestNVMeTexts(t *testing.T) {
	if nvmeVersion(0x10400) != "1.4.0" || nvmeVersion(0x20100) != "2.1.0" || nvmeVersion(0) != "" {
		t.Error(nvmeVersion(0x10400), nvmeVersion(0x20100), nvmeVersion(0))
	}
	if got := bits(0b1101, "a", "b", "c"); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("%q", got)
	}
	if hexID(make([]byte, 8)) != "" || hexID([]byte{0, 1, 0}) != "000100" {
		t.Error(hexID([]byte{0, 1, 0}))
	}
}

// TestRealNVMe asks the controllers of this machine, where there are any that may be asked.
func TestRealNVMe(t *testing.T) {
	paths, err := filepath.Glob("/dev/nvme[0-9]*")
	if err != nil || len(paths) == 0 {
		t.Skip("this machine has no NVMe device")
	}
	for _, path := range paths {
		n, err := OpenNVMe(path, false)
		if errno.CodeOf(err) == errno.NoPerm {
			t.Skip(err)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		checkNVMe(t, n)
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		if _, _, err := n.Controller(t.Context()); errno.CodeOf(err) != errno.NoHdl {
			t.Errorf("after Close: %v", err)
		}
	}
}

func checkNVMe(t *testing.T, n *NVMe) {
	t.Helper()
	ctx := t.Context()
	c, page, err := n.Controller(ctx)
	if err != nil || c.Model == "" || len(page) != 4096 {
		t.Errorf("Controller: %+v, %v", c, err)
	}
	ids, err := n.Namespaces(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if ns, _, err := n.Namespace(ctx, id); err != nil || ns.NSID != id || ns.Size == 0 || len(ns.Formats) == 0 {
			t.Errorf("Namespace %d: %+v, %v", id, ns, err)
		}
	}
	if sets, err := n.CommandSets(ctx); err != nil || !slices.Contains(sets, 0) {
		t.Errorf("CommandSets: %v, %v", sets, err)
	}
	if h, raw, err := n.Health(ctx); err != nil || h.Temperature == 0 || len(raw) != 512 {
		t.Errorf("Health: %+v, %v", h, err)
	}
	if _, err := n.LogPage(ctx, 2, system.NVMeAll, 0, 512); err != nil {
		t.Error(err)
	}
	if err := n.SetFeature(ctx, 6, 0, 1, false, nil); errno.CodeOf(err) != errno.EPRO {
		t.Errorf("SetFeature of one that was opened for reading: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := n.Feature(ended, 6, system.NVMeCurrent, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
}
