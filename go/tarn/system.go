// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"errors"
	"log/slog"
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Options says how a system is opened. The zero value of a field is its default.
type Options struct {
	Root       string       // "": $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn
	Devices    []string     // URIs or paths of devices that hold pools, beside the root directory
	CacheBytes uint64       // memory of each pool for cached and dirty pages; 0: 256 MiB
	Logger     *slog.Logger // takes the library's messages; nil: nobody does
}

// System is where pools are found: a root directory, and devices beside it.
type System struct {
	object
	c *C.tarn_system
}

// core is what all handles of a system share.
type core struct {
	slots   *slots
	buffers buffers
	logger  *slog.Logger
	cache   uint64
}

// Open opens the system of a root directory, with the default options. The directory is made when it is missing.
// Errors: as OpenWith.
func Open(root string) (*System, error) { return OpenWith(Options{Root: root}) }

// OpenWith opens a system. Errors: BADPATH, NOTDIR, NO_PERM, INVAL (a zero byte in a path), MISC (no file descriptor is left).
//
// Implements: int tarn_system_open(const char *, const char *const *, size_t, tarn_system **)
func OpenWith(o Options) (*System, error) {
	c, err := openSystem(o)
	if err != nil {
		return nil, err
	}
	core, err := openCore(o)
	if err != nil {
		C.tarn_system_close(c)
		return nil, err
	}
	s := &System{c: c}
	s.h = newHandle(core, nil, "system", C.GoString(C.tarn_system_root(c)), func() error { return closeSystem(c, core) })
	watch(s, s.h)
	return s, nil
}

func openSystem(o Options) (*C.tarn_system, error) {
	const op = "system open"
	var names cstrings
	defer names.free()
	var root *C.char
	var err error
	if o.Root != "" {
		if root, err = names.add(op, o.Root); err != nil {
			return nil, err
		}
	}
	mem, err := alloc(op, o.Root, uintptr(len(o.Devices))*unsafe.Sizeof(root))
	if err != nil {
		return nil, err
	}
	defer C.free(mem)
	devices := unsafe.Slice((**C.char)(mem), len(o.Devices))
	for i, d := range o.Devices {
		if devices[i], err = names.add(op, d); err != nil {
			return nil, err
		}
	}
	var sys *C.tarn_system
	err = direct(op, o.Root, func() C.int {
		return C.tarn_system_open(root, (**C.char)(mem), C.size_t(len(o.Devices)), &sys)
	})
	return sys, err
}

func openCore(o Options) (*core, error) {
	c := &core{logger: o.Logger, cache: o.CacheBytes}
	if c.logger == nil {
		c.logger = discard
	}
	if err := messages.add(c.logger); err != nil {
		return nil, &errno.Error{Op: "system open", Ref: o.Root, Code: errno.Misc, Message: "no pipe for the log: " + err.Error(),
			Index: -1, Err: err}
	}
	var err error
	if c.slots, err = openSlots(); err != nil {
		messages.remove(c.logger)
	}
	return c, err
}

// closeSystem closes the system in C, which may refuse, and then what Go holds for it.
func closeSystem(c *C.tarn_system, core *core) error {
	if err := direct("system close", "", func() C.int { return C.tarn_system_close(c) }); err != nil {
		return err
	}
	err := core.slots.close()
	core.buffers.close()
	messages.remove(core.logger)
	return err
}

// InFlight is the number of operations that have been given to C and have not been answered. Any goroutine may call; it does not
// block.
func (s *System) InFlight() int { return s.h.core.slots.taken() }

// Root is the root directory.
func (s *System) Root() string { return s.h.ref }

// Pools describes the pools of the system in the order of their labels. A pool that cannot be read is left out, and logged. Errors: those
// of any call.
//
// Implements: int tarn_pool_list(tarn_system *, tarn_pool_info *, size_t *, tarn_event *)
func (s *System) Pools(ctx context.Context) ([]PoolInfo, error) {
	sl, err := s.begin(ctx, "pool list")
	if err != nil {
		return nil, err
	}
	defer s.end(sl)
	return listInfos(ctx, sl, poolInfo, func(infos *C.tarn_pool_info, count *C.size_t) C.int {
		return C.tarn_pool_list(s.c, infos, count, &sl.c.ev)
	})
}

// listInfos runs one of C's lists that fill an array: with room for some first, then for as many as there were.
func listInfos[C1, G any](ctx context.Context, s *slot, convert func(*C1) G, list func(*C1, *C.size_t) C.int) ([]G, error) {
	for room := 16; ; room = int(s.c.len) + 16 {
		var zero C1
		mem, err := alloc(s.op, s.ref, uintptr(room)*unsafe.Sizeof(zero))
		if err != nil {
			return nil, err
		}
		s.c.len = C.size_t(room)
		err = s.wait(ctx, list((*C1)(mem), &s.c.len))
		infos := make([]G, 0, room)
		for i := 0; err == nil && i < int(s.c.len); i++ {
			infos = append(infos, convert(&unsafe.Slice((*C1)(mem), room)[i]))
		}
		C.free(mem)
		if errno.CodeOf(err) != errno.Trunc {
			return infos, err
		}
	}
}

// CreatePool makes a pool. Errors: EXIST (the label is taken, or the device holds data), INVAL, NOSPACE, BUSY, IO, NO_PERM.
//
// Implements: int tarn_pool_create(tarn_system *, const char *, const tarn_pool_params *, tarn_uuid *, tarn_event *)
func (s *System) CreatePool(ctx context.Context, label string, opts CreatePool) (PoolInfo, error) {
	uuid, err := s.createPool(ctx, label, opts)
	if err != nil {
		return PoolInfo{}, err
	}
	if err := s.setOwner(ctx, uuid, opts); err != nil {
		return PoolInfo{}, err
	}
	pools, err := s.Pools(ctx)
	for _, p := range pools {
		if p.UUID == uuid {
			return p, nil
		}
	}
	if err == nil {
		err = errno.New("pool create", label, errno.NonExist, "the pool was made, but is not there any more")
	}
	return PoolInfo{}, err
}

// setOwner sets the owner of a new pool. A crash before it leaves a pool without one.
func (s *System) setOwner(ctx context.Context, uuid string, opts CreatePool) (err error) {
	if opts.Owner == "" && opts.Group == "" {
		return nil
	}
	p, err := s.OpenPool(ctx, uuid)
	if err != nil {
		return err
	}
	return errors.Join(p.SetOwner(ctx, &opts.Owner, &opts.Group), p.Close())
}

func (s *System) createPool(ctx context.Context, label string, opts CreatePool) (string, error) {
	sl, err := s.begin(ctx, "pool create")
	if err != nil {
		return "", err
	}
	defer s.end(sl)
	sl.ref = label
	var names cstrings
	defer names.free()
	name, err := names.add(sl.op, label)
	if err != nil {
		return "", err
	}
	params := (*C.tarn_pool_params)(sl.data())
	*params = C.tarn_pool_params{struct_size: C.sizeof_tarn_pool_params, size: C.uint64_t(opts.Size),
		log_bytes: C.uint64_t(opts.LogBytes), node_bytes: C.uint32_t(opts.NodeBytes)}
	for i, b := range opts.Request {
		params.request.bytes[i] = C.uint8_t(b)
	}
	if opts.Overwrite {
		params.flags |= C.TARN_POOL_OVERWRITE
	}
	if opts.Zeroed {
		params.flags |= C.TARN_POOL_ZEROED
	}
	if opts.Device != "" {
		if params.device, err = names.add(sl.op, opts.Device); err != nil {
			return "", err
		}
	}
	report, err := newReport(sl, 0)
	if err != nil {
		return "", err
	}
	defer C.go_report_free(report)
	C.go_report_creation(report, params)
	stop := follow(report, opts.Progress)
	err = sl.wait(ctx, C.tarn_pool_create(s.c, name, params, &sl.c.uuid, &sl.c.ev))
	stop()
	return uuidText(&sl.c.uuid), err
}

// DestroyPool removes a pool. Errors: NONEXIST, BUSY (open, or it holds containers and force is not set).
//
// Implements: int tarn_pool_destroy(tarn_system *, const char *, unsigned, tarn_event *)
func (s *System) DestroyPool(ctx context.Context, labelOrUUID string, force bool) error {
	sl, err := s.begin(ctx, "pool destroy")
	if err != nil {
		return err
	}
	defer s.end(sl)
	sl.ref = labelOrUUID
	var names cstrings
	defer names.free()
	name, err := names.add(sl.op, labelOrUUID)
	if err != nil {
		return err
	}
	return sl.wait(ctx, C.tarn_pool_destroy(s.c, name, destroyFlags(force), &sl.c.ev))
}

func destroyFlags(force bool) C.uint {
	if force {
		return C.TARN_DESTROY_FORCE
	}
	return 0
}

func uuidText(u *C.tarn_uuid) string {
	var text [37]C.char
	C.tarn_uuid_format(u, &text[0])
	return C.GoString(&text[0])
}
