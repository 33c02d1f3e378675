// SPDX-License-Identifier: Apache-2.0

//go:build cgo

// Package tarn is the Go face of libtarn: durable pools, containers and ordered key-value objects in this process.
//
//	sys, err := tarn.Open("")                                    // the default root directory
//	info, err := sys.CreatePool(ctx, "tank", tarn.CreatePool{Size: 1 << 30})
//	pool, err := sys.OpenPool(ctx, "tank")
//	cont, err := pool.OpenContainer(ctx, "neo")
//	kv, err := cont.OpenKV(ctx, "stadium", true)
//	err = kv.Put(ctx, []byte("Barcelona"), []byte("Camp Nou"))    // durable when Put returns
//
// A write that has been acknowledged survives a crash of the process, of the machine and of its power, if the device honours
// flushes. Unacknowledged writes may or may not survive, whole, never in part. A container may choose durability=relaxed: then
// acknowledged writes of the last 100 milliseconds may be lost in a crash, in order (no later write survives an earlier one's loss), and
// Sync waits for what came before.
//
// Handles are safe for concurrent use. Close is idempotent, waits for the calls that are running, and refuses with BUSY while a
// handle that was opened from this one is still open. A call on a closed handle is an error that matches fs.ErrClosed. A Reader or
// a Writer is used by one goroutine at a time, and bound to its context: when that ends, its reads and writes fail.
//
// No call holds an operating system thread while it waits, but for Close of the last handle of a pool, which writes a checkpoint.
// A call whose context ends asks the library to give the operation up, and waits until it has: what Put returns is what happened.
//
// Every error is a *errno.Error: errors.Is(err, errno.NonExist), and also errors.Is(err, fs.ErrNotExist). What a call says of its errors are
// those of its own. Any call can also answer NO_HDL (the handle is closed), CANCELED or TIMEDOUT (its context has ended) and NOMEM. Any call
// that reads can answer IO (the device failed) and CSUM (what it has is damaged), and so can one that changes something, since it reads before;
// that one can answer NOSPACE and EP_RO (opened for reading only, or a snapshot), too.
package tarn

import "github.com/tarn-storage/tarn/go/system"

// The nouns of package system, so that a program on this package needs no other.
type (
	CreatePool      = system.CreatePool
	CreateContainer = system.CreateContainer
	PoolInfo        = system.PoolInfo
	ContainerInfo   = system.ContainerInfo
	ContainerType   = system.ContainerType
	Properties      = system.Properties
	ObjectInfo      = system.ObjectInfo
	Stat            = system.Stat
	Range           = system.Range
	Entry           = system.Entry
	Mutation        = system.Mutation
	Cond            = system.Cond
	Durability      = system.Durability
	SnapshotRef     = system.SnapshotRef
	SnapshotInfo    = system.SnapshotInfo
	CheckOptions    = system.CheckOptions
	CheckReport     = system.CheckReport
	Finding         = system.Finding
	Access          = system.Access
	Value           = system.Value
	WatchOptions    = system.WatchOptions
	Change          = system.Change
	Changes         = system.Changes

	KeyValueDeviceInfo = system.KeyValueDeviceInfo
	StoreOption        = system.StoreOption
)

// The types of containers.
const (
	TypeUnknown = system.TypeUnknown
	TypePOSIX   = system.TypePOSIX
	TypeHDF5    = system.TypeHDF5
	TypePython  = system.TypePython
	TypeKV      = system.TypeKV
)

// The durabilities of a container.
const (
	Durable = system.Durable
	Relaxed = system.Relaxed
)

// The options of a store on a key-value device.
const (
	StoreAny    = system.StoreAny
	StoreUpdate = system.StoreUpdate
	StoreAdd    = system.StoreAdd
)

// The conditions of a change.
const (
	CondNone     = system.CondNone
	CondInsert   = system.CondInsert
	CondUpdate   = system.CondUpdate
	CondRevision = system.CondRevision
)
