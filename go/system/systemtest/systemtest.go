// SPDX-License-Identifier: Apache-2.0

// Package systemtest is the conformance suite of package system: what every implementation must do alike.
//
// An implementation's own test opens a system that is empty and calls [Run]. The suite knows the interface only.
package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

const poolBytes = 64 << 20

// Run runs the suite on a system, which the caller closes. It makes and destroys pools whose labels begin with "conf-".
func Run(t *testing.T, sys system.System) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"Pools", testPools},
		{"PoolErrors", testPoolErrors},
		{"PoolWork", testPoolWork},
		{"Containers", testContainers},
		{"ContainerErrors", testContainerErrors},
		{"Properties", testProperties},
		{"Objects", testObjects},
		{"ObjectErrors", testObjectErrors},
		{"RoundTrip", testRoundTrip},
		{"Keys", testKeys},
		{"GetInto", testGetInto},
		{"KVErrors", testKVErrors},
		{"Conditions", testConditions},
		{"Revisions", testRevisions},
		{"Lent", testLent},
		{"Batch", testBatch},
		{"BatchConditions", testBatchConditions},
		{"BatchErrors", testBatchErrors},
		{"ListTable", testListTable},
		{"ListRandom", testListRandom},
		{"ListLarge", testListLarge},
		{"ListEnds", testListEnds},
		{"DeleteRange", testDeleteRange},
		{"Stream", testStream},
		{"StreamAbandoned", testStreamAbandoned},
		{"StreamSnapshot", testStreamSnapshot},
		{"StreamErrors", testStreamErrors},
		{"Contexts", testContexts},
		{"Concurrent", testConcurrent},
		{"Closed", testClosed},
		{"Reopen", testReopen},
		{"GetMany", testGetMany},
		{"Durability", testDurability},
		{"Access", testAccess},
		{"Rename", testRename},
		{"RenameWatch", testRenameWatch},
		{"Attributes", testAttributes},
		{"Snapshots", testSnapshots},
		{"SnapshotErrors", testSnapshotErrors},
		{"Scrub", testScrub},
		{"Check", testCheck},
		{"Increment", testIncrement},
		{"Transact", testTransact},
		{"Transfers", testTransfers},
		{"Watch", testWatch},
		{"WatchErrors", testWatchErrors},
		{"WatchGone", testWatchGone},
		{"WatchDestroyed", testWatchDestroyed},
		{"WatchRandom", testWatchRandom},
		{"WatchPosition", testWatchPosition},
		{"WatchValues", testWatchValues},
		{"WatchFollow", testWatchFollow},
		{"WatchFollowErrors", testWatchFollowErrors},
		{"KeyValueDevice", testKeyValueDevice},
		{"KeyValueDeviceKeys", testKeyValueDeviceKeys},
		{"KeyValueDeviceOther", testKeyValueDeviceOther},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newFixture(t, sys, c.name)) })
	}
}

// fixture is an empty pool, made for one test and destroyed after it.
type fixture struct {
	sys   system.System
	label string
	info  system.PoolInfo
	pool  system.Pool
}

func newFixture(t *testing.T, sys system.System, name string) *fixture {
	t.Helper()
	f := &fixture{sys: sys, label: "conf-" + name}
	var err error
	if f.info, err = sys.CreatePool(t.Context(), f.label, system.CreatePool{Size: poolBytes}); err != nil {
		t.Fatalf("CreatePool: %v", err)
	}
	// t.Context() has ended when the cleanups run.
	t.Cleanup(func() { must(t, sys.DestroyPool(context.Background(), f.label, true)) })
	if f.pool, err = sys.OpenPool(t.Context(), f.label); err != nil {
		t.Fatalf("OpenPool: %v", err)
	}
	t.Cleanup(func() { must(t, f.pool.Close()) })
	return f
}

// cont makes and opens a container, until the test ends.
func (f *fixture) cont(t *testing.T, label string) system.Container {
	t.Helper()
	if _, err := f.pool.CreateContainer(t.Context(), label, system.CreateContainer{}); err != nil {
		t.Fatalf("CreateContainer: %v", err)
	}
	return openCont(t, f.pool, label)
}

func openCont(t *testing.T, pool system.Pool, label string) system.Container {
	t.Helper()
	c, err := pool.OpenContainer(t.Context(), label)
	if err != nil {
		t.Fatalf("OpenContainer: %v", err)
	}
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// kv makes and opens an object in a container of its own, until the test ends.
func (f *fixture) kv(t *testing.T) system.KV {
	t.Helper()
	return openKV(t, f.cont(t, "neo"), "stadium")
}

func openKV(t *testing.T, cont system.Container, name string) system.KV {
	t.Helper()
	kv, err := cont.OpenKV(t.Context(), name, true)
	if err != nil {
		t.Fatalf("OpenKV: %v", err)
	}
	t.Cleanup(func() { must(t, kv.Close()) })
	return kv
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// mustCheck: everything in the pool is whole.
func mustCheck(t *testing.T, pool system.Pool) {
	t.Helper()
	report, err := pool.Check(t.Context(), system.CheckOptions{})
	if err != nil || report.Findings != 0 {
		t.Errorf("Check() = %+v, %v", report, err)
	}
}

// wantCode checks the code of an error, and that it comes as the one error type with a sentence.
func wantCode(t *testing.T, what string, err error, code errno.Code) {
	t.Helper()
	var e *errno.Error
	switch {
	case !errors.Is(err, code):
		t.Errorf("%s: got %v, want %s", what, err, code.Name())
	case !errors.As(err, &e):
		t.Errorf("%s: got %T, want a *errno.Error", what, err)
	case e.Message == "" || e.Op == "":
		t.Errorf("%s: the error %#v has no sentence", what, e)
	}
}

func wantValue(t *testing.T, kv system.KV, key string, want []byte) {
	t.Helper()
	got, err := kv.Get(t.Context(), []byte(key))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Get(%.40q) = %d bytes %.40q, %v; want %d bytes %.40q", key, len(got), got, err, len(want), want)
	}
}

func wantAbsent(t *testing.T, kv system.KV, key string) {
	t.Helper()
	_, err := kv.Get(t.Context(), []byte(key))
	wantCode(t, fmt.Sprintf("Get(%.40q)", key), err, errno.NonExist)
}

// pattern is n bytes that differ from place to place and from seed to seed.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7+i>>8*31+i>>16*11) + seed
	}
	return b
}
