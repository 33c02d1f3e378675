// SPDX-License-Identifier: Apache-2.0

// Package system is the one contract of Tarn in Go: pools, containers and key-value objects, wherever they are.
//
// Package tarn implements it on the C library in this process, package client over gRPC on a gateway. Programs that do not care
// where their data lives take a [System]. Every error matches a code of package errno with errors.Is, and carries a sentence.
// Everything here is safe for concurrent use, but for readers and writers, which one goroutine uses at a time. A key, a value and a
// destination that is passed to a call is lent for the call.
package system

import (
	"context"
	"io"
	"iter"
	"strconv"
	"time"
)

// Limits, as in tarn/types.h.
const (
	KeyMax        = 65536
	ValueMax      = 4 << 30
	LabelMax      = 127
	ObjectNameMax = 255
	BatchMax      = 65536
	ListValueMax  = 65536 // a longer value is left out of a listing
)

// System is where pools are found: a root directory, or a gateway.
type System interface {
	Pools(ctx context.Context) ([]PoolInfo, error)
	CreatePool(ctx context.Context, label string, opts CreatePool) (PoolInfo, error)
	OpenPool(ctx context.Context, labelOrUUID string) (Pool, error)
	DestroyPool(ctx context.Context, labelOrUUID string, force bool) error
	io.Closer
}

// CreatePool says what a new pool is like. The zero value of a field is its default.
type CreatePool struct {
	Size      uint64 // bytes; 0: all of Device
	Device    string // URI or path of the first target; "": a file in the system's root
	LogBytes  uint64 // size of the write-ahead log; 0: by Size
	NodeBytes uint32 // target size of a tree node; 0: 4 KiB
	Overwrite bool   // format a device although it holds something
	Zeroed    bool   // write all of it with zeros first, which takes as long as the device takes to write Size bytes; see TARN_POOL_ZEROED
	Owner     string // "": nobody
	Group     string // the owner's; "": none
	// Request is the id of the creation, which the pool keeps (PoolInfo.Request): who serves others knows a repeated request by it. Elsewhere
	// than in this process it is NOTSUPPORTED.
	Request [16]byte
	// Progress is called now and then with the bytes of zeros that are written, and that there are to write. Only in the process of the pool.
	Progress func(done, all uint64)
}

// PoolInfo describes a pool. Counters that only an open pool has are 0 when listed.
type PoolInfo struct {
	UUID           string `json:"uuid"`
	Label          string `json:"label"`
	Path           string `json:"path"`
	Targets        uint32 `json:"targets"`
	MapVersion     uint32 `json:"map_version"`
	FormatVersion  uint32 `json:"format_version"`
	ReadOnly       bool   `json:"read_only"`
	TotalBytes     uint64 `json:"total_bytes"`
	FreeBytes      uint64 `json:"free_bytes"`
	LogBytes       uint64 `json:"log_bytes"`
	LogUsedBytes   uint64 `json:"log_used_bytes"`
	CacheBytes     uint64 `json:"cache_bytes"`
	CacheUsedBytes uint64 `json:"cache_used_bytes"`
	Generation     uint64 `json:"generation"`
	Containers     uint64 `json:"containers"`

	Request [16]byte `json:"-"` // of its creation; elsewhere than in this process it is not known
}

// Pool is an open pool.
type Pool interface {
	Info(ctx context.Context) (PoolInfo, error)
	Containers(ctx context.Context) ([]ContainerInfo, error)
	CreateContainer(ctx context.Context, label string, opts CreateContainer) (ContainerInfo, error)
	OpenContainer(ctx context.Context, labelOrUUID string) (Container, error)
	DestroyContainer(ctx context.Context, labelOrUUID string, force bool) error
	Sync(ctx context.Context) error       // everything applied so far is durable
	Checkpoint(ctx context.Context) error // empties the log
	// Check reads and verifies everything, and compares the space map with one computed anew; Scrub reads everything beside other
	// calls. CSUM when there is a finding; the report is there in any case.
	Check(ctx context.Context, o CheckOptions) (CheckReport, error)
	Scrub(ctx context.Context, o CheckOptions) (CheckReport, error)
	AccessControl
	Attributes
	io.Closer
}

// CheckOptions say how a check or a scrub goes about it.
type CheckOptions struct {
	BytesPerSecond uint64                 // of a scrub: how fast it reads; 0: as it can
	Progress       func(done, all uint64) // called now and then with the bytes read, and about how many there are; may be nil
}

// CheckReport is what a check or a scrub has found.
type CheckReport struct {
	Bytes    uint64    `json:"bytes"`    // read and verified
	Findings uint64    `json:"findings"` // all of them
	Found    []Finding `json:"found"`    // the first thousand
}

// Finding is a piece of damage. What is not known is empty.
type Finding struct {
	What       string `json:"what"`                // a sentence
	Offset     uint64 `json:"offset,omitempty"`    // in bytes, on the target
	Length     uint64 `json:"length,omitempty"`    // 0: it is not at one place
	Container  string `json:"container,omitempty"` // whose it is
	Epoch      uint64 `json:"epoch,omitempty"`     // of a snapshot that has it
	Object     string `json:"object,omitempty"`    // the first object that has lost keys
	LastObject string `json:"last_object,omitempty"`
	Low        []byte `json:"low,omitempty"`  // the keys of one object that are lost: Low <= key < High
	High       []byte `json:"high,omitempty"` // empty: no bound
}

// ContainerType is the layout of a container: "KV", "PYTHON", "POSIX", "HDF5", "UNKNOWN".
type ContainerType string

// The types of containers.
const (
	TypeUnknown ContainerType = "UNKNOWN"
	TypePOSIX   ContainerType = "POSIX"
	TypeHDF5    ContainerType = "HDF5"
	TypePython  ContainerType = "PYTHON"
	TypeKV      ContainerType = "KV"
)

// Durability is when a change of a container's objects is acknowledged: when it is durable, or when it is applied. A relaxed change
// is durable a tenth of a second later: a crash may lose the changes of that time, in order (no later one survives an earlier one's
// loss), and Sync waits for what came before. Whatever is durable, all that was applied before it in the pool is too.
type Durability string

// The durabilities.
const (
	Durable Durability = "durable"
	Relaxed Durability = "relaxed"
)

// Properties are the typed properties of a container. A nil field is not set, or not to be changed.
type Properties struct {
	Owner       *string     `json:"owner,omitempty"`
	Group       *string     `json:"group,omitempty"` // the owner's
	Description *string     `json:"description,omitempty"`
	ValueMax    *uint64     `json:"value_max,omitempty"` // largest value in bytes
	Durability  *Durability `json:"durability,omitempty"`
}

// CreateContainer says what a new container is like.
type CreateContainer struct {
	Type       ContainerType // "": KV
	Properties Properties
}

// ContainerInfo describes a container.
type ContainerInfo struct {
	UUID        string        `json:"uuid"`
	Label       string        `json:"label"`
	Type        ContainerType `json:"type"`
	Created     time.Time     `json:"created"`
	OpenHandles uint32        `json:"open_handles"`
	Objects     uint64        `json:"objects"`
	ValueMax    uint64        `json:"value_max"`
	Owner       string        `json:"owner"`
	Group       string        `json:"group,omitempty"` // the owner's
	Description string        `json:"description"`
	Durability  Durability    `json:"durability,omitempty"` // "": not known
	Snapshots   uint64        `json:"snapshots,omitempty"`
	Epoch       uint64        `json:"epoch,omitempty"` // of the snapshot that the handle is of; 0: the container as it is
}

// Container is an open container.
type Container interface {
	Info(ctx context.Context) (ContainerInfo, error)
	SetProperties(ctx context.Context, p Properties) error
	Objects(ctx context.Context, after string) iter.Seq2[ObjectInfo, error] // in the order of their names, those after one; "": all
	CreateObject(ctx context.Context, name string) (ObjectInfo, error)
	Object(ctx context.Context, name string) (ObjectInfo, error)
	// RenameObject gives an object another name, at one moment. EXIST when there is an object of the new name. What is open in this process
	// goes on with the object; over a gateway a KV is of the name that it was opened by. Watches go on in both.
	RenameObject(ctx context.Context, name, to string) error
	DestroyObject(ctx context.Context, name string) error
	OpenKV(ctx context.Context, name string, create bool) (KV, error)
	Sync(ctx context.Context) error // everything acknowledged so far is durable
	// CreateSnapshot keeps the container as it is now, and returns the snapshot's epoch. name is unique in the container, or "".
	CreateSnapshot(ctx context.Context, name string) (uint64, error)
	Snapshots(ctx context.Context) ([]SnapshotInfo, error) // in the order of their epochs
	DestroySnapshot(ctx context.Context, epoch uint64) error
	// OpenSnapshot opens the container as it was, for reading: every change is EP_RO.
	OpenSnapshot(ctx context.Context, at SnapshotRef) (Container, error)
	AccessControl
	Attributes
	io.Closer
}

// Noter is what a container of this process has beside: its notes, an object without a name, which no listing has. A batch of any object of
// the container can put notes in the same instant (Mutation.Note). Who serves others keeps there what they must not do twice.
type Noter interface {
	OpenNotes(ctx context.Context) (KV, error)
}

// SnapshotRef names a snapshot of a container: the one of that name, or, without a name, of that epoch.
type SnapshotRef struct {
	Name  string
	Epoch uint64
}

// String is the snapshot as it is typed: its name, or "@" and its epoch.
func (r SnapshotRef) String() string {
	if r.Name != "" {
		return r.Name
	}
	return "@" + strconv.FormatUint(r.Epoch, 10)
}

// SnapshotInfo describes a snapshot.
type SnapshotInfo struct {
	Epoch   uint64    `json:"epoch"`
	Name    string    `json:"name"` // "": it has none
	Created time.Time `json:"created"`
}

// ObjectInfo describes a named object.
type ObjectInfo struct {
	Name string `json:"name"`
	OID  string `json:"oid"` // "hi.lo" in decimal
	Type string `json:"type"`
}

// Cond is the condition of a change. Without one the change is unconditional.
type Cond int

// The conditions.
const (
	CondNone     Cond = iota
	CondInsert        // only when the key is absent: else EXIST
	CondUpdate        // only when the key is there: else NONEXIST
	CondRevision      // only when Mutation.Revision is the key's (0: absent): else TX_RESTART; batches only
)

// Stat is what is known of a value without reading it.
type Stat struct {
	Size     uint64 `json:"size"`
	Revision uint64 `json:"revision"`
}

// Range is a range of keys: those that begin with Prefix, are >= Start (> Start with After) and < End, in order. An empty part does
// not bound. The zero Range is all keys.
type Range struct {
	Prefix, Start, End []byte
	After              bool
	Reverse            bool // descending
	KeysOnly           bool
	Limit              uint64 // at most so many entries; 0: all
}

// Entry is one key of a listing. Value is nil, and Omitted true, when only keys were asked for, or the value is longer than
// ListValueMax: then Get or Reader fetches it. Key and Value are the caller's.
type Entry struct {
	Key, Value []byte
	Size       uint64
	Revision   uint64
	Omitted    bool
}

// Mutation is one change of a batch: a put, with Delete a deletion, with Check nothing but its condition, with Note a put of a note of the
// container (see Noter): elsewhere than in this process that is NOTSUPPORTED.
type Mutation struct {
	Key, Value []byte
	Delete     bool
	Check      bool
	Note       bool
	Cond       Cond
	Revision   uint64
}

// KV is an open key-value object. Keys are ordered bytewise.
type KV interface {
	Get(ctx context.Context, key []byte) ([]byte, error)
	// GetInto copies the value into dst and returns its size. When dst is too small the error is REC2BIG, with the size.
	GetInto(ctx context.Context, key, dst []byte) (int, error)
	// GetMany reads many values at once, each with its own result, in the order of the keys. They are not one view: another change may
	// come between two of them. INVAL with more than BatchMax keys.
	GetMany(ctx context.Context, keys [][]byte) ([]Value, error)
	Put(ctx context.Context, key, val []byte, cond ...Cond) error
	Delete(ctx context.Context, key []byte, cond ...Cond) error
	Exists(ctx context.Context, key []byte) (bool, error)
	Stat(ctx context.Context, key []byte) (Stat, error)
	Count(ctx context.Context, r Range) (uint64, error)
	List(ctx context.Context, r Range) iter.Seq2[Entry, error]
	// Apply makes all the changes or none. When a condition fails the error is a *errno.Error with its Index set.
	Apply(ctx context.Context, batch []Mutation) error
	DeleteRange(ctx context.Context, r Range) (uint64, error)
	// Reader reads the value as it is now, whatever changes later.
	Reader(ctx context.Context, key []byte) (Reader, error)
	// Writer writes a value of any size; it is visible, whole, after Commit only.
	Writer(ctx context.Context, key []byte, cond ...Cond) (Writer, error)
	io.Closer
}

// Value is the result of one key of GetMany: its value, or why there is none.
type Value struct {
	Data []byte
	Err  error
}

// Reader reads one value.
type Reader interface {
	io.ReadCloser
	Stat() Stat
}

// Writer writes one value. Close without Commit leaves nothing.
type Writer interface {
	io.WriteCloser
	Commit(ctx context.Context) error
}
