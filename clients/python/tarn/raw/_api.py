# SPDX-License-Identifier: Apache-2.0
"""Tarn's C API as ctypes has it: the constants, structs, callbacks and functions of c/include/tarn, with their names there.

Made by clients/python/gen/generate.py from the headers: do not edit. Nothing here loads the library: tarn.raw.lib does, and has the
functions.
"""
# pylint: disable=all
import enum
from ctypes import (CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint,
                    c_uint16, c_uint32, c_uint64, c_uint8, c_void_p)
from typing import Any

# ---- structs; their fields are below ----


class tarn_access(Structure):
    """struct tarn_access."""


class tarn_attr(Structure):
    """struct tarn_attr."""


class tarn_buf(Structure):
    """Bytes lent to a call. len 0 with ptr NULL is the empty string."""


class tarn_changes(Structure):
    """struct tarn_changes."""


class tarn_check_options(Structure):
    """found() and progress() are called on a thread of the library or of the caller's, one at a time, before the result
    arrives; either may be NULL. They call nothing of the library.
    """


class tarn_check_result(Structure):
    """struct tarn_check_result."""


class tarn_cont(Structure):
    """Its fields are the library's own."""


class tarn_cont_info(Structure):
    """struct tarn_cont_info."""


class tarn_dev(Structure):
    """Its fields are the library's own."""


class tarn_dev_info(Structure):
    """No more than struct_size are written; bytes behind the fields that this library knows become 0."""


class tarn_dev_io(Structure):
    """Zero it, or set every field of the upper part, before a submit."""


class tarn_dev_options(Structure):
    """Unknown flags are INVAL, and so are bytes behind the fields that this library knows which are not 0, and create_bytes
    without TARN_DEV_CREATE. A field that lies behind struct_size is taken as 0. A backend that the device does not have is
    INVAL, and one that is refused here NOTSUPPORTED.
    """


class tarn_dev_queue(Structure):
    """Its fields are the library's own."""


class tarn_dev_queue_info(Structure):
    """struct tarn_dev_queue_info."""


class tarn_dev_queue_options(Structure):
    """struct tarn_dev_queue_options."""


class tarn_dev_vec(Structure):
    """A piece of memory; laid out as struct iovec."""


class tarn_dev_zone(Structure):
    """struct tarn_dev_zone."""


class tarn_entry(Structure):
    """One entry of a listing: this header, the key, then the value when flags has no TARN_ENTRY_OMITTED; the next entry begins
    at the next multiple of 8 bytes.
    """


class tarn_eq(Structure):
    """Its fields are the library's own."""


class tarn_event(Structure):
    """struct tarn_event."""


class tarn_finding(Structure):
    """A piece of damage. Its memory is the library's, and lent for the call of found()."""


class tarn_get(Structure):
    """struct tarn_get."""


class tarn_kv(Structure):
    """Its fields are the library's own."""


class tarn_kv_stat(Structure):
    """struct tarn_kv_stat."""


class tarn_kvdev(Structure):
    """Its fields are the library's own."""


class tarn_kvdev_info(Structure):
    """struct tarn_kvdev_info."""


class tarn_listing(Structure):
    """struct tarn_listing."""


class tarn_mutation(Structure):
    """struct tarn_mutation."""


class tarn_nvme(Structure):
    """Its fields are the library's own."""


class tarn_nvme_controller(Structure):
    """[5.17.2.1, Identify Controller]"""


class tarn_nvme_error(Structure):
    """[Get Log Page, Error Information, 01h]"""


class tarn_nvme_firmware(Structure):
    """[Get Log Page, Firmware Slot Information, 03h]"""


class tarn_nvme_format(Structure):
    """struct tarn_nvme_format."""


class tarn_nvme_health(Structure):
    """[Get Log Page, SMART / Health Information, 02h]"""


class tarn_nvme_namespace(Structure):
    """[Identify Namespace of the NVM Command Set; ZNS Command Set 1.1, 4.1.5.1]"""


class tarn_object_info(Structure):
    """struct tarn_object_info."""


class tarn_pool(Structure):
    """Its fields are the library's own."""


class tarn_pool_info(Structure):
    """struct tarn_pool_info."""


class tarn_pool_options(Structure):
    """struct tarn_pool_options."""


class tarn_pool_params(Structure):
    """struct tarn_pool_params."""


class tarn_prop(Structure):
    """struct tarn_prop."""


class tarn_range(Structure):
    """A range of keys: those that begin with prefix, are >= start (> start with TARN_RANGE_AFTER) and < end. An empty part
    does not bound. With TARN_RANGE_REVERSE the order is descending: from just below end down to start.
    """


class tarn_reader(Structure):
    """Its fields are the library's own."""


class tarn_snap_info(Structure):
    """struct tarn_snap_info."""


class tarn_system(Structure):
    """where pools are found"""


class tarn_uuid(Structure):
    """struct tarn_uuid."""


class tarn_watch(Structure):
    """Its fields are the library's own."""


class tarn_writer(Structure):
    """A value in pieces, for values too large to hold in memory. A writer's bytes are visible, whole, only after its commit;
    an abort or a crash before that leaves nothing. One thread at a time uses a writer or reader, and one call of it runs at
    a time: else BUSY.
    """


# ---- tarn/types.h ----

TARN_VERSION_MAJOR = 0
TARN_VERSION_MINOR = 1
TARN_VERSION_PATCH = 0
# a key has 1 to this many bytes, of any value: KEY2BIG above
TARN_KEY_MAX = 65536
# a value has 0 to this many bytes: REC2BIG above
TARN_VALUE_MAX = 4294967296
# a label has 1 to this many of [A-Za-z0-9.:_-] and is not a UUID: INVAL
TARN_LABEL_MAX = 127
# an object's name has 1 to this many bytes, no NUL and no '/'
TARN_OBJECT_NAME_MAX = 255
# the smallest pool
TARN_POOL_SIZE_MIN = 4194304
# mutations in one batch: INVAL above
TARN_BATCH_MAX = 65536
# the sentence of an error, NUL included
TARN_MESSAGE_MAX = 256

tarn_buf._fields_ = [
    ("ptr", c_void_p),
    ("len", c_size_t),
]

tarn_uuid._fields_ = [
    ("bytes", c_uint8 * 16),
]


# ---- tarn/cont.h ----

TARN_RELAXED_MS = 100
TARN_CONT_RDONLY = 1


class tarn_cont_type(enum.IntEnum):
    """DAOS's layout types and their numbers. KV is Tarn's own."""
    TARN_CONT_UNKNOWN = 0
    TARN_CONT_POSIX = 1
    TARN_CONT_HDF5 = 2
    TARN_CONT_PYTHON = 3
    TARN_CONT_KV = 100


TARN_CONT_UNKNOWN = tarn_cont_type.TARN_CONT_UNKNOWN
TARN_CONT_POSIX = tarn_cont_type.TARN_CONT_POSIX
TARN_CONT_HDF5 = tarn_cont_type.TARN_CONT_HDF5
TARN_CONT_PYTHON = tarn_cont_type.TARN_CONT_PYTHON
TARN_CONT_KV = tarn_cont_type.TARN_CONT_KV


class tarn_prop_id(enum.IntEnum):
    """Typed properties. A property that was never set has its default."""
    # string; default: the creating user's name
    TARN_PROP_OWNER = 1
    # string of at most 1023 bytes; default ""
    TARN_PROP_DESCRIPTION = 2
    # number: largest value in bytes, enforced with REC2BIG; default TARN_VALUE_MAX
    TARN_PROP_VALUE_MAX = 3
    # number: a tarn_durability; default TARN_DURABILITY_DURABLE
    TARN_PROP_DURABILITY = 4
    # string: the owner's group; default ""
    TARN_PROP_GROUP = 5


TARN_PROP_OWNER = tarn_prop_id.TARN_PROP_OWNER
TARN_PROP_DESCRIPTION = tarn_prop_id.TARN_PROP_DESCRIPTION
TARN_PROP_VALUE_MAX = tarn_prop_id.TARN_PROP_VALUE_MAX
TARN_PROP_DURABILITY = tarn_prop_id.TARN_PROP_DURABILITY
TARN_PROP_GROUP = tarn_prop_id.TARN_PROP_GROUP


class tarn_durability(enum.IntEnum):
    """When a change of a container's objects is acknowledged: when it is durable, or (RELAXED) when it is applied. Then it is
    durable at the latest TARN_RELAXED_MS later, or when tarn_cont_sync() has returned 0: a crash may lose acknowledged
    changes of that time, in order (no later one survives an earlier one's loss), and each whole. There is one order in a
    pool: whatever is durable, all that was applied before it is too. When more than 16 MiB have gathered, a change waits
    for the log. When the log cannot be written, the pool is read-only: the next change (EP_RO), tarn_cont_sync() and the
    pool's last close say so.
    """
    TARN_DURABILITY_DURABLE = 0
    TARN_DURABILITY_RELAXED = 1


TARN_DURABILITY_DURABLE = tarn_durability.TARN_DURABILITY_DURABLE
TARN_DURABILITY_RELAXED = tarn_durability.TARN_DURABILITY_RELAXED

tarn_prop._fields_ = [
    ("id", c_uint),
    # of a number property
    ("number", c_uint64),
    # of a string property
    ("string", c_char_p),
]

tarn_cont_info._fields_ = [
    ("uuid", tarn_uuid),
    ("label", c_char * 128),
    ("type", c_uint),
    # of it and of its snapshots
    ("open_handles", c_uint32),
    # since 1970, UTC
    ("created_ns", c_uint64),
    # number of them
    ("objects", c_uint64),
    ("value_max", c_uint64),
    ("owner", c_char * 256),
    ("description", c_char * 1024),
    ("durability", c_uint),
    # number of them
    ("snapshots", c_uint64),
    # of the snapshot that the handle is of; 0: the container as it is
    ("epoch", c_uint64),
    ("group", c_char * 256),
]

tarn_object_info._fields_ = [
    ("name", c_char * 256),
    # its id in the container
    ("oid_hi", c_uint64),
    # its id in the container
    ("oid_lo", c_uint64),
    # DAOS's object type; KV_LEXICAL is 10
    ("type", c_uint32),
]


# ---- tarn/acl.h ----

# bytes of a list, with its NUL
TARN_ACL_MAX = 65536
# bytes of a principal, with its '@'
TARN_PRINCIPAL_MAX = 255


class tarn_acl_kind(enum.IntEnum):
    """enum tarn_acl_kind of tarn/acl.h."""
    TARN_ACL_POOL = 1
    TARN_ACL_CONT = 2


TARN_ACL_POOL = tarn_acl_kind.TARN_ACL_POOL
TARN_ACL_CONT = tarn_acl_kind.TARN_ACL_CONT

tarn_access._fields_ = [
    # "": none
    ("owner", c_char * 256),
    # "": none
    ("group", c_char * 256),
    # there is a list
    ("is_set", c_int),
    # in: where the list goes, the caller's
    ("acl", POINTER(c_char)),
    # in: the room there; out: the bytes that the list takes, with its NUL
    ("len", c_size_t),
]


# ---- tarn/kv.h ----

# make the object when there is none of that name
TARN_KV_CREATE = 1
# changes through this handle are refused with EP_RO
TARN_KV_RDONLY = 2
# the container's notes; name is NULL, nothing need be made
TARN_KV_NOTES = 4
# start itself is left out
TARN_RANGE_AFTER = 1
TARN_RANGE_REVERSE = 4
TARN_RANGE_KEYS_ONLY = 8
# keys only, or the value is over TARN_LIST_VALUE_MAX or larger than the whole buffer
TARN_ENTRY_OMITTED = 1
TARN_LIST_VALUE_MAX = 65536


class tarn_cond(enum.IntEnum):
    """enum tarn_cond of tarn/kv.h."""
    TARN_COND_NONE = 0
    # only when the key is absent: else EXIST
    TARN_COND_INSERT = 1
    # only when the key is there: else NONEXIST
    TARN_COND_UPDATE = 2
    # only when its revision is the given one: else TX_RESTART (batches only)
    TARN_COND_REVISION = 3


TARN_COND_NONE = tarn_cond.TARN_COND_NONE
TARN_COND_INSERT = tarn_cond.TARN_COND_INSERT
TARN_COND_UPDATE = tarn_cond.TARN_COND_UPDATE
TARN_COND_REVISION = tarn_cond.TARN_COND_REVISION


class tarn_change(enum.IntEnum):
    """enum tarn_change of tarn/kv.h."""
    TARN_CHANGE_PUT = 0
    # val is ignored
    TARN_CHANGE_DEL = 1
    # only the condition, nothing is changed; val is ignored
    TARN_CHANGE_CHECK = 2
    # a put of a note of the container: key, val and cond are of its notes, see TARN_KV_NOTES
    TARN_CHANGE_NOTE = 3


TARN_CHANGE_PUT = tarn_change.TARN_CHANGE_PUT
TARN_CHANGE_DEL = tarn_change.TARN_CHANGE_DEL
TARN_CHANGE_CHECK = tarn_change.TARN_CHANGE_CHECK
TARN_CHANGE_NOTE = tarn_change.TARN_CHANGE_NOTE

tarn_get._fields_ = [
    ("key", tarn_buf),
    # may be NULL: only the size is asked for
    ("buf", c_void_p),
    # room in buf, then the size of the value
    ("len", c_size_t),
    # out: 0, or why there is no value: as tarn_kv_get(); INVAL, KEY2BIG (the key)
    ("rc", c_int),
]

tarn_kv_stat._fields_ = [
    # of the value
    ("size", c_uint64),
    # grows with every change in the pool
    ("revision", c_uint64),
]

tarn_range._fields_ = [
    ("prefix", tarn_buf),
    ("start", tarn_buf),
    ("end", tarn_buf),
    ("flags", c_uint32),
]

tarn_entry._fields_ = [
    ("key_len", c_uint32),
    ("flags", c_uint32),
    # of the value, also when it is left out
    ("val_len", c_uint64),
    ("revision", c_uint64),
]

tarn_listing._fields_ = [
    # entries in the buffer
    ("count", c_uint32),
    # 1: the range goes on after the last of them
    ("more", c_uint32),
    # bytes of the buffer
    ("used", c_size_t),
]

tarn_mutation._fields_ = [
    ("key", tarn_buf),
    ("val", tarn_buf),
    ("cond", c_uint),
    ("change", c_uint),
    # for TARN_COND_REVISION; 0 means that the key must be absent
    ("revision", c_uint64),
]


# ---- tarn/attr.h ----

# a name has 1 to this many bytes of UTF-8
TARN_ATTR_NAME_MAX = 511
# a value has 1 to this many bytes
TARN_ATTR_VALUE_MAX = 65536
# attributes in one call
TARN_ATTR_SET_MAX = 1024
# all of a pool's, or of a container's; each counts its name, its value and 64 bytes
TARN_ATTR_ALL_MAX = 1048576
# bytes that always hold one
TARN_ATTR_LIST_MIN = 66560

tarn_attr._fields_ = [
    ("name", c_char_p),
    # empty: there is to be none of that name
    ("value", tarn_buf),
]


# ---- tarn/dev.h ----

# open for writing too; without it writes are refused with EP_RO
TARN_DEV_RDWR = 1
# make a regular file of create_bytes: EXIST when there is one; with RDWR only
TARN_DEV_CREATE = 2
# hold it: BUSY, naming the holder, when it is mounted or somebody else holds it
TARN_DEV_EXCLUSIVE = 4
# no fallback of any kind: NOTSUPPORTED instead, saying what and why
TARN_DEV_STRICT = 8
# a file or block device through the page cache; without it O_DIRECT is tried first
TARN_DEV_BUFFERED = 16
# misaligned I/O is done through an aligned buffer: see below
TARN_DEV_BOUNCE = 32
TARN_DEV_VEC_MAX = 1024
# of a write: on the medium, so that it survives a power cut, when it returns 0
TARN_DEV_DURABLE = 1
TARN_DEV_HUGE = 1

tarn_dev_options._fields_ = [
    # sizeof(tarn_dev_options)
    ("struct_size", c_size_t),
    # TARN_DEV_...
    ("flags", c_uint32),
    # with TARN_DEV_CREATE
    ("create_bytes", c_uint64),
    # "io_uring", "threads"; for nvme: "io_uring_cmd", "ioctl". NULL: $TARN_BACKEND, or the best
    ("backend", c_char_p),
]

tarn_dev_info._fields_ = [
    # set by the caller: sizeof(tarn_dev_info)
    ("struct_size", c_size_t),
    ("uri", c_char * 256),
    # "file", "block", "nvme" (namespace), "nvme-ctrl", "mem", "sim"
    ("kind", c_char * 16),
    # the kernel's: "nvme", "virtio_blk", "loop", "null_blk"; "" when there is none
    ("driver", c_char * 32),
    # when the kernel tells; else ""
    ("model", c_char * 64),
    # the same
    ("serial", c_char * 64),
    # what does the I/O: "io_uring", "threads", "io_uring_cmd", "ioctl", "mem", "sim"
    ("backend", c_char * 16),
    # what was not to be had, and why; else ""
    ("note", c_char * 128),
    # the URI of the same namespace as the other kind of node; "" when there is none
    ("twin", c_char * 64),
    # bytes
    ("size", c_uint64),
    # bytes
    ("logical_block", c_uint32),
    # bytes
    ("physical_block", c_uint32),
    # bytes, of buffers
    ("memory_alignment", c_uint32),
    # bytes, of offsets and lengths
    ("offset_alignment", c_uint32),
    # bytes in one command; a call that waits splits, a queue refuses more
    ("max_transfer", c_uint32),
    # bytes; 0: not known
    ("optimal_io", c_uint32),
    # bytes that a power cut cannot tear; 0: not known
    ("atomic_write", c_uint32),
    # 1: past the page cache
    ("direct", c_uint32),
    # 1: a flush is needed for durability; 0: the device says that it has no volatile cache
    ("volatile_cache", c_uint32),
    # 1: a spinning disk
    ("rotational", c_uint32),
    # 1: it cannot be written; of an open device also: it was opened for reading
    ("readonly", c_uint32),
    # 1: mounted, or held by another user
    ("in_use", c_uint32),
    # of an NVMe namespace; else 0
    ("nsid", c_uint32),
    # NVMe command set: 0 NVM, 1 KV, 2 zoned
    ("csi", c_uint32),
    # 1: see dev_zone.h
    ("zoned", c_uint32),
    # 0: no limit
    ("max_open_zones", c_uint32),
    # 0: no limit
    ("max_active_zones", c_uint32),
    ("zone_count", c_uint32),
    ("zone_bytes", c_uint64),
    # I/Os that were done through a bounce buffer since the open
    ("bounced", c_uint64),
]

tarn_dev_vec._fields_ = [
    ("ptr", c_void_p),
    ("len", c_size_t),
]


# ---- tarn/dev_queue.h ----

# as there; of WRITE only
TARN_DEV_IO_DURABLE = 1
# buf is an array of vec_count tarn_dev_vec, whose lengths add up to len; READ, WRITE
TARN_DEV_IO_VECTOR = 2
# buf lies in a registered buffer, that with the index `fixed`; READ, WRITE, not VECTOR
TARN_DEV_IO_FIXED = 4
# one thread at a time uses the queue
TARN_DEV_QUEUE_SINGLE = 1
TARN_DEV_QUEUE_IOPOLL = 2
# a kernel thread submits: no system call to submit, and a core that it may use
TARN_DEV_QUEUE_SQPOLL = 4


class tarn_dev_opcode(enum.IntEnum):
    """enum tarn_dev_opcode of tarn/dev_queue.h."""
    TARN_DEV_READ = 0
    TARN_DEV_WRITE = 1
    TARN_DEV_FLUSH = 2
    TARN_DEV_DISCARD = 3
    TARN_DEV_WRITE_ZEROES = 4
    TARN_DEV_COMPARE = 5
    # offset: of the zone; then where the data stands
    TARN_DEV_ZONE_APPEND = 6
    # completes, and does nothing else
    TARN_DEV_NOP = 7


TARN_DEV_READ = tarn_dev_opcode.TARN_DEV_READ
TARN_DEV_WRITE = tarn_dev_opcode.TARN_DEV_WRITE
TARN_DEV_FLUSH = tarn_dev_opcode.TARN_DEV_FLUSH
TARN_DEV_DISCARD = tarn_dev_opcode.TARN_DEV_DISCARD
TARN_DEV_WRITE_ZEROES = tarn_dev_opcode.TARN_DEV_WRITE_ZEROES
TARN_DEV_COMPARE = tarn_dev_opcode.TARN_DEV_COMPARE
TARN_DEV_ZONE_APPEND = tarn_dev_opcode.TARN_DEV_ZONE_APPEND
TARN_DEV_NOP = tarn_dev_opcode.TARN_DEV_NOP

tarn_dev_io._fields_ = [
    # tarn_dev_opcode
    ("opcode", c_uint8),
    # TARN_DEV_IO_...
    ("flags", c_uint8),
    ("fixed", c_uint16),
    ("vec_count", c_uint32),
    # bytes
    ("offset", c_uint64),
    # bytes; at most info.max_transfer where data moves; FLUSH, NOP: ignored
    ("len", c_uint64),
    ("buf", c_void_p),
    # the caller's
    ("tag", c_uint64),
    # set when it is reaped: 0 or negative: as the call of dev.h that waits; CANCELED
    ("rc", c_int32),
    ("reserved", c_uint32),
    # the sentence of a negative rc, else ""
    ("message", c_char * 96),
    # the queue's, while it is in flight
    ("opaque", c_void_p * 2),
]

tarn_dev_queue_options._fields_ = [
    # sizeof(tarn_dev_queue_options)
    ("struct_size", c_size_t),
    # TARN_DEV_QUEUE_...
    ("flags", c_uint32),
    # I/Os in flight: 1 to 4096
    ("depth", c_uint32),
]

tarn_dev_queue_info._fields_ = [
    # set by the caller
    ("struct_size", c_size_t),
    # what was really taken
    ("flags", c_uint32),
    ("depth", c_uint32),
    # submitted and not reaped
    ("in_flight", c_uint32),
    # registered buffers
    ("fixed_count", c_uint32),
    ("backend", c_char * 16),
    # what was not to be had, and why; else ""
    ("note", c_char * 128),
]


# ---- tarn/dev_zone.h ----



class tarn_dev_zone_type(enum.IntEnum):
    """The NVMe numbers of zone types and states."""
    TARN_ZONE_CONVENTIONAL = 1
    TARN_ZONE_SEQUENTIAL = 2
    TARN_ZONE_SEQUENTIAL_PREFERED = 3


TARN_ZONE_CONVENTIONAL = tarn_dev_zone_type.TARN_ZONE_CONVENTIONAL
TARN_ZONE_SEQUENTIAL = tarn_dev_zone_type.TARN_ZONE_SEQUENTIAL
TARN_ZONE_SEQUENTIAL_PREFERED = tarn_dev_zone_type.TARN_ZONE_SEQUENTIAL_PREFERED


class tarn_dev_zone_state(enum.IntEnum):
    """enum tarn_dev_zone_state of tarn/dev_zone.h."""
    TARN_ZONE_NOT_WRITE_POINTER = 0
    TARN_ZONE_EMPTY = 1
    TARN_ZONE_IMPLICITLY_OPEN = 2
    TARN_ZONE_EXPLICITLY_OPEN = 3
    TARN_ZONE_CLOSED = 4
    TARN_ZONE_READ_ONLY = 13
    TARN_ZONE_FULL = 14
    TARN_ZONE_OFFLINE = 15


TARN_ZONE_NOT_WRITE_POINTER = tarn_dev_zone_state.TARN_ZONE_NOT_WRITE_POINTER
TARN_ZONE_EMPTY = tarn_dev_zone_state.TARN_ZONE_EMPTY
TARN_ZONE_IMPLICITLY_OPEN = tarn_dev_zone_state.TARN_ZONE_IMPLICITLY_OPEN
TARN_ZONE_EXPLICITLY_OPEN = tarn_dev_zone_state.TARN_ZONE_EXPLICITLY_OPEN
TARN_ZONE_CLOSED = tarn_dev_zone_state.TARN_ZONE_CLOSED
TARN_ZONE_READ_ONLY = tarn_dev_zone_state.TARN_ZONE_READ_ONLY
TARN_ZONE_FULL = tarn_dev_zone_state.TARN_ZONE_FULL
TARN_ZONE_OFFLINE = tarn_dev_zone_state.TARN_ZONE_OFFLINE

tarn_dev_zone._fields_ = [
    # where it begins
    ("offset", c_uint64),
    # to the next zone
    ("bytes", c_uint64),
    # bytes that can be written, from offset on
    ("capacity", c_uint64),
    # the offset of the next write
    ("write_pointer", c_uint64),
    # tarn_dev_zone_type
    ("type", c_uint32),
    # tarn_dev_zone_state
    ("state", c_uint32),
]


# ---- tarn/errno.h ----



class tarn_errno(enum.IntEnum):
    """enum tarn_errno of tarn/errno.h."""
    TARN_OK = 0
    # the caller may not do this
    TARN_E_NO_PERM = 1001
    # the handle is closed or was never open
    TARN_E_NO_HDL = 1002
    # an argument is not valid
    TARN_E_INVAL = 1003
    # it exists already
    TARN_E_EXIST = 1004
    # it does not exist
    TARN_E_NONEXIST = 1005
    # the peer cannot be reached
    TARN_E_UNREACH = 1006
    # there is no space left
    TARN_E_NOSPACE = 1007
    # it has been done already
    TARN_E_ALREADY = 1008
    # there is no memory left
    TARN_E_NOMEM = 1009
    # the function does not exist here
    TARN_E_NOSYS = 1010
    # the time was up before the answer came
    TARN_E_TIMEDOUT = 1011
    # it is in use
    TARN_E_BUSY = 1012
    # not now: try again
    TARN_E_AGAIN = 1013
    # the two sides speak different versions
    TARN_E_PROTO = 1014
    # it has not been initialised
    TARN_E_UNINIT = 1015
    # the buffer is too small for all of it
    TARN_E_TRUNC = 1016
    # the number does not fit
    TARN_E_OVERFLOW = 1017
    # the operation was cancelled
    TARN_E_CANCELED = 1018
    # the network layer failed
    TARN_E_HG = 1020
    # an error without a better name
    TARN_E_MISC = 1025
    # the path is not valid
    TARN_E_BADPATH = 1026
    # it is not a directory
    TARN_E_NOTDIR = 1027
    # two things that must agree do not
    TARN_E_MISMATCH = 1031
    # refused: too many requests of one client
    TARN_E_DOS = 1034
    # the operation is not permitted here
    TARN_E_OP_NOT_PERMITTED = 1041
    # a quota is used up
    TARN_E_QUOTA_LIMIT = 1046
    # the device failed to read, write or flush
    TARN_E_IO = 2001
    # the entry does not exist
    TARN_E_ENOENT = 2003
    # the type is not known
    TARN_E_NOTYPE = 2004
    # the pool map is out of date
    TARN_E_STALE = 2007
    # it is not the leader: ask again
    TARN_E_NOTLEADER = 2008
    # it is read-only
    TARN_E_EP_RO = 2010
    # that epoch is no longer kept
    TARN_E_EP_OLD = 2011
    # the key is too long
    TARN_E_KEY2BIG = 2012
    # the value is too large
    TARN_E_REC2BIG = 2013
    # the buffers and the extents do not match
    TARN_E_IO_INVAL = 2014
    # the event queue is full
    TARN_E_EQ_BUSY = 2015
    # the service is going down
    TARN_E_SHUTDOWN = 2017
    # it is being done
    TARN_E_INPROGRESS = 2018
    # it does not apply to this
    TARN_E_NOTAPPLICABLE = 2019
    # what was read does not match its checksum
    TARN_E_CSUM = 2021
    # this is not a Tarn pool
    TARN_E_DF_INVAL = 2022
    # the format on disk is of a version that this library does not know
    TARN_E_DF_INCOMPT = 2023
    # the record size does not match
    TARN_E_REC_SIZE = 2024
    # the transaction lost a race: do it again
    TARN_E_TX_RESTART = 2025
    # data is lost
    TARN_E_DATA_LOSS = 2026
    # the operation was cancelled before it started
    TARN_E_OP_CANCELED = 2027
    # the transaction is being committed
    TARN_E_TX_BUSY = 2028
    # more failures than the redundancy can bear
    TARN_E_RF = 2031
    # the id is not the one that was expected
    TARN_E_ID_MISMATCH = 2035
    # it is not supported
    TARN_E_NOTSUPPORTED = 2037
    # the service is not running
    TARN_E_NO_SERVICE = 2039
    # the transaction id has been used before
    TARN_E_TX_ID_REUSED = 2040
    # the update lost a race: do it again
    TARN_E_UPDATE_AGAIN = 2041
    # the NVMe device answered with an error
    TARN_E_NVME_IO = 2042
    # there is no certificate
    TARN_E_NO_CERT = 2043
    # the certificate is not valid
    TARN_E_BAD_CERT = 2044
    # a checkpoint is running
    TARN_E_CHKPT_BUSY = 2046
    # too many requests: try again later
    TARN_E_OVERLOAD_RETRY = 2048
    # the container does not exist
    TARN_E_CONT_NONEXIST = 2050
    # the container is being destroyed
    TARN_E_CONT_DESTROYING = 2051


TARN_OK = tarn_errno.TARN_OK
TARN_E_NO_PERM = tarn_errno.TARN_E_NO_PERM
TARN_E_NO_HDL = tarn_errno.TARN_E_NO_HDL
TARN_E_INVAL = tarn_errno.TARN_E_INVAL
TARN_E_EXIST = tarn_errno.TARN_E_EXIST
TARN_E_NONEXIST = tarn_errno.TARN_E_NONEXIST
TARN_E_UNREACH = tarn_errno.TARN_E_UNREACH
TARN_E_NOSPACE = tarn_errno.TARN_E_NOSPACE
TARN_E_ALREADY = tarn_errno.TARN_E_ALREADY
TARN_E_NOMEM = tarn_errno.TARN_E_NOMEM
TARN_E_NOSYS = tarn_errno.TARN_E_NOSYS
TARN_E_TIMEDOUT = tarn_errno.TARN_E_TIMEDOUT
TARN_E_BUSY = tarn_errno.TARN_E_BUSY
TARN_E_AGAIN = tarn_errno.TARN_E_AGAIN
TARN_E_PROTO = tarn_errno.TARN_E_PROTO
TARN_E_UNINIT = tarn_errno.TARN_E_UNINIT
TARN_E_TRUNC = tarn_errno.TARN_E_TRUNC
TARN_E_OVERFLOW = tarn_errno.TARN_E_OVERFLOW
TARN_E_CANCELED = tarn_errno.TARN_E_CANCELED
TARN_E_HG = tarn_errno.TARN_E_HG
TARN_E_MISC = tarn_errno.TARN_E_MISC
TARN_E_BADPATH = tarn_errno.TARN_E_BADPATH
TARN_E_NOTDIR = tarn_errno.TARN_E_NOTDIR
TARN_E_MISMATCH = tarn_errno.TARN_E_MISMATCH
TARN_E_DOS = tarn_errno.TARN_E_DOS
TARN_E_OP_NOT_PERMITTED = tarn_errno.TARN_E_OP_NOT_PERMITTED
TARN_E_QUOTA_LIMIT = tarn_errno.TARN_E_QUOTA_LIMIT
TARN_E_IO = tarn_errno.TARN_E_IO
TARN_E_ENOENT = tarn_errno.TARN_E_ENOENT
TARN_E_NOTYPE = tarn_errno.TARN_E_NOTYPE
TARN_E_STALE = tarn_errno.TARN_E_STALE
TARN_E_NOTLEADER = tarn_errno.TARN_E_NOTLEADER
TARN_E_EP_RO = tarn_errno.TARN_E_EP_RO
TARN_E_EP_OLD = tarn_errno.TARN_E_EP_OLD
TARN_E_KEY2BIG = tarn_errno.TARN_E_KEY2BIG
TARN_E_REC2BIG = tarn_errno.TARN_E_REC2BIG
TARN_E_IO_INVAL = tarn_errno.TARN_E_IO_INVAL
TARN_E_EQ_BUSY = tarn_errno.TARN_E_EQ_BUSY
TARN_E_SHUTDOWN = tarn_errno.TARN_E_SHUTDOWN
TARN_E_INPROGRESS = tarn_errno.TARN_E_INPROGRESS
TARN_E_NOTAPPLICABLE = tarn_errno.TARN_E_NOTAPPLICABLE
TARN_E_CSUM = tarn_errno.TARN_E_CSUM
TARN_E_DF_INVAL = tarn_errno.TARN_E_DF_INVAL
TARN_E_DF_INCOMPT = tarn_errno.TARN_E_DF_INCOMPT
TARN_E_REC_SIZE = tarn_errno.TARN_E_REC_SIZE
TARN_E_TX_RESTART = tarn_errno.TARN_E_TX_RESTART
TARN_E_DATA_LOSS = tarn_errno.TARN_E_DATA_LOSS
TARN_E_OP_CANCELED = tarn_errno.TARN_E_OP_CANCELED
TARN_E_TX_BUSY = tarn_errno.TARN_E_TX_BUSY
TARN_E_RF = tarn_errno.TARN_E_RF
TARN_E_ID_MISMATCH = tarn_errno.TARN_E_ID_MISMATCH
TARN_E_NOTSUPPORTED = tarn_errno.TARN_E_NOTSUPPORTED
TARN_E_NO_SERVICE = tarn_errno.TARN_E_NO_SERVICE
TARN_E_TX_ID_REUSED = tarn_errno.TARN_E_TX_ID_REUSED
TARN_E_UPDATE_AGAIN = tarn_errno.TARN_E_UPDATE_AGAIN
TARN_E_NVME_IO = tarn_errno.TARN_E_NVME_IO
TARN_E_NO_CERT = tarn_errno.TARN_E_NO_CERT
TARN_E_BAD_CERT = tarn_errno.TARN_E_BAD_CERT
TARN_E_CHKPT_BUSY = tarn_errno.TARN_E_CHKPT_BUSY
TARN_E_OVERLOAD_RETRY = tarn_errno.TARN_E_OVERLOAD_RETRY
TARN_E_CONT_NONEXIST = tarn_errno.TARN_E_CONT_NONEXIST
TARN_E_CONT_DESTROYING = tarn_errno.TARN_E_CONT_DESTROYING


# ---- tarn/event.h ----

TARN_EVENT_INLINE = 1
TARN_EVENT_LENT = 2

tarn_event._fields_ = [
    ("opaque", c_uint64 * 80),
]


# ---- tarn/kvdev.h ----

TARN_KVDEV_KEY_MAX = 16
# only when the key is there: else NONEXIST (store option 0)
TARN_KVDEV_UPDATE = 1
# only when it is not: else EXIST (store option 1)
TARN_KVDEV_ADD = 2

tarn_kvdev_info._fields_ = [
    # set by the caller: sizeof(tarn_kvdev_info)
    ("struct_size", c_size_t),
    # bytes
    ("key_max", c_uint32),
    ("reserved", c_uint32),
    # bytes
    ("value_max", c_uint64),
    ("key_count", c_uint64),
    # bytes, of the pool
    ("capacity", c_uint64),
    # bytes, of the pool
    ("used", c_uint64),
]


# ---- tarn/log.h ----



class tarn_log_level(enum.IntEnum):
    """enum tarn_log_level of tarn/log.h."""
    TARN_LOG_DEBUG = 0
    TARN_LOG_INFO = 1
    TARN_LOG_WARN = 2
    TARN_LOG_ERROR = 3


TARN_LOG_DEBUG = tarn_log_level.TARN_LOG_DEBUG
TARN_LOG_INFO = tarn_log_level.TARN_LOG_INFO
TARN_LOG_WARN = tarn_log_level.TARN_LOG_WARN
TARN_LOG_ERROR = tarn_log_level.TARN_LOG_ERROR

tarn_log_sink = CFUNCTYPE(None, c_void_p, c_uint, c_char_p)


# ---- tarn/nvme.h ----

# of an open: features can be set
TARN_NVME_RDWR = 1
# bytes of an Identify page
TARN_NVME_PAGE = 4096
# the nsid that stands for all namespaces
TARN_NVME_ALL = 4294967295
# bytes in one call of tarn_nvme_log_page()
TARN_NVME_LOG_MAX = 67108864
# bytes that belong to a feature
TARN_NVME_DATA_MAX = 4096
TARN_NVME_ONCS_COMPARE = 1
TARN_NVME_ONCS_UNCORRECTABLE = 2
# Dataset Management
TARN_NVME_ONCS_DISCARD = 4
TARN_NVME_ONCS_WRITE_ZEROES = 8
# features can be saved
TARN_NVME_ONCS_SAVE = 16
TARN_NVME_ONCS_RESERVATIONS = 32
TARN_NVME_ONCS_TIMESTAMP = 64
TARN_NVME_ONCS_VERIFY = 128
TARN_NVME_ONCS_COPY = 256
TARN_NVME_OACS_SECURITY = 1
TARN_NVME_OACS_FORMAT = 2
TARN_NVME_OACS_FIRMWARE = 4
# namespaces can be made and deleted
TARN_NVME_OACS_NAMESPACES = 8
TARN_NVME_OACS_SELF_TEST = 16
TARN_NVME_FORMAT_MAX = 64
TARN_NVME_WARN_SPARE = 1
TARN_NVME_WARN_TEMPERATURE = 2
TARN_NVME_WARN_RELIABILITY = 4
TARN_NVME_WARN_READ_ONLY = 8
TARN_NVME_WARN_BACKUP = 16


class tarn_nvme_select(enum.IntEnum):
    """enum tarn_nvme_select of tarn/nvme.h."""
    TARN_NVME_CURRENT = 0
    TARN_NVME_DEFAULT = 1
    TARN_NVME_SAVED = 2
    # value: bit 0 saveable, 1 for each namespace, 2 changeable
    TARN_NVME_SUPPORTED = 3


TARN_NVME_CURRENT = tarn_nvme_select.TARN_NVME_CURRENT
TARN_NVME_DEFAULT = tarn_nvme_select.TARN_NVME_DEFAULT
TARN_NVME_SAVED = tarn_nvme_select.TARN_NVME_SAVED
TARN_NVME_SUPPORTED = tarn_nvme_select.TARN_NVME_SUPPORTED

tarn_nvme_controller._fields_ = [
    # set by the caller: sizeof(tarn_nvme_controller); no more than that is written
    ("struct_size", c_size_t),
    ("serial", c_char * 24),
    ("model", c_char * 48),
    ("firmware", c_char * 16),
    # the subsystem's name
    ("subnqn", c_char * 264),
    # 0x10400: NVMe 1.4.0; 0: before 1.2
    ("version", c_uint32),
    # the largest nsid [NN]
    ("namespaces", c_uint32),
    # bytes in one command, for pages of 4 KiB [MDTS]; 0: no limit
    ("max_transfer", c_uint32),
    # [ELPE]
    ("error_log_entries", c_uint32),
    # TARN_NVME_ONCS_... [ONCS]
    ("optional_io", c_uint32),
    # TARN_NVME_OACS_... [OACS]
    ("optional_admin", c_uint32),
    # kelvin [WCTEMP]
    ("warning_temperature", c_uint32),
    # kelvin [CCTEMP]
    ("critical_temperature", c_uint32),
    # PCI vendor [VID]
    ("vendor", c_uint16),
    # [SSVID]
    ("subsystem_vendor", c_uint16),
    # [CNTLID]
    ("controller_id", c_uint16),
    # [NPSS]
    ("power_states", c_uint16),
    # [FRMW]
    ("firmware_slots", c_uint16),
    # 1: I/O, 2: discovery, 3: administrative; 0: not reported [CNTRLTYPE]
    ("type", c_uint16),
    # 1: there is one [VWC]
    ("volatile_cache", c_uint32),
    # written whole under normal operation [AWUN]
    ("atomic_blocks", c_uint32),
    # written whole also at a power cut [AWUPF]
    ("atomic_power_blocks", c_uint32),
    ("ieee_oui", c_uint32),
    # bytes, of all namespaces [TNVMCAP]
    ("capacity", c_uint64),
    # bytes [UNVMCAP]
    ("unallocated_capacity", c_uint64),
]

tarn_nvme_format._fields_ = [
    # bytes; 0: the format is not available [LBADS]
    ("block", c_uint32),
    # bytes for each block [MS]
    ("metadata", c_uint16),
    # 0 (best) to 3 [RP]
    ("performance", c_uint16),
    # of a zoned namespace [ZSZE]
    ("zone_bytes", c_uint64),
]

tarn_nvme_namespace._fields_ = [
    # set by the caller
    ("struct_size", c_size_t),
    ("nsid", c_uint32),
    # command set: 0 NVM, 1 KV, 2 zoned; of a KV namespace the rest is 0
    ("csi", c_uint32),
    # bytes [NSZE]
    ("size", c_uint64),
    # bytes that can be allocated [NCAP]
    ("capacity", c_uint64),
    # bytes that are [NUSE]
    ("used", c_uint64),
    # bytes [NVMCAP]
    ("nvm_capacity", c_uint64),
    # bytes, in the format in use
    ("block", c_uint32),
    # bytes for each block
    ("metadata", c_uint32),
    # 1: behind each block's data; 0: in a buffer of its own
    ("metadata_extended", c_uint32),
    # type of protection information: 0 none, 1, 2, 3 [DPS]
    ("protection", c_uint32),
    # 1: thin provisioning [NSFEAT]
    ("thin", c_uint32),
    # 1: write protected [NSATTR]
    ("readonly", c_uint32),
    # 1: by more than one controller may use it [NMIC]
    ("shared", c_uint32),
    # as of the controller, where the namespace differs; else 0 [NAWUN]
    ("atomic_blocks", c_uint32),
    # the same [NAWUPF]
    ("atomic_power_blocks", c_uint32),
    # bytes [NOWS]; 0: not reported
    ("optimal_write", c_uint32),
    # 0: no limit [MOR]
    ("max_open_zones", c_uint32),
    # 0: no limit [MAR]
    ("max_active_zones", c_uint32),
    # in the format in use; 0: not zoned
    ("zone_bytes", c_uint64),
    # zeros: none
    ("nguid", c_uint8 * 16),
    # zeros: none
    ("eui64", c_uint8 * 8),
    # zeros: none
    ("uuid", tarn_uuid),
    # the one in use
    ("format", c_uint32),
    ("format_count", c_uint32),
    ("formats", tarn_nvme_format * 64),
]

tarn_nvme_health._fields_ = [
    # set by the caller
    ("struct_size", c_size_t),
    # TARN_NVME_WARN_...
    ("critical_warning", c_uint32),
    # kelvin
    ("temperature", c_uint32),
    # percent
    ("available_spare", c_uint32),
    # percent
    ("spare_threshold", c_uint32),
    # of the life: may exceed 100
    ("percentage_used", c_uint32),
    # kelvin; 0: there is none
    ("sensors", c_uint32 * 8),
    # of 512000 bytes
    ("data_units_read", c_uint64),
    # of 512000 bytes
    ("data_units_written", c_uint64),
    ("read_commands", c_uint64),
    ("write_commands", c_uint64),
    ("busy_minutes", c_uint64),
    ("power_cycles", c_uint64),
    ("power_on_hours", c_uint64),
    ("unsafe_shutdowns", c_uint64),
    ("media_errors", c_uint64),
    # since the controller was made
    ("error_log_entries", c_uint64),
    # above the controller's warning temperature
    ("warning_temperature_minutes", c_uint64),
    # above its critical temperature
    ("critical_temperature_minutes", c_uint64),
]

tarn_nvme_error._fields_ = [
    # of the error: counts up, over power cycles
    ("number", c_uint64),
    # the first one that it is about
    ("lba", c_uint64),
    ("nsid", c_uint32),
    ("queue", c_uint16),
    ("command", c_uint16),
    # see tarn_nvme_status_name()
    ("status", c_uint16),
    # where in the command: byte in bits 0 to 7, bit in 8 to 10; 0xffff: not there
    ("parameter", c_uint16),
    ("reserved", c_uint32),
]

tarn_nvme_firmware._fields_ = [
    # set by the caller
    ("struct_size", c_size_t),
    # slot 1 to 7
    ("active", c_uint32),
    # at the next reset; 0: the same
    ("next", c_uint32),
    # of slot 1 to 7; "": empty
    ("revision", c_char * 16 * 7),
]


# ---- tarn/pool.h ----

# format a device although it holds something: without it EXIST
TARN_POOL_OVERWRITE = 1
TARN_POOL_ZEROED = 2
# every change through this handle is refused with EP_RO
TARN_POOL_RDONLY = 1
# also what still holds containers
TARN_DESTROY_FORCE = 1

tarn_pool_params._fields_ = [
    # sizeof(tarn_pool_params)
    ("struct_size", c_size_t),
    # bytes; for a device 0 means all of it; else at least TARN_POOL_SIZE_MIN
    ("size", c_uint64),
    # URI or path of the first target; NULL: a file in the root directory
    ("device", c_char_p),
    # size of the write-ahead log; 0: 1/16 of the first GiB of the pool and 1/4 of the rest, 256 KiB to 1 GiB
    ("log_bytes", c_uint64),
    # target size of a tree node; 0: 4 KiB
    ("node_bytes", c_uint32),
    # TARN_POOL_OVERWRITE, TARN_POOL_ZEROED
    ("flags", c_uint32),
    # the creation's own id, which the pool keeps for ever (tarn_pool_info); all zero: none
    ("request", tarn_uuid),
    # ZEROED: bytes written, and to write. Called on the thread that writes them, before the call completes; may be NULL.
    ("progress", CFUNCTYPE(None, c_void_p, c_uint64, c_uint64)),
    ("arg", c_void_p),
]

tarn_pool_options._fields_ = [
    # sizeof(tarn_pool_options)
    ("struct_size", c_size_t),
    # memory for cached and dirty pages; 0: 256 MiB; at least 1 MiB
    ("cache_bytes", c_uint64),
    # TARN_POOL_RDONLY
    ("flags", c_uint32),
]

tarn_pool_info._fields_ = [
    ("uuid", tarn_uuid),
    ("label", c_char * 128),
    # of the first target
    ("path", c_char * 512),
    # in the pool map
    ("targets", c_uint32),
    # of the pool map
    ("map_version", c_uint32),
    # on disk
    ("format_version", c_uint32),
    # 1: a device failed, and nothing is written until the pool is opened again
    ("readonly", c_uint32),
    # of all targets
    ("total_bytes", c_uint64),
    # for new data
    ("free_bytes", c_uint64),
    # of the write-ahead log
    ("log_bytes", c_uint64),
    # since the last checkpoint
    ("log_used_bytes", c_uint64),
    # the budget; 0 when listed
    ("cache_bytes", c_uint64),
    # of the budget
    ("cache_used_bytes", c_uint64),
    # of the last checkpoint
    ("generation", c_uint64),
    # number of them; 0 when listed
    ("containers", c_uint64),
    # of its creation: by this a caller knows whether that was its own; all zero: none
    ("request", tarn_uuid),
]

tarn_finding._fields_ = [
    # a sentence
    ("what", c_char_p),
    # in bytes, on the target; length 0: it is not at one place
    ("offset", c_uint64),
    # in bytes, on the target; length 0: it is not at one place
    ("length", c_uint64),
    # whose it is; "": of the pool itself, or not known
    ("container", c_char_p),
    # of a snapshot that has it; 0: the container as it is has
    ("epoch", c_uint64),
    # the objects that have lost keys, the first and the last in order; "": not known
    ("object", c_char_p),
    # the objects that have lost keys, the first and the last in order; "": not known
    ("last_object", c_char_p),
    # their keys: low <= key < high; an empty one does not bound. When it is one object
    ("low", tarn_buf),
    # their keys: low <= key < high; an empty one does not bound. When it is one object
    ("high", tarn_buf),
]

tarn_check_options._fields_ = [
    # sizeof(tarn_check_options)
    ("struct_size", c_size_t),
    # of a scrub; 0: as fast as the device reads
    ("bytes_per_second", c_uint64),
    ("arg", c_void_p),
    ("found", CFUNCTYPE(None, c_void_p, POINTER(tarn_finding))),
    # bytes read so far, and about how many there are
    ("progress", CFUNCTYPE(None, c_void_p, c_uint64, c_uint64)),
]

tarn_check_result._fields_ = [
    # read and verified
    ("bytes", c_uint64),
    # all of them, also those that found() was not told of: it hears of 1,000
    ("findings", c_uint64),
]


# ---- tarn/snap.h ----


tarn_snap_info._fields_ = [
    ("epoch", c_uint64),
    # since 1970, UTC
    ("created_ns", c_uint64),
    # "": it has none
    ("name", c_char * 128),
]


# ---- tarn/watch.h ----

# values are left out
TARN_WATCH_KEYS_ONLY = 1
# of a tarn_entry: the key was removed
TARN_ENTRY_DELETED = 2
# of one with TARN_ENTRY_OMITTED: the value can no longer be had, or is damaged
TARN_ENTRY_GONE = 4

tarn_changes._fields_ = [
    # changes in the buffer
    ("count", c_uint32),
    # 1: there is more already
    ("more", c_uint32),
    # bytes of the buffer; of one that was too small for a value (REC2BIG): how many hold the next change
    ("used", c_size_t),
    # all changes up to this one have been returned; those in the buffer with a later one are a part of their batch
    ("revision", c_uint64),
    # the oldest revision that can be asked for now
    ("oldest", c_uint64),
    # the last that is durable now
    ("latest", c_uint64),
    # so many changes of revision + 1 have been returned, or left out: see tarn_watch_skip()
    ("position", c_uint64),
]


# The error table: number -> (name, what it means).
ERRORS: dict[int, tuple[str, str]] = {
    1001: ("DER_NO_PERM", "the caller may not do this"),
    1002: ("DER_NO_HDL", "the handle is closed or was never open"),
    1003: ("DER_INVAL", "an argument is not valid"),
    1004: ("DER_EXIST", "it exists already"),
    1005: ("DER_NONEXIST", "it does not exist"),
    1006: ("DER_UNREACH", "the peer cannot be reached"),
    1007: ("DER_NOSPACE", "there is no space left"),
    1008: ("DER_ALREADY", "it has been done already"),
    1009: ("DER_NOMEM", "there is no memory left"),
    1010: ("DER_NOSYS", "the function does not exist here"),
    1011: ("DER_TIMEDOUT", "the time was up before the answer came"),
    1012: ("DER_BUSY", "it is in use"),
    1013: ("DER_AGAIN", "not now: try again"),
    1014: ("DER_PROTO", "the two sides speak different versions"),
    1015: ("DER_UNINIT", "it has not been initialised"),
    1016: ("DER_TRUNC", "the buffer is too small for all of it"),
    1017: ("DER_OVERFLOW", "the number does not fit"),
    1018: ("DER_CANCELED", "the operation was cancelled"),
    1020: ("DER_HG", "the network layer failed"),
    1025: ("DER_MISC", "an error without a better name"),
    1026: ("DER_BADPATH", "the path is not valid"),
    1027: ("DER_NOTDIR", "it is not a directory"),
    1031: ("DER_MISMATCH", "two things that must agree do not"),
    1034: ("DER_DOS", "refused: too many requests of one client"),
    1041: ("DER_OP_NOT_PERMITTED", "the operation is not permitted here"),
    1046: ("DER_QUOTA_LIMIT", "a quota is used up"),
    2001: ("DER_IO", "the device failed to read, write or flush"),
    2003: ("DER_ENOENT", "the entry does not exist"),
    2004: ("DER_NOTYPE", "the type is not known"),
    2007: ("DER_STALE", "the pool map is out of date"),
    2008: ("DER_NOTLEADER", "it is not the leader: ask again"),
    2010: ("DER_EP_RO", "it is read-only"),
    2011: ("DER_EP_OLD", "that epoch is no longer kept"),
    2012: ("DER_KEY2BIG", "the key is too long"),
    2013: ("DER_REC2BIG", "the value is too large"),
    2014: ("DER_IO_INVAL", "the buffers and the extents do not match"),
    2015: ("DER_EQ_BUSY", "the event queue is full"),
    2017: ("DER_SHUTDOWN", "the service is going down"),
    2018: ("DER_INPROGRESS", "it is being done"),
    2019: ("DER_NOTAPPLICABLE", "it does not apply to this"),
    2021: ("DER_CSUM", "what was read does not match its checksum"),
    2022: ("DER_DF_INVAL", "this is not a Tarn pool"),
    2023: ("DER_DF_INCOMPT", "the format on disk is of a version that this library does not know"),
    2024: ("DER_REC_SIZE", "the record size does not match"),
    2025: ("DER_TX_RESTART", "the transaction lost a race: do it again"),
    2026: ("DER_DATA_LOSS", "data is lost"),
    2027: ("DER_OP_CANCELED", "the operation was cancelled before it started"),
    2028: ("DER_TX_BUSY", "the transaction is being committed"),
    2031: ("DER_RF", "more failures than the redundancy can bear"),
    2035: ("DER_ID_MISMATCH", "the id is not the one that was expected"),
    2037: ("DER_NOTSUPPORTED", "it is not supported"),
    2039: ("DER_NO_SERVICE", "the service is not running"),
    2040: ("DER_TX_ID_REUSED", "the transaction id has been used before"),
    2041: ("DER_UPDATE_AGAIN", "the update lost a race: do it again"),
    2042: ("DER_NVME_IO", "the NVMe device answered with an error"),
    2043: ("DER_NO_CERT", "there is no certificate"),
    2044: ("DER_BAD_CERT", "the certificate is not valid"),
    2046: ("DER_CHKPT_BUSY", "a checkpoint is running"),
    2048: ("DER_OVERLOAD_RETRY", "too many requests: try again later"),
    2050: ("DER_CONT_NONEXIST", "the container does not exist"),
    2051: ("DER_CONT_DESTROYING", "the container is being destroyed"),
}

# The structs whose fields are known.
STRUCTS: dict[str, Any] = {
    "tarn_access": tarn_access,
    "tarn_attr": tarn_attr,
    "tarn_buf": tarn_buf,
    "tarn_changes": tarn_changes,
    "tarn_check_options": tarn_check_options,
    "tarn_check_result": tarn_check_result,
    "tarn_cont_info": tarn_cont_info,
    "tarn_dev_info": tarn_dev_info,
    "tarn_dev_io": tarn_dev_io,
    "tarn_dev_options": tarn_dev_options,
    "tarn_dev_queue_info": tarn_dev_queue_info,
    "tarn_dev_queue_options": tarn_dev_queue_options,
    "tarn_dev_vec": tarn_dev_vec,
    "tarn_dev_zone": tarn_dev_zone,
    "tarn_entry": tarn_entry,
    "tarn_event": tarn_event,
    "tarn_finding": tarn_finding,
    "tarn_get": tarn_get,
    "tarn_kv_stat": tarn_kv_stat,
    "tarn_kvdev_info": tarn_kvdev_info,
    "tarn_listing": tarn_listing,
    "tarn_mutation": tarn_mutation,
    "tarn_nvme_controller": tarn_nvme_controller,
    "tarn_nvme_error": tarn_nvme_error,
    "tarn_nvme_firmware": tarn_nvme_firmware,
    "tarn_nvme_format": tarn_nvme_format,
    "tarn_nvme_health": tarn_nvme_health,
    "tarn_nvme_namespace": tarn_nvme_namespace,
    "tarn_object_info": tarn_object_info,
    "tarn_pool_info": tarn_pool_info,
    "tarn_pool_options": tarn_pool_options,
    "tarn_pool_params": tarn_pool_params,
    "tarn_prop": tarn_prop,
    "tarn_range": tarn_range,
    "tarn_snap_info": tarn_snap_info,
    "tarn_uuid": tarn_uuid,
}

# Every constant.
CONSTANTS: dict[str, int] = {
    "TARN_ACL_CONT": TARN_ACL_CONT,
    "TARN_ACL_MAX": TARN_ACL_MAX,
    "TARN_ACL_POOL": TARN_ACL_POOL,
    "TARN_ATTR_ALL_MAX": TARN_ATTR_ALL_MAX,
    "TARN_ATTR_LIST_MIN": TARN_ATTR_LIST_MIN,
    "TARN_ATTR_NAME_MAX": TARN_ATTR_NAME_MAX,
    "TARN_ATTR_SET_MAX": TARN_ATTR_SET_MAX,
    "TARN_ATTR_VALUE_MAX": TARN_ATTR_VALUE_MAX,
    "TARN_BATCH_MAX": TARN_BATCH_MAX,
    "TARN_CHANGE_CHECK": TARN_CHANGE_CHECK,
    "TARN_CHANGE_DEL": TARN_CHANGE_DEL,
    "TARN_CHANGE_NOTE": TARN_CHANGE_NOTE,
    "TARN_CHANGE_PUT": TARN_CHANGE_PUT,
    "TARN_COND_INSERT": TARN_COND_INSERT,
    "TARN_COND_NONE": TARN_COND_NONE,
    "TARN_COND_REVISION": TARN_COND_REVISION,
    "TARN_COND_UPDATE": TARN_COND_UPDATE,
    "TARN_CONT_HDF5": TARN_CONT_HDF5,
    "TARN_CONT_KV": TARN_CONT_KV,
    "TARN_CONT_POSIX": TARN_CONT_POSIX,
    "TARN_CONT_PYTHON": TARN_CONT_PYTHON,
    "TARN_CONT_RDONLY": TARN_CONT_RDONLY,
    "TARN_CONT_UNKNOWN": TARN_CONT_UNKNOWN,
    "TARN_DESTROY_FORCE": TARN_DESTROY_FORCE,
    "TARN_DEV_BOUNCE": TARN_DEV_BOUNCE,
    "TARN_DEV_BUFFERED": TARN_DEV_BUFFERED,
    "TARN_DEV_COMPARE": TARN_DEV_COMPARE,
    "TARN_DEV_CREATE": TARN_DEV_CREATE,
    "TARN_DEV_DISCARD": TARN_DEV_DISCARD,
    "TARN_DEV_DURABLE": TARN_DEV_DURABLE,
    "TARN_DEV_EXCLUSIVE": TARN_DEV_EXCLUSIVE,
    "TARN_DEV_FLUSH": TARN_DEV_FLUSH,
    "TARN_DEV_HUGE": TARN_DEV_HUGE,
    "TARN_DEV_IO_DURABLE": TARN_DEV_IO_DURABLE,
    "TARN_DEV_IO_FIXED": TARN_DEV_IO_FIXED,
    "TARN_DEV_IO_VECTOR": TARN_DEV_IO_VECTOR,
    "TARN_DEV_NOP": TARN_DEV_NOP,
    "TARN_DEV_QUEUE_IOPOLL": TARN_DEV_QUEUE_IOPOLL,
    "TARN_DEV_QUEUE_SINGLE": TARN_DEV_QUEUE_SINGLE,
    "TARN_DEV_QUEUE_SQPOLL": TARN_DEV_QUEUE_SQPOLL,
    "TARN_DEV_RDWR": TARN_DEV_RDWR,
    "TARN_DEV_READ": TARN_DEV_READ,
    "TARN_DEV_STRICT": TARN_DEV_STRICT,
    "TARN_DEV_VEC_MAX": TARN_DEV_VEC_MAX,
    "TARN_DEV_WRITE": TARN_DEV_WRITE,
    "TARN_DEV_WRITE_ZEROES": TARN_DEV_WRITE_ZEROES,
    "TARN_DEV_ZONE_APPEND": TARN_DEV_ZONE_APPEND,
    "TARN_DURABILITY_DURABLE": TARN_DURABILITY_DURABLE,
    "TARN_DURABILITY_RELAXED": TARN_DURABILITY_RELAXED,
    "TARN_ENTRY_DELETED": TARN_ENTRY_DELETED,
    "TARN_ENTRY_GONE": TARN_ENTRY_GONE,
    "TARN_ENTRY_OMITTED": TARN_ENTRY_OMITTED,
    "TARN_EVENT_INLINE": TARN_EVENT_INLINE,
    "TARN_EVENT_LENT": TARN_EVENT_LENT,
    "TARN_E_AGAIN": TARN_E_AGAIN,
    "TARN_E_ALREADY": TARN_E_ALREADY,
    "TARN_E_BADPATH": TARN_E_BADPATH,
    "TARN_E_BAD_CERT": TARN_E_BAD_CERT,
    "TARN_E_BUSY": TARN_E_BUSY,
    "TARN_E_CANCELED": TARN_E_CANCELED,
    "TARN_E_CHKPT_BUSY": TARN_E_CHKPT_BUSY,
    "TARN_E_CONT_DESTROYING": TARN_E_CONT_DESTROYING,
    "TARN_E_CONT_NONEXIST": TARN_E_CONT_NONEXIST,
    "TARN_E_CSUM": TARN_E_CSUM,
    "TARN_E_DATA_LOSS": TARN_E_DATA_LOSS,
    "TARN_E_DF_INCOMPT": TARN_E_DF_INCOMPT,
    "TARN_E_DF_INVAL": TARN_E_DF_INVAL,
    "TARN_E_DOS": TARN_E_DOS,
    "TARN_E_ENOENT": TARN_E_ENOENT,
    "TARN_E_EP_OLD": TARN_E_EP_OLD,
    "TARN_E_EP_RO": TARN_E_EP_RO,
    "TARN_E_EQ_BUSY": TARN_E_EQ_BUSY,
    "TARN_E_EXIST": TARN_E_EXIST,
    "TARN_E_HG": TARN_E_HG,
    "TARN_E_ID_MISMATCH": TARN_E_ID_MISMATCH,
    "TARN_E_INPROGRESS": TARN_E_INPROGRESS,
    "TARN_E_INVAL": TARN_E_INVAL,
    "TARN_E_IO": TARN_E_IO,
    "TARN_E_IO_INVAL": TARN_E_IO_INVAL,
    "TARN_E_KEY2BIG": TARN_E_KEY2BIG,
    "TARN_E_MISC": TARN_E_MISC,
    "TARN_E_MISMATCH": TARN_E_MISMATCH,
    "TARN_E_NOMEM": TARN_E_NOMEM,
    "TARN_E_NONEXIST": TARN_E_NONEXIST,
    "TARN_E_NOSPACE": TARN_E_NOSPACE,
    "TARN_E_NOSYS": TARN_E_NOSYS,
    "TARN_E_NOTAPPLICABLE": TARN_E_NOTAPPLICABLE,
    "TARN_E_NOTDIR": TARN_E_NOTDIR,
    "TARN_E_NOTLEADER": TARN_E_NOTLEADER,
    "TARN_E_NOTSUPPORTED": TARN_E_NOTSUPPORTED,
    "TARN_E_NOTYPE": TARN_E_NOTYPE,
    "TARN_E_NO_CERT": TARN_E_NO_CERT,
    "TARN_E_NO_HDL": TARN_E_NO_HDL,
    "TARN_E_NO_PERM": TARN_E_NO_PERM,
    "TARN_E_NO_SERVICE": TARN_E_NO_SERVICE,
    "TARN_E_NVME_IO": TARN_E_NVME_IO,
    "TARN_E_OP_CANCELED": TARN_E_OP_CANCELED,
    "TARN_E_OP_NOT_PERMITTED": TARN_E_OP_NOT_PERMITTED,
    "TARN_E_OVERFLOW": TARN_E_OVERFLOW,
    "TARN_E_OVERLOAD_RETRY": TARN_E_OVERLOAD_RETRY,
    "TARN_E_PROTO": TARN_E_PROTO,
    "TARN_E_QUOTA_LIMIT": TARN_E_QUOTA_LIMIT,
    "TARN_E_REC2BIG": TARN_E_REC2BIG,
    "TARN_E_REC_SIZE": TARN_E_REC_SIZE,
    "TARN_E_RF": TARN_E_RF,
    "TARN_E_SHUTDOWN": TARN_E_SHUTDOWN,
    "TARN_E_STALE": TARN_E_STALE,
    "TARN_E_TIMEDOUT": TARN_E_TIMEDOUT,
    "TARN_E_TRUNC": TARN_E_TRUNC,
    "TARN_E_TX_BUSY": TARN_E_TX_BUSY,
    "TARN_E_TX_ID_REUSED": TARN_E_TX_ID_REUSED,
    "TARN_E_TX_RESTART": TARN_E_TX_RESTART,
    "TARN_E_UNINIT": TARN_E_UNINIT,
    "TARN_E_UNREACH": TARN_E_UNREACH,
    "TARN_E_UPDATE_AGAIN": TARN_E_UPDATE_AGAIN,
    "TARN_KEY_MAX": TARN_KEY_MAX,
    "TARN_KVDEV_ADD": TARN_KVDEV_ADD,
    "TARN_KVDEV_KEY_MAX": TARN_KVDEV_KEY_MAX,
    "TARN_KVDEV_UPDATE": TARN_KVDEV_UPDATE,
    "TARN_KV_CREATE": TARN_KV_CREATE,
    "TARN_KV_NOTES": TARN_KV_NOTES,
    "TARN_KV_RDONLY": TARN_KV_RDONLY,
    "TARN_LABEL_MAX": TARN_LABEL_MAX,
    "TARN_LIST_VALUE_MAX": TARN_LIST_VALUE_MAX,
    "TARN_LOG_DEBUG": TARN_LOG_DEBUG,
    "TARN_LOG_ERROR": TARN_LOG_ERROR,
    "TARN_LOG_INFO": TARN_LOG_INFO,
    "TARN_LOG_WARN": TARN_LOG_WARN,
    "TARN_MESSAGE_MAX": TARN_MESSAGE_MAX,
    "TARN_NVME_ALL": TARN_NVME_ALL,
    "TARN_NVME_CURRENT": TARN_NVME_CURRENT,
    "TARN_NVME_DATA_MAX": TARN_NVME_DATA_MAX,
    "TARN_NVME_DEFAULT": TARN_NVME_DEFAULT,
    "TARN_NVME_FORMAT_MAX": TARN_NVME_FORMAT_MAX,
    "TARN_NVME_LOG_MAX": TARN_NVME_LOG_MAX,
    "TARN_NVME_OACS_FIRMWARE": TARN_NVME_OACS_FIRMWARE,
    "TARN_NVME_OACS_FORMAT": TARN_NVME_OACS_FORMAT,
    "TARN_NVME_OACS_NAMESPACES": TARN_NVME_OACS_NAMESPACES,
    "TARN_NVME_OACS_SECURITY": TARN_NVME_OACS_SECURITY,
    "TARN_NVME_OACS_SELF_TEST": TARN_NVME_OACS_SELF_TEST,
    "TARN_NVME_ONCS_COMPARE": TARN_NVME_ONCS_COMPARE,
    "TARN_NVME_ONCS_COPY": TARN_NVME_ONCS_COPY,
    "TARN_NVME_ONCS_DISCARD": TARN_NVME_ONCS_DISCARD,
    "TARN_NVME_ONCS_RESERVATIONS": TARN_NVME_ONCS_RESERVATIONS,
    "TARN_NVME_ONCS_SAVE": TARN_NVME_ONCS_SAVE,
    "TARN_NVME_ONCS_TIMESTAMP": TARN_NVME_ONCS_TIMESTAMP,
    "TARN_NVME_ONCS_UNCORRECTABLE": TARN_NVME_ONCS_UNCORRECTABLE,
    "TARN_NVME_ONCS_VERIFY": TARN_NVME_ONCS_VERIFY,
    "TARN_NVME_ONCS_WRITE_ZEROES": TARN_NVME_ONCS_WRITE_ZEROES,
    "TARN_NVME_PAGE": TARN_NVME_PAGE,
    "TARN_NVME_RDWR": TARN_NVME_RDWR,
    "TARN_NVME_SAVED": TARN_NVME_SAVED,
    "TARN_NVME_SUPPORTED": TARN_NVME_SUPPORTED,
    "TARN_NVME_WARN_BACKUP": TARN_NVME_WARN_BACKUP,
    "TARN_NVME_WARN_READ_ONLY": TARN_NVME_WARN_READ_ONLY,
    "TARN_NVME_WARN_RELIABILITY": TARN_NVME_WARN_RELIABILITY,
    "TARN_NVME_WARN_SPARE": TARN_NVME_WARN_SPARE,
    "TARN_NVME_WARN_TEMPERATURE": TARN_NVME_WARN_TEMPERATURE,
    "TARN_OBJECT_NAME_MAX": TARN_OBJECT_NAME_MAX,
    "TARN_OK": TARN_OK,
    "TARN_POOL_OVERWRITE": TARN_POOL_OVERWRITE,
    "TARN_POOL_RDONLY": TARN_POOL_RDONLY,
    "TARN_POOL_SIZE_MIN": TARN_POOL_SIZE_MIN,
    "TARN_POOL_ZEROED": TARN_POOL_ZEROED,
    "TARN_PRINCIPAL_MAX": TARN_PRINCIPAL_MAX,
    "TARN_PROP_DESCRIPTION": TARN_PROP_DESCRIPTION,
    "TARN_PROP_DURABILITY": TARN_PROP_DURABILITY,
    "TARN_PROP_GROUP": TARN_PROP_GROUP,
    "TARN_PROP_OWNER": TARN_PROP_OWNER,
    "TARN_PROP_VALUE_MAX": TARN_PROP_VALUE_MAX,
    "TARN_RANGE_AFTER": TARN_RANGE_AFTER,
    "TARN_RANGE_KEYS_ONLY": TARN_RANGE_KEYS_ONLY,
    "TARN_RANGE_REVERSE": TARN_RANGE_REVERSE,
    "TARN_RELAXED_MS": TARN_RELAXED_MS,
    "TARN_VALUE_MAX": TARN_VALUE_MAX,
    "TARN_VERSION_MAJOR": TARN_VERSION_MAJOR,
    "TARN_VERSION_MINOR": TARN_VERSION_MINOR,
    "TARN_VERSION_PATCH": TARN_VERSION_PATCH,
    "TARN_WATCH_KEYS_ONLY": TARN_WATCH_KEYS_ONLY,
    "TARN_ZONE_CLOSED": TARN_ZONE_CLOSED,
    "TARN_ZONE_CONVENTIONAL": TARN_ZONE_CONVENTIONAL,
    "TARN_ZONE_EMPTY": TARN_ZONE_EMPTY,
    "TARN_ZONE_EXPLICITLY_OPEN": TARN_ZONE_EXPLICITLY_OPEN,
    "TARN_ZONE_FULL": TARN_ZONE_FULL,
    "TARN_ZONE_IMPLICITLY_OPEN": TARN_ZONE_IMPLICITLY_OPEN,
    "TARN_ZONE_NOT_WRITE_POINTER": TARN_ZONE_NOT_WRITE_POINTER,
    "TARN_ZONE_OFFLINE": TARN_ZONE_OFFLINE,
    "TARN_ZONE_READ_ONLY": TARN_ZONE_READ_ONLY,
    "TARN_ZONE_SEQUENTIAL": TARN_ZONE_SEQUENTIAL,
    "TARN_ZONE_SEQUENTIAL_PREFERED": TARN_ZONE_SEQUENTIAL_PREFERED,
}

# Every function: its result, its parameters, their names, its prototype and what it does.
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...], tuple[str, ...], str]] = {
    "tarn_acl_format": (c_int, (c_uint, c_char_p, POINTER(c_char), POINTER(c_size_t)), ("kind", "acl", "text", "len"), """int tarn_acl_format(tarn_acl_kind kind, const char *acl, char *text, size_t *len);

Writes a list as it would be kept: *len is the room at text, then the bytes that the list takes, with its NUL. Touches
no pool. Errors: INVAL, NOTSUPPORTED, NOMEM, REC2BIG (more than TARN_ACL_MAX), TRUNC (more than the room)."""),
    "tarn_cont_attr_get": (c_int, (POINTER(tarn_cont), c_char_p, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("cont", "name", "buf", "len", "ev"), """int tarn_cont_attr_get(tarn_cont *cont, const char *name, void *buf, size_t *len, tarn_event *ev);

As for tarn_pool_attr_get: Copies a value into buf, which is lent until the call completes: *len is the room there, then
the size of the value. buf NULL: the size only. Errors: NONEXIST, REC2BIG (the value is longer than the room), INVAL."""),
    "tarn_cont_attr_list": (c_int, (POINTER(tarn_cont), c_char_p, c_void_p, c_size_t, POINTER(tarn_listing), POINTER(tarn_event)), ("cont", "after", "buf", "cap", "out", "ev"), """int tarn_cont_attr_list(tarn_cont *cont, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev);

As for tarn_pool_attr_list: Lists attributes in the order of their names, those after `after` (NULL: from the first), as
entries (tarn/kv.h) whose keys are the names, without a NUL. buf is 8-byte aligned and has cap bytes. Each call is one
view. INVAL when cap is less than TARN_ATTR_LIST_MIN."""),
    "tarn_cont_attr_set": (c_int, (POINTER(tarn_cont), POINTER(tarn_attr), c_size_t, POINTER(tarn_event)), ("cont", "attrs", "n", "ev"), """int tarn_cont_attr_set(tarn_cont *cont, const tarn_attr *attrs, size_t n, tarn_event *ev);

As for tarn_pool_attr_set: Sets and deletes attributes, all or none; the others stay as they are. Names and values are
copied. Errors: NONEXIST (there are only deletions, and none of the names is there), INVAL (a name; a name twice; more
than TARN_ATTR_SET_MAX), REC2BIG (a value, or all together), EP_RO, NOSPACE, NOMEM."""),
    "tarn_cont_close": (c_int, (POINTER(tarn_cont),), ("cont",), """int tarn_cont_close(tarn_cont *cont);

BUSY while an object of it is open."""),
    "tarn_cont_create": (c_int, (POINTER(tarn_pool), c_char_p, c_uint, POINTER(tarn_prop), c_size_t, POINTER(tarn_uuid), POINTER(tarn_event)), ("pool", "label", "type", "props", "nprops", "uuid", "ev"), """int tarn_cont_create(tarn_pool *pool, const char *label, tarn_cont_type type, const tarn_prop *props, size_t nprops,
    tarn_uuid *uuid, tarn_event *ev);

Makes a container. props are copied; nprops may be 0; uuid may be NULL. Errors: EXIST (label taken), INVAL (label,
property), NOSPACE, EP_RO, IO."""),
    "tarn_cont_delete_acl": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_event)), ("cont", "principal", "ev"), """int tarn_cont_delete_acl(tarn_cont *cont, const char *principal, tarn_event *ev);

As for tarn_pool_delete_acl: Takes the entry of a principal out of the list: "u:bob@", "g:staff@", "OWNER@", "GROUP@" or
"EVERYONE@". NULL: the list is no more. Errors: NONEXIST (there is no such entry, or no list), INVAL, EP_RO, NOSPACE."""),
    "tarn_cont_destroy": (c_int, (POINTER(tarn_pool), c_char_p, c_uint, POINTER(tarn_event)), ("pool", "label_or_uuid", "flags", "ev"), """int tarn_cont_destroy(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_event *ev);

Destroys a container with all its objects and snapshots. Errors: CONT_NONEXIST, BUSY (it or a snapshot of it is open; or
it holds objects or snapshots and flags lacks TARN_DESTROY_FORCE)."""),
    "tarn_cont_get_access": (c_int, (POINTER(tarn_cont), POINTER(tarn_access), POINTER(tarn_event)), ("cont", "access", "ev"), """int tarn_cont_get_access(tarn_cont *cont, tarn_access *access, tarn_event *ev);

As for tarn_pool_get_access: Errors: TRUNC (the list is longer than the room)."""),
    "tarn_cont_list": (c_int, (POINTER(tarn_pool), POINTER(tarn_cont_info), POINTER(c_size_t), POINTER(tarn_event)), ("pool", "infos", "count", "ev"), """int tarn_cont_list(tarn_pool *pool, tarn_cont_info *infos, size_t *count, tarn_event *ev);

Lists the containers of a pool in the order of their labels: *count is the room in infos, then the number there is.
infos NULL: count only. TRUNC when the room is too small."""),
    "tarn_cont_open": (c_int, (POINTER(tarn_pool), c_char_p, c_uint, POINTER(POINTER(tarn_cont)), POINTER(tarn_event)), ("pool", "label_or_uuid", "flags", "cont", "ev"), """int tarn_cont_open(tarn_pool *pool, const char *label_or_uuid, unsigned flags, tarn_cont **cont, tarn_event *ev);

Errors: CONT_NONEXIST, CONT_DESTROYING."""),
    "tarn_cont_open_snap": (c_int, (POINTER(tarn_pool), c_char_p, c_uint64, c_char_p, POINTER(POINTER(tarn_cont)), POINTER(tarn_event)), ("pool", "label_or_uuid", "epoch", "name", "cont", "ev"), """int tarn_cont_open_snap(tarn_pool *pool, const char *label_or_uuid, uint64_t epoch, const char *name, tarn_cont **cont,
    tarn_event *ev);

Opens a snapshot of a container: the one of that name, or, when name is NULL, of that epoch (else epoch is 0). What
comes back is a read-only handle of the container as it was: its objects are listed, opened, read, listed and counted as
ever, and every change is EP_RO. The caller closes it with tarn_cont_close(). Errors: CONT_NONEXIST, NONEXIST, INVAL."""),
    "tarn_cont_overwrite_acl": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_event)), ("cont", "acl", "ev"), """int tarn_cont_overwrite_acl(tarn_cont *cont, const char *acl, tarn_event *ev);

As for tarn_pool_overwrite_acl: Makes acl the list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE."""),
    "tarn_cont_query": (c_int, (POINTER(tarn_cont), POINTER(tarn_cont_info), POINTER(tarn_event)), ("cont", "info", "ev"), """int tarn_cont_query(tarn_cont *cont, tarn_cont_info *info, tarn_event *ev);"""),
    "tarn_cont_set_props": (c_int, (POINTER(tarn_cont), POINTER(tarn_prop), c_size_t, POINTER(tarn_event)), ("cont", "props", "nprops", "ev"), """int tarn_cont_set_props(tarn_cont *cont, const tarn_prop *props, size_t nprops, tarn_event *ev);

Sets properties, all or none. Errors: INVAL, EP_RO."""),
    "tarn_cont_sync": (c_int, (POINTER(tarn_cont), POINTER(tarn_event)), ("cont", "ev"), """int tarn_cont_sync(tarn_cont *cont, tarn_event *ev);

Waits until all changes that were acknowledged before, of any container of the pool, are durable. Does nothing for what
is durable anyway. Errors: EP_RO, IO (the log has failed)."""),
    "tarn_cont_update_acl": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_event)), ("cont", "acl", "ev"), """int tarn_cont_update_acl(tarn_cont *cont, const char *acl, tarn_event *ev);

As for tarn_pool_update_acl: Puts the entries of acl into the list, in the place of those that have the same principals.
Where there was no list there is one now. Errors: as overwriting."""),
    "tarn_dev_alloc": (c_void_p, (c_size_t, c_uint32), ("len", "flags"), """void *tarn_dev_alloc(size_t len, uint32_t flags);

Zeroed memory that is aligned for every device (4096), of any length. From 2 MiB on the kernel is asked for transparent
huge pages, and with TARN_DEV_HUGE for reserved ones of 2 MiB, which it may not have: then it is as without. Large
transfers want either: of a buffer in small pages each page is a segment, and a transfer with more segments than the
device takes is cut. So cut many buffers out of one. NULL when there is none, for 0 bytes, and for other flags. The
caller frees it, with the same length and flags, when no I/O uses it; to free NULL does nothing. Any thread may call."""),
    "tarn_dev_close": (c_int, (POINTER(tarn_dev),), ("dev",), """int tarn_dev_close(tarn_dev *dev);

BUSY while a queue of it is open or a call on it is running; then it stays open. Else the handle is gone. It does not
flush."""),
    "tarn_dev_compare": (c_int, (POINTER(tarn_dev), c_uint64, c_void_p, c_uint64), ("dev", "offset", "buf", "len"), """int tarn_dev_compare(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block.

0 when the device has these bytes, MISMATCH when not: the sentence says where the first difference is."""),
    "tarn_dev_discard": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_discard(tarn_dev *dev, uint64_t offset, uint64_t len);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block.

The bytes are not needed any more. In a file, mem: and sim: they read as zeros; in a block device or namespace as it
likes, until they are written again. NOTSUPPORTED where there is no discard."""),
    "tarn_dev_flush": (c_int, (POINTER(tarn_dev),), ("dev",), """int tarn_dev_flush(tarn_dev *dev);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block."""),
    "tarn_dev_free": (None, (c_void_p, c_size_t, c_uint32), ("buf", "len", "flags"), """void tarn_dev_free(void *buf, size_t len, uint32_t flags);

As for tarn_dev_alloc: Zeroed memory that is aligned for every device (4096), of any length. From 2 MiB on the kernel is
asked for transparent huge pages, and with TARN_DEV_HUGE for reserved ones of 2 MiB, which it may not have: then it is
as without. Large transfers want either: of a buffer in small pages each page is a segment, and a transfer with more
segments than the device takes is cut. So cut many buffers out of one. NULL when there is none, for 0 bytes, and for
other flags. The caller frees it, with the same length and flags, when no I/O uses it; to free NULL does nothing. Any
thread may call."""),
    "tarn_dev_get_info": (c_int, (POINTER(tarn_dev), POINTER(tarn_dev_info)), ("dev", "info"), """int tarn_dev_get_info(tarn_dev *dev, tarn_dev_info *info);

What was really chosen. Does not wait. Errors: INVAL (struct_size)."""),
    "tarn_dev_list": (c_int, (POINTER(tarn_dev_info), POINTER(c_size_t)), ("infos", "count"), """int tarn_dev_list(tarn_dev_info *infos, size_t *count);

Lists block devices, NVMe controllers and namespaces (the block and the character node are two entries, each the other's
twin) without opening any. *count is the room in infos, then the number there is. infos NULL: count only.
infos[0].struct_size holds for all of them, and is the distance from one to the next. Fields that only an open can tell
are 0 or "". Errors: TRUNC (the room is too small: *count says how many, and those that fit are there), INVAL, IO,
NOMEM."""),
    "tarn_dev_open": (c_int, (c_char_p, POINTER(tarn_dev_options), POINTER(POINTER(tarn_dev))), ("uri", "options", "dev"), """int tarn_dev_open(const char *uri, const tarn_dev_options *options, tarn_dev **dev);

options NULL: read-only, the best backend. The URI and the options are copied. Errors: NONEXIST, EXIST, NO_PERM, INVAL
(a URI that is none, no device, flags), BUSY, NOSPACE, NOTSUPPORTED, IO, NOMEM."""),
    "tarn_dev_query": (c_int, (c_char_p, POINTER(tarn_dev_info)), ("uri", "info"), """int tarn_dev_query(const char *uri, tarn_dev_info *info);

What tarn_dev_open() would find, opened read-only for a moment. Errors: as tarn_dev_open()."""),
    "tarn_dev_queue_cancel": (c_int, (POINTER(tarn_dev_queue), POINTER(tarn_dev_io)), ("queue", "io"), """int tarn_dev_queue_cancel(tarn_dev_queue *queue, tarn_dev_io *io);

Asks for an early end of an I/O in flight. It is reaped as ever: with CANCELED, or with its result when it was too late.
0, or NONEXIST when it is not in flight on this queue."""),
    "tarn_dev_queue_close": (c_int, (POINTER(tarn_dev_queue), c_int64), ("queue", "timeout_us"), """int tarn_dev_queue_close(tarn_dev_queue *queue, int64_t timeout_us);

Waits up to timeout_us (negative: for ever) until nothing is in flight; what was not reaped is dropped. TIMEDOUT: the
queue stays open, and what is in flight stays lent: cancel it, or wait longer. No other call on the queue may be
running."""),
    "tarn_dev_queue_fd": (c_int, (POINTER(tarn_dev_queue),), ("queue",), """int tarn_dev_queue_fd(tarn_dev_queue *queue);

A non-blocking eventfd that is readable while completions wait; the queue's, and closed with it. For poll(2): reap, with
min 0, until there are none, and do not read it. A negative error: NOTSUPPORTED (with IOPOLL), MISC (no descriptor is
left). Costs a little per completion from the first call on."""),
    "tarn_dev_queue_get_info": (c_int, (POINTER(tarn_dev_queue), POINTER(tarn_dev_queue_info)), ("queue", "info"), """int tarn_dev_queue_get_info(tarn_dev_queue *queue, tarn_dev_queue_info *info);"""),
    "tarn_dev_queue_open": (c_int, (POINTER(tarn_dev), POINTER(tarn_dev_queue_options), POINTER(POINTER(tarn_dev_queue))), ("dev", "options", "queue"), """int tarn_dev_queue_open(tarn_dev *dev, const tarn_dev_queue_options *options, tarn_dev_queue **queue);

options NULL: depth 128, no flags. Errors: INVAL (depth, unknown flags, struct_size), NOTSUPPORTED, NOMEM, NO_HDL (dev
is NULL)."""),
    "tarn_dev_queue_reap": (c_uint32, (POINTER(tarn_dev_queue), c_uint32, c_uint32, c_int64, POINTER(POINTER(tarn_dev_io))), ("queue", "min", "max", "timeout_us", "ios"), """uint32_t tarn_dev_queue_reap(tarn_dev_queue *queue, uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios);

Takes up to max completed I/Os; waits until there are min of them, or timeout_us have passed (0: does not wait;
negative: for ever), or a wake. Returns their number, less than min also when no more are in flight."""),
    "tarn_dev_queue_register": (c_int, (POINTER(tarn_dev_queue), POINTER(tarn_dev_vec), c_uint32), ("queue", "buffers", "n"), """int tarn_dev_queue_register(tarn_dev_queue *queue, const tarn_dev_vec *buffers, uint32_t n);

Registers n buffers (as from tarn_dev_alloc()) with the queue, once, while nothing is in flight: FIXED I/O saves the
kernel from mapping them each time; where a backend has no use for it, they are checked alike. They are lent until the
queue is closed. BUSY (something is in flight), EXIST (there are some), INVAL (n is 0 or over 1024, no memory), NOMEM
(see ulimit -l)."""),
    "tarn_dev_queue_submit": (c_uint32, (POINTER(tarn_dev_queue), POINTER(POINTER(tarn_dev_io)), c_uint32), ("queue", "ios", "n"), """uint32_t tarn_dev_queue_submit(tarn_dev_queue *queue, tarn_dev_io *const *ios, uint32_t n);

Starts I/Os from the first on. Returns how many, less than n only when the queue is full: reap, and submit the rest. One
that breaks a rule is started and completes with its error; a NULL in the array ends it. The array is the caller's again
at once. Does not wait; but what needs a bounce buffer, and what the backend has only as a call that waits (the discard
of a block device), is done before the return."""),
    "tarn_dev_queue_submit_and_reap": (c_uint32, (POINTER(tarn_dev_queue), POINTER(POINTER(tarn_dev_io)), c_uint32, POINTER(c_uint32), c_uint32, c_uint32, c_int64, POINTER(POINTER(tarn_dev_io))), ("queue", "submit", "n", "started", "min", "max", "timeout_us", "ios"), """uint32_t tarn_dev_queue_submit_and_reap(tarn_dev_queue *queue, tarn_dev_io *const *submit, uint32_t n, uint32_t
    *started, uint32_t min, uint32_t max, int64_t timeout_us, tarn_dev_io **ios);

Submits, then reaps, in one call. *started (out, may be NULL) as tarn_dev_queue_submit() returns."""),
    "tarn_dev_queue_wake": (None, (POINTER(tarn_dev_queue),), ("queue",), """void tarn_dev_queue_wake(tarn_dev_queue *queue);

The thread that waits in a reap, or the next one that would, returns early."""),
    "tarn_dev_read": (c_int, (POINTER(tarn_dev), c_uint64, c_void_p, c_uint64), ("dev", "offset", "buf", "len"), """int tarn_dev_read(tarn_dev *dev, uint64_t offset, void *buf, uint64_t len);

Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to TARN_DEV_VEC_MAX, none of them
empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM, NO_HDL (NULL); of those that
change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new, block by block."""),
    "tarn_dev_readv": (c_int, (POINTER(tarn_dev), c_uint64, POINTER(tarn_dev_vec), c_uint32), ("dev", "offset", "vec", "n"), """int tarn_dev_readv(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block."""),
    "tarn_dev_write": (c_int, (POINTER(tarn_dev), c_uint64, c_void_p, c_uint64, c_uint32), ("dev", "offset", "buf", "len", "flags"), """int tarn_dev_write(tarn_dev *dev, uint64_t offset, const void *buf, uint64_t len, uint32_t flags);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block."""),
    "tarn_dev_write_zeroes": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_write_zeroes(tarn_dev *dev, uint64_t offset, uint64_t len);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block.

They read as zeros. NOTSUPPORTED where the device or file system has no command for it: then write zeros."""),
    "tarn_dev_writev": (c_int, (POINTER(tarn_dev), c_uint64, POINTER(tarn_dev_vec), c_uint32, c_uint32), ("dev", "offset", "vec", "n", "flags"), """int tarn_dev_writev(tarn_dev *dev, uint64_t offset, const tarn_dev_vec *vec, uint32_t n, uint32_t flags);

As for tarn_dev_read: Bytes go from or to the caller's memory, which is lent until the return; n pieces: 1 to
TARN_DEV_VEC_MAX, none of them empty. Errors of all: INVAL (alignment, range, 0 bytes, no buffer, flags), IO, NOMEM,
NO_HDL (NULL); of those that change: EP_RO, NOSPACE. After an error of a write the bytes of its range are old or new,
block by block."""),
    "tarn_dev_zone_append": (c_int, (POINTER(tarn_dev), c_uint64, c_void_p, c_uint64, POINTER(c_uint64)), ("dev", "zone", "buf", "len", "where"), """int tarn_dev_zone_append(tarn_dev *dev, uint64_t zone, const void *buf, uint64_t len, uint64_t *where);

Writes at the zone's write pointer, wherever that is by then: *where says. zone: its offset. At most info.max_transfer
bytes. Errors: as a write; NOSPACE (the zone is full). NOTSUPPORTED by block devices: Linux has no append from user
space but by passthrough (nvme:)."""),
    "tarn_dev_zone_close": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_zone_close(tarn_dev *dev, uint64_t offset, uint64_t len);

As for tarn_dev_zone_open: Of the zones in [offset, offset + len). EP_RO, INVAL, IO; NOSPACE from an open of too many
zones. A reset loses their data."""),
    "tarn_dev_zone_finish": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_zone_finish(tarn_dev *dev, uint64_t offset, uint64_t len);

As for tarn_dev_zone_open: Of the zones in [offset, offset + len). EP_RO, INVAL, IO; NOSPACE from an open of too many
zones. A reset loses their data."""),
    "tarn_dev_zone_open": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_zone_open(tarn_dev *dev, uint64_t offset, uint64_t len);

Of the zones in [offset, offset + len). EP_RO, INVAL, IO; NOSPACE from an open of too many zones. A reset loses their
data."""),
    "tarn_dev_zone_report": (c_int, (POINTER(tarn_dev), c_uint64, POINTER(tarn_dev_zone), POINTER(c_uint32)), ("dev", "offset", "zones", "count"), """int tarn_dev_zone_report(tarn_dev *dev, uint64_t offset, tarn_dev_zone *zones, uint32_t *count);

The zones from the one at `offset` on. *count is the room in zones, at least 1, then how many were written there: fewer
than the room only at the end of the device. INVAL (offset, no room), IO."""),
    "tarn_dev_zone_reset": (c_int, (POINTER(tarn_dev), c_uint64, c_uint64), ("dev", "offset", "len"), """int tarn_dev_zone_reset(tarn_dev *dev, uint64_t offset, uint64_t len);

As for tarn_dev_zone_open: Of the zones in [offset, offset + len). EP_RO, INVAL, IO; NOSPACE from an open of too many
zones. A reset loses their data."""),
    "tarn_eq_create": (c_int, (POINTER(POINTER(tarn_eq)),), ("eq",), """int tarn_eq_create(tarn_eq **eq);

A queue of completions. Errors: NOMEM; MISC when the process has no file descriptor left."""),
    "tarn_eq_destroy": (c_int, (POINTER(tarn_eq),), ("eq",), """int tarn_eq_destroy(tarn_eq *eq);

BUSY while an event of this queue is running or waits to be polled."""),
    "tarn_eq_fd": (c_int, (POINTER(tarn_eq),), ("eq",), """int tarn_eq_fd(const tarn_eq *eq);

A file descriptor (non-blocking eventfd) that is readable while completions wait. It may stay so for a moment after the
last was taken: then a poll returns 0, and from then on it is not. Read it through tarn_eq_poll() only. It is the
queue's, and closed with it."""),
    "tarn_eq_poll": (c_int, (POINTER(tarn_eq), c_int64, c_uint, POINTER(POINTER(tarn_event))), ("eq", "timeout_us", "n", "events"), """int tarn_eq_poll(tarn_eq *eq, int64_t timeout_us, unsigned n, tarn_event **events);

Takes up to n completed events, oldest first. Waits up to timeout_us for the first one: 0 does not wait, negative waits
for ever. Returns their number, 0 when the time was up, or -TARN_E_INVAL when n is 0."""),
    "tarn_errname": (c_char_p, (c_int,), ("code",), """const char *tarn_errname(int code);

"DER_NONEXIST" for -TARN_E_NONEXIST or TARN_E_NONEXIST, "DER_SUCCESS" for 0, "DER_UNKNOWN" for a number not in the
table. Static memory; any thread may call."""),
    "tarn_event_abort": (c_int, (POINTER(tarn_event),), ("ev",), """int tarn_event_abort(tarn_event *ev);

Asks for an early end. An operation that has not begun completes with -TARN_E_CANCELED; one that has goes on, and its
result is whatever it comes to: one call touches few pages. The long ones (tarn_kv_del_range, checking, scrubbing,
making a zeroed pool) look now and then. The result still arrives once, and only then is the memory free again. 0, or
-TARN_E_INVAL when ev is not running."""),
    "tarn_event_init": (None, (POINTER(tarn_event), POINTER(tarn_eq), c_void_p, c_uint), ("ev", "eq", "user", "flags"), """void tarn_event_init(tarn_event *ev, tarn_eq *eq, void *user, unsigned flags);

Makes ev ready for a first call. eq may be NULL: then tarn_event_wait() takes the result. user is returned by
tarn_event_user()."""),
    "tarn_event_message": (c_char_p, (POINTER(tarn_event),), ("ev",), """const char *tarn_event_message(const tarn_event *ev);

The sentence of a result that is negative, else "". Valid until the event is used again."""),
    "tarn_event_result": (c_int, (POINTER(tarn_event),), ("ev",), """int tarn_event_result(const tarn_event *ev);

The result: 0 or a negative code; -TARN_E_INPROGRESS while the call is running."""),
    "tarn_event_user": (c_void_p, (POINTER(tarn_event),), ("ev",), """void *tarn_event_user(const tarn_event *ev);"""),
    "tarn_event_wait": (c_int, (POINTER(tarn_event), c_int64), ("ev", "timeout_us"), """int tarn_event_wait(tarn_event *ev, int64_t timeout_us);

Waits until the call has completed and returns its result, or -TARN_E_TIMEDOUT after timeout_us (negative: for ever)
while the call goes on. For events without a queue; with a queue: -TARN_E_INVAL."""),
    "tarn_kv_apply": (c_int, (POINTER(tarn_kv), POINTER(tarn_mutation), c_size_t, POINTER(c_size_t), POINTER(tarn_event)), ("kv", "muts", "n", "failed", "ev"), """int tarn_kv_apply(tarn_kv *kv, const tarn_mutation *muts, size_t n, size_t *failed, tarn_event *ev);

Applies n mutations as one: all of them or none, now and after a crash. Conditions look at the state before the batch;
when one fails, its error is the result, *failed (when not NULL) its index, and nothing is changed. A key may stand in a
batch once: else INVAL. Errors also: INVAL (n is 0 or over TARN_BATCH_MAX), REC2BIG when the batch's record does not fit
into the log (half of tarn_pool_info.log_bytes; values over the inline limit do not count, they go to extents), or the
pages that it changes, 4 to 16 KiB for each key when no two are near each other, are more than a quarter of the pool's
cache_bytes and 32 MiB."""),
    "tarn_kv_close": (c_int, (POINTER(tarn_kv),), ("kv",), """int tarn_kv_close(tarn_kv *kv);

BUSY while a call, a reader or a writer of it is running."""),
    "tarn_kv_count": (c_int, (POINTER(tarn_kv), POINTER(tarn_range), POINTER(c_uint64), POINTER(tarn_event)), ("kv", "range", "count", "ev"), """int tarn_kv_count(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev);

Number of keys in range (NULL: all). Costs a walk of the two edges of the range and of what changed since the last
checkpoint."""),
    "tarn_kv_del": (c_int, (POINTER(tarn_kv), tarn_buf, c_uint, POINTER(tarn_event)), ("kv", "key", "cond", "ev"), """int tarn_kv_del(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_event *ev);

Deletes key. Absent is fine, unless cond is TARN_COND_UPDATE: then NONEXIST."""),
    "tarn_kv_del_range": (c_int, (POINTER(tarn_kv), POINTER(tarn_range), POINTER(c_uint64), POINTER(tarn_event)), ("kv", "range", "count", "ev"), """int tarn_kv_del_range(tarn_kv *kv, const tarn_range *range, uint64_t *count, tarn_event *ev);

Deletes every key in range (NULL: all), in batches: a crash may leave some deleted. *count (may be NULL) is their
number. Aborted, it ends between two batches with CANCELED."""),
    "tarn_kv_exists": (c_int, (POINTER(tarn_kv), tarn_buf, POINTER(tarn_kv_stat), POINTER(tarn_event)), ("kv", "key", "stat", "ev"), """int tarn_kv_exists(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_event *ev);

Size and revision without the value. stat may be NULL. NONEXIST when the key is absent."""),
    "tarn_kv_get": (c_int, (POINTER(tarn_kv), tarn_buf, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("kv", "key", "buf", "len", "ev"), """int tarn_kv_get(tarn_kv *kv, tarn_buf key, void *buf, size_t *len, tarn_event *ev);

Copies the value into buf. *len is the room in buf, then the size of the value. buf NULL asks for the size. Errors:
NONEXIST (*len 0, buf untouched); REC2BIG when the room is too small (*len is the size, buf untouched)."""),
    "tarn_kv_get_many": (c_int, (POINTER(tarn_kv), POINTER(tarn_get), c_size_t, POINTER(tarn_event)), ("kv", "gets", "n", "ev"), """int tarn_kv_get_many(tarn_kv *kv, tarn_get *gets, size_t n, tarn_event *ev);

n gets at once: what must be read from the device is read at the same time. Each has its own result in rc; the call
itself fails only when nothing can be said of some of them, whose rc is then INPROGRESS. They are not one view: other
changes may come between two of them. gets, the keys and the buffers are lent until the result has arrived. Errors:
INVAL (n is 0 or over TARN_BATCH_MAX), NO_HDL, NOMEM."""),
    "tarn_kv_list": (c_int, (POINTER(tarn_kv), POINTER(tarn_range), c_uint32, c_void_p, c_size_t, POINTER(tarn_listing), POINTER(tarn_event)), ("kv", "range", "max", "buf", "cap", "out", "ev"), """int tarn_kv_list(tarn_kv *kv, const tarn_range *range, uint32_t max, void *buf, size_t cap, tarn_listing *out,
    tarn_event *ev);

Lists up to max entries (0: as many as fit) in order into buf (8-byte aligned, cap bytes). Each batch is a consistent
view. To go on, list again with start (or, in reverse, end) the last key and, forward, TARN_RANGE_AFTER. KEY2BIG when
cap is too small for the first key: a cap of TARN_KEY_MAX + 32 always holds one."""),
    "tarn_kv_open": (c_int, (POINTER(tarn_cont), c_char_p, c_uint, POINTER(POINTER(tarn_kv)), POINTER(tarn_event)), ("cont", "name", "flags", "kv", "ev"), """int tarn_kv_open(tarn_cont *cont, const char *name, unsigned flags, tarn_kv **kv, tarn_event *ev);

Opens the KV object of that name. Errors: NONEXIST, NOTYPE (the object is not a KV), INVAL (name). The notes of a
container are an object without a name, which no listing or count of objects has: what a program that serves others
keeps about their calls. A batch of any object of the container can put notes, in the same instant (TARN_CHANGE_NOTE).
The container's limit of values does not hold for them; its snapshots have them."""),
    "tarn_kv_put": (c_int, (POINTER(tarn_kv), tarn_buf, tarn_buf, c_uint, POINTER(tarn_event)), ("kv", "key", "val", "cond", "ev"), """int tarn_kv_put(tarn_kv *kv, tarn_buf key, tarn_buf val, tarn_cond cond, tarn_event *ev);

Errors: KEY2BIG, REC2BIG, INVAL (empty key), EXIST, NONEXIST."""),
    "tarn_kvdev_close": (c_int, (POINTER(tarn_kvdev),), ("dev",), """int tarn_kvdev_close(tarn_kvdev *dev);

As for tarn_kvdev_open: The namespace in that container, which is made when it is not there and the container may be
written; else NONEXIST. cont stays open until the close. NOTYPE when the container is not of type KV.

BUSY while a call on it is running"""),
    "tarn_kvdev_delete": (c_int, (POINTER(tarn_kvdev), tarn_buf, POINTER(tarn_event)), ("dev", "key", "ev"), """int tarn_kvdev_delete(tarn_kvdev *dev, tarn_buf key, tarn_event *ev);

Opcode 10h. NONEXIST."""),
    "tarn_kvdev_exist": (c_int, (POINTER(tarn_kvdev), tarn_buf, POINTER(tarn_event)), ("dev", "key", "ev"), """int tarn_kvdev_exist(tarn_kvdev *dev, tarn_buf key, tarn_event *ev);

Opcode 14h: 0 or NONEXIST."""),
    "tarn_kvdev_get_info": (c_int, (POINTER(tarn_kvdev), POINTER(tarn_kvdev_info)), ("dev", "info"), """int tarn_kvdev_get_info(tarn_kvdev *dev, tarn_kvdev_info *info);

As for tarn_kvdev_open: The namespace in that container, which is made when it is not there and the container may be
written; else NONEXIST. cont stays open until the close. NOTYPE when the container is not of type KV.

Waits for the device. Errors also: INVAL (struct_size)."""),
    "tarn_kvdev_list": (c_int, (POINTER(tarn_kvdev), tarn_buf, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("dev", "from_", "buf", "len", "ev"), """int tarn_kvdev_list(tarn_kvdev *dev, tarn_buf from, void *buf, size_t *len, tarn_event *ev);

Opcode 06h: the keys from `from` on (itself too, when it is there; empty: from the first), in bytewise order, as many as
fit, into buf in the command's own format, little-endian: a u32 count; then for each a u16 length and the key, padded
with zeros to a multiple of 4 bytes. *len is the room (at least 24), then what was used. To go on, list from the last
key and leave it out; a list whose only key is `from` was the last. buf and len are lent until the result has arrived.
INVAL (the room)."""),
    "tarn_kvdev_open": (c_int, (POINTER(tarn_cont), POINTER(POINTER(tarn_kvdev)), POINTER(tarn_event)), ("cont", "dev", "ev"), """int tarn_kvdev_open(tarn_cont *cont, tarn_kvdev **dev, tarn_event *ev);

The namespace in that container, which is made when it is not there and the container may be written; else NONEXIST.
cont stays open until the close. NOTYPE when the container is not of type KV."""),
    "tarn_kvdev_retrieve": (c_int, (POINTER(tarn_kvdev), tarn_buf, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("dev", "key", "buf", "len", "ev"), """int tarn_kvdev_retrieve(tarn_kvdev *dev, tarn_buf key, void *buf, size_t *len, tarn_event *ev);

Opcode 02h. *len is the room in buf, then the value's size, whatever the room. The first of its bytes that fit are
copied: so a value larger than buf is not an error here, as it is none there. buf and len are lent until the result has
arrived. NONEXIST."""),
    "tarn_kvdev_status": (c_uint16, (c_int,), ("rc",), """uint16_t tarn_kvdev_status(int rc);

The NVMe status code (of status code type 1, without the type) that says the same as a result of these: 0, 81h capacity
exceeded, 85h value size, 86h key size, 87h no such key, 89h key exists; 88h unrecovered for what has no status of its
own."""),
    "tarn_kvdev_store": (c_int, (POINTER(tarn_kvdev), tarn_buf, tarn_buf, c_uint32, POINTER(tarn_event)), ("dev", "key", "val", "options", "ev"), """int tarn_kvdev_store(tarn_kvdev *dev, tarn_buf key, tarn_buf val, uint32_t options, tarn_event *ev);

Opcode 01h. Errors: REC2BIG, INVAL (both options), EXIST, NONEXIST."""),
    "tarn_last_error": (c_char_p, (), (), """const char *tarn_last_error(void);

The sentence of the last call of this thread that failed without an event: what was asked, what was found, what to do.
Valid until this thread's next call; never NULL. A call with an event keeps its sentence in the event instead."""),
    "tarn_log_set": (None, (tarn_log_sink, c_void_p, c_uint), ("sink", "arg", "level"), """void tarn_log_set(tarn_log_sink sink, void *arg, tarn_log_level level);

Sends messages of at least this level to sink (NULL: to nobody). The sink is called by any thread of the library, with
no lock of the library held that a Tarn call would take; message is lent for the call. When tarn_log_set() returns, the
former sink is not running and will not be called again."""),
    "tarn_log_set_fd": (None, (c_int, c_uint), ("fd", "level"), """void tarn_log_set_fd(int fd, tarn_log_level level);

Sends messages of at least this level to a file descriptor, a line each ("WARN text\\n"), for callers that prefer a pipe
to a callback (Go does). fd stays the caller's; -1 ends it."""),
    "tarn_nvme_close": (c_int, (POINTER(tarn_nvme),), ("nvme",), """int tarn_nvme_close(tarn_nvme *nvme);

Frees the handle; no other call on it is running."""),
    "tarn_nvme_command_sets": (c_int, (POINTER(tarn_nvme), POINTER(c_uint64)), ("nvme", "sets"), """int tarn_nvme_command_sets(tarn_nvme *nvme, uint64_t *sets);

As for tarn_nvme_identify_controller: raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h.

Bit n: command set n can be had. 1 from a controller before NVMe 2.0, which knows of no others. CNS 1Ch."""),
    "tarn_nvme_decode_controller": (c_int, (c_void_p, POINTER(tarn_nvme_controller)), ("page", "controller"), """int tarn_nvme_decode_controller(const void *page, tarn_nvme_controller *controller);

What a page that was read earlier says: as the calls above, without a device. Of any bytes at all: they are never
trusted. zoned: the page of CNS 05h of a zoned namespace, or NULL."""),
    "tarn_nvme_decode_firmware": (c_int, (c_void_p, POINTER(tarn_nvme_firmware)), ("page", "firmware"), """int tarn_nvme_decode_firmware(const void *page, tarn_nvme_firmware *firmware);

As for tarn_nvme_decode_controller: What a page that was read earlier says: as the calls above, without a device. Of any
bytes at all: they are never trusted. zoned: the page of CNS 05h of a zoned namespace, or NULL."""),
    "tarn_nvme_decode_health": (c_int, (c_void_p, POINTER(tarn_nvme_health)), ("page", "health"), """int tarn_nvme_decode_health(const void *page, tarn_nvme_health *health);

As for tarn_nvme_decode_controller: What a page that was read earlier says: as the calls above, without a device. Of any
bytes at all: they are never trusted. zoned: the page of CNS 05h of a zoned namespace, or NULL."""),
    "tarn_nvme_decode_namespace": (c_int, (c_void_p, c_void_p, POINTER(tarn_nvme_namespace)), ("page", "zoned", "ns"), """int tarn_nvme_decode_namespace(const void *page, const void *zoned, tarn_nvme_namespace *ns);

As for tarn_nvme_decode_controller: What a page that was read earlier says: as the calls above, without a device. Of any
bytes at all: they are never trusted. zoned: the page of CNS 05h of a zoned namespace, or NULL."""),
    "tarn_nvme_get_errors": (c_int, (POINTER(tarn_nvme), POINTER(tarn_nvme_error), POINTER(c_uint32)), ("nvme", "errors", "count"), """int tarn_nvme_get_errors(tarn_nvme *nvme, tarn_nvme_error *errors, uint32_t *count);

As for tarn_nvme_get_health: raw: NULL, or room for 512 bytes; the same for the firmware.

The newest first. *count is the room, then how many were written."""),
    "tarn_nvme_get_feature": (c_int, (POINTER(tarn_nvme), c_uint8, c_uint, c_uint32, c_uint32, POINTER(c_uint32), c_void_p, c_uint32), ("nvme", "fid", "select", "nsid", "cdw11", "value", "data", "len"), """int tarn_nvme_get_feature(tarn_nvme *nvme, uint8_t fid, tarn_nvme_select select, uint32_t nsid, uint32_t cdw11, uint32_t
    *value, void *data, uint32_t len);

value (out): Dword 0 of the completion. data: NULL and 0, or room for the data of a feature that has some, len a
multiple of 4 and at most TARN_NVME_DATA_MAX. nsid as it is. cdw11: mostly 0. Command Get Features."""),
    "tarn_nvme_get_firmware": (c_int, (POINTER(tarn_nvme), POINTER(tarn_nvme_firmware), c_void_p), ("nvme", "firmware", "raw"), """int tarn_nvme_get_firmware(tarn_nvme *nvme, tarn_nvme_firmware *firmware, void *raw);

As for tarn_nvme_get_health: raw: NULL, or room for 512 bytes; the same for the firmware."""),
    "tarn_nvme_get_health": (c_int, (POINTER(tarn_nvme), POINTER(tarn_nvme_health), c_void_p), ("nvme", "health", "raw"), """int tarn_nvme_get_health(tarn_nvme *nvme, tarn_nvme_health *health, void *raw);

raw: NULL, or room for 512 bytes; the same for the firmware."""),
    "tarn_nvme_get_nsid": (c_int, (POINTER(tarn_nvme), POINTER(c_uint32)), ("nvme", "nsid"), """int tarn_nvme_get_nsid(tarn_nvme *nvme, uint32_t *nsid);

The namespace of the handle; 0 for a controller's."""),
    "tarn_nvme_identify": (c_int, (POINTER(tarn_nvme), c_uint8, c_uint8, c_uint32, c_void_p), ("nvme", "cns", "csi", "nsid", "page"), """int tarn_nvme_identify(tarn_nvme *nvme, uint8_t cns, uint8_t csi, uint32_t nsid, void *page);

As for tarn_nvme_identify_controller: raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h.

Any page: Identify with this CNS, command set and nsid (as it is: 0 stays 0), into TARN_NVME_PAGE bytes."""),
    "tarn_nvme_identify_controller": (c_int, (POINTER(tarn_nvme), POINTER(tarn_nvme_controller), c_void_p), ("nvme", "controller", "raw"), """int tarn_nvme_identify_controller(tarn_nvme *nvme, tarn_nvme_controller *controller, void *raw);

raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h."""),
    "tarn_nvme_identify_namespace": (c_int, (POINTER(tarn_nvme), c_uint32, POINTER(tarn_nvme_namespace), c_void_p), ("nvme", "nsid", "ns", "raw"), """int tarn_nvme_identify_namespace(tarn_nvme *nvme, uint32_t nsid, tarn_nvme_namespace *ns, void *raw);

As for tarn_nvme_identify_controller: raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h.

CNS 00h (raw), 03h and, of a zoned one, 05h."""),
    "tarn_nvme_log_page": (c_int, (POINTER(tarn_nvme), c_uint8, c_uint8, c_uint32, c_uint64, c_void_p, c_uint32), ("nvme", "lid", "lsp", "nsid", "offset", "buf", "len"), """int tarn_nvme_log_page(tarn_nvme *nvme, uint8_t lid, uint8_t lsp, uint32_t nsid, uint64_t offset, void *buf, uint32_t
    len);

As for tarn_nvme_get_health: raw: NULL, or room for 512 bytes; the same for the firmware.

A part of a log page, as it is: len bytes from offset on, both multiples of 4, len at most TARN_NVME_LOG_MAX. lsp: the
page's own field, mostly 0. nsid as it is: TARN_NVME_ALL for most pages. Reading takes no pending event away [RAE]."""),
    "tarn_nvme_namespaces": (c_int, (POINTER(tarn_nvme), POINTER(c_uint32), POINTER(c_uint32)), ("nvme", "nsids", "count"), """int tarn_nvme_namespaces(tarn_nvme *nvme, uint32_t *nsids, uint32_t *count);

As for tarn_nvme_identify_controller: raw: NULL, or room for the page (TARN_NVME_PAGE bytes). Command Identify, CNS 01h.

The active namespaces, ascending. *count is the room in nsids, then the number there is: TRUNC when that is more. CNS
02h."""),
    "tarn_nvme_open": (c_int, (c_char_p, c_uint32, POINTER(POINTER(tarn_nvme))), ("path", "flags", "nvme"), """int tarn_nvme_open(const char *path, uint32_t flags, tarn_nvme **nvme);

path: of a controller (/dev/nvme0), or of a namespace as a block device (/dev/nvme0n1) or a character device
(/dev/ng0n1); nvme: or block: before it is skipped. flags: TARN_NVME_RDWR. NONEXIST, NO_PERM, INVAL (it is no NVMe
device; flags), NOMEM."""),
    "tarn_nvme_set_feature": (c_int, (POINTER(tarn_nvme), c_uint8, c_uint32, c_uint32, c_bool, c_void_p, c_uint32), ("nvme", "fid", "nsid", "value", "save", "data", "len"), """int tarn_nvme_set_feature(tarn_nvme *nvme, uint8_t fid, uint32_t nsid, uint32_t value, bool save, const void *data,
    uint32_t len);

As for tarn_nvme_get_feature: value (out): Dword 0 of the completion. data: NULL and 0, or room for the data of a
feature that has some, len a multiple of 4 and at most TARN_NVME_DATA_MAX. nsid as it is. cdw11: mostly 0. Command Get
Features.

value: Dword 11 of the command. save: also over a power cycle. EP_RO from a handle that is not TARN_NVME_RDWR. Command
Set Features."""),
    "tarn_nvme_status_name": (c_char_p, (c_uint32,), ("status",), """const char *tarn_nvme_status_name(uint32_t status);

"Invalid Field in Command" for 0x2: bits 0 to 7 are the code, 8 to 10 its type; others are not looked at. Static memory,
never NULL."""),
    "tarn_object_create": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_event)), ("cont", "name", "ev"), """int tarn_object_create(tarn_cont *cont, const char *name, tarn_event *ev);

Makes a named KV object. EXIST when the name is taken."""),
    "tarn_object_destroy": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_event)), ("cont", "name", "ev"), """int tarn_object_destroy(tarn_cont *cont, const char *name, tarn_event *ev);

Removes a named object with all its keys. NONEXIST; BUSY while it is open."""),
    "tarn_object_list": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_object_info), POINTER(c_size_t), POINTER(tarn_event)), ("cont", "after", "infos", "count", "ev"), """int tarn_object_list(tarn_cont *cont, const char *after, tarn_object_info *infos, size_t *count, tarn_event *ev);

Lists named objects in the order of their names, those after `after` (NULL: from the first): *count is the room in
infos, then the number filled; fewer than the room means that there are no more."""),
    "tarn_object_query": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(tarn_object_info), POINTER(tarn_event)), ("cont", "name", "info", "ev"), """int tarn_object_query(tarn_cont *cont, const char *name, tarn_object_info *info, tarn_event *ev);

NONEXIST when there is none of that name."""),
    "tarn_object_rename": (c_int, (POINTER(tarn_cont), c_char_p, c_char_p, POINTER(tarn_event)), ("cont", "name", "to", "ev"), """int tarn_object_rename(tarn_cont *cont, const char *name, const char *to, tarn_event *ev);

Gives a named object another name, at one moment: there is never none, and never two. Handles and watches that are open
go on with the object; their errors name it as it was opened. A snapshot keeps the name of its time. Errors: NONEXIST;
EXIST when the new name is taken (its own is); INVAL (a name), EP_RO, NOSPACE."""),
    "tarn_pool_attr_get": (c_int, (POINTER(tarn_pool), c_char_p, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("pool", "name", "buf", "len", "ev"), """int tarn_pool_attr_get(tarn_pool *pool, const char *name, void *buf, size_t *len, tarn_event *ev);

Copies a value into buf, which is lent until the call completes: *len is the room there, then the size of the value. buf
NULL: the size only. Errors: NONEXIST, REC2BIG (the value is longer than the room), INVAL."""),
    "tarn_pool_attr_list": (c_int, (POINTER(tarn_pool), c_char_p, c_void_p, c_size_t, POINTER(tarn_listing), POINTER(tarn_event)), ("pool", "after", "buf", "cap", "out", "ev"), """int tarn_pool_attr_list(tarn_pool *pool, const char *after, void *buf, size_t cap, tarn_listing *out, tarn_event *ev);

Lists attributes in the order of their names, those after `after` (NULL: from the first), as entries (tarn/kv.h) whose
keys are the names, without a NUL. buf is 8-byte aligned and has cap bytes. Each call is one view. INVAL when cap is
less than TARN_ATTR_LIST_MIN."""),
    "tarn_pool_attr_set": (c_int, (POINTER(tarn_pool), POINTER(tarn_attr), c_size_t, POINTER(tarn_event)), ("pool", "attrs", "n", "ev"), """int tarn_pool_attr_set(tarn_pool *pool, const tarn_attr *attrs, size_t n, tarn_event *ev);

Sets and deletes attributes, all or none; the others stay as they are. Names and values are copied. Errors: NONEXIST
(there are only deletions, and none of the names is there), INVAL (a name; a name twice; more than TARN_ATTR_SET_MAX),
REC2BIG (a value, or all together), EP_RO, NOSPACE, NOMEM."""),
    "tarn_pool_check": (c_int, (POINTER(tarn_pool), POINTER(tarn_check_options), POINTER(tarn_check_result), POINTER(tarn_event)), ("pool", "options", "result", "ev"), """int tarn_pool_check(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev);

Reads and verifies everything the pool refers to: structure, order, checksums, snapshots, and the space map against one
computed anew. Reads go on meanwhile; changes do until the log is full. options and result may be NULL. CSUM when there
is a finding, with the first as its sentence; each is logged, too. tarn_event_abort() ends it early: CANCELED. A pool
that is read-only after a device failed is checked as its last checkpoint has left it, and the result is then EP_RO at
best. Errors also: IO, NOMEM, NOSPACE."""),
    "tarn_pool_checkpoint": (c_int, (POINTER(tarn_pool), POINTER(tarn_event)), ("pool", "ev"), """int tarn_pool_checkpoint(tarn_pool *pool, tarn_event *ev);

Writes a checkpoint, so that the log is empty and the next open replays nothing. Errors: IO, NOSPACE, EP_RO."""),
    "tarn_pool_close": (c_int, (POINTER(tarn_pool),), ("pool",), """int tarn_pool_close(tarn_pool *pool);

BUSY while a container of it is open. The last close of a pool writes a checkpoint and waits for it; its error is
returned, and the handle is gone in any case but BUSY."""),
    "tarn_pool_create": (c_int, (POINTER(tarn_system), c_char_p, POINTER(tarn_pool_params), POINTER(tarn_uuid), POINTER(tarn_event)), ("sys", "label", "params", "uuid", "ev"), """int tarn_pool_create(tarn_system *sys, const char *label, const tarn_pool_params *params, tarn_uuid *uuid, tarn_event
    *ev);

Makes a pool and closes it again. uuid may be NULL. Errors: EXIST (label taken, or the device holds data), INVAL (label,
size), NOSPACE, BUSY, IO, NO_PERM, CANCELED."""),
    "tarn_pool_delete_acl": (c_int, (POINTER(tarn_pool), c_char_p, POINTER(tarn_event)), ("pool", "principal", "ev"), """int tarn_pool_delete_acl(tarn_pool *pool, const char *principal, tarn_event *ev);

Takes the entry of a principal out of the list: "u:bob@", "g:staff@", "OWNER@", "GROUP@" or "EVERYONE@". NULL: the list
is no more. Errors: NONEXIST (there is no such entry, or no list), INVAL, EP_RO, NOSPACE."""),
    "tarn_pool_destroy": (c_int, (POINTER(tarn_system), c_char_p, c_uint, POINTER(tarn_event)), ("sys", "label_or_uuid", "flags", "ev"), """int tarn_pool_destroy(tarn_system *sys, const char *label_or_uuid, unsigned flags, tarn_event *ev);

Errors: NONEXIST, BUSY (open, or it holds containers and flags lacks FORCE). A file is removed, a device's superblocks
are overwritten."""),
    "tarn_pool_get_access": (c_int, (POINTER(tarn_pool), POINTER(tarn_access), POINTER(tarn_event)), ("pool", "access", "ev"), """int tarn_pool_get_access(tarn_pool *pool, tarn_access *access, tarn_event *ev);

Errors: TRUNC (the list is longer than the room)."""),
    "tarn_pool_list": (c_int, (POINTER(tarn_system), POINTER(tarn_pool_info), POINTER(c_size_t), POINTER(tarn_event)), ("sys", "infos", "count", "ev"), """int tarn_pool_list(tarn_system *sys, tarn_pool_info *infos, size_t *count, tarn_event *ev);

Lists the pools of a system in the order of their labels: *count is the room in infos, then the number there is. A pool
that cannot be read is left out, and logged. infos NULL: count only. TRUNC when the room is too small."""),
    "tarn_pool_open": (c_int, (POINTER(tarn_system), c_char_p, POINTER(tarn_pool_options), POINTER(POINTER(tarn_pool)), POINTER(tarn_event)), ("sys", "label_or_uuid", "options", "pool", "ev"), """int tarn_pool_open(tarn_system *sys, const char *label_or_uuid, const tarn_pool_options *options, tarn_pool **pool,
    tarn_event *ev);

Opens a pool by label or UUID and recovers it. options may be NULL. The same pool may be opened again by the process
that holds it: the handles share it. Errors: NONEXIST, BUSY (names the holder), DF_INVAL, DF_INCOMPT, CSUM, IO, NOMEM."""),
    "tarn_pool_overwrite_acl": (c_int, (POINTER(tarn_pool), c_char_p, POINTER(tarn_event)), ("pool", "acl", "ev"), """int tarn_pool_overwrite_acl(tarn_pool *pool, const char *acl, tarn_event *ev);

Makes acl the list. Errors: INVAL, NOTSUPPORTED, REC2BIG, EP_RO, NOSPACE."""),
    "tarn_pool_query": (c_int, (POINTER(tarn_pool), POINTER(tarn_pool_info), POINTER(tarn_event)), ("pool", "info", "ev"), """int tarn_pool_query(tarn_pool *pool, tarn_pool_info *info, tarn_event *ev);

Errors: IO, CSUM."""),
    "tarn_pool_scrub": (c_int, (POINTER(tarn_pool), POINTER(tarn_check_options), POINTER(tarn_check_result), POINTER(tarn_event)), ("pool", "options", "result", "ev"), """int tarn_pool_scrub(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev);

Reads everything the pool refers to, and compares it with its checksums, beside other calls: what snapshots share only
once, and not faster than bytes_per_second. A finding of a snapshot may be of the container as it is, too. Otherwise as
tarn_pool_check()."""),
    "tarn_pool_set_owner": (c_int, (POINTER(tarn_pool), c_char_p, c_char_p, POINTER(tarn_event)), ("pool", "user", "group", "ev"), """int tarn_pool_set_owner(tarn_pool *pool, const char *user, const char *group, tarn_event *ev);

Sets the owner of a pool and the owner's group; NULL stays as it is. A container's are properties: TARN_PROP_OWNER,
TARN_PROP_GROUP. Errors: INVAL (more than 255 bytes), EP_RO, NOSPACE."""),
    "tarn_pool_sync": (c_int, (POINTER(tarn_pool), POINTER(tarn_event)), ("pool", "ev"), """int tarn_pool_sync(tarn_pool *pool, tarn_event *ev);

Waits until everything acknowledged or applied so far is durable. Errors: IO."""),
    "tarn_pool_update_acl": (c_int, (POINTER(tarn_pool), c_char_p, POINTER(tarn_event)), ("pool", "acl", "ev"), """int tarn_pool_update_acl(tarn_pool *pool, const char *acl, tarn_event *ev);

Puts the entries of acl into the list, in the place of those that have the same principals. Where there was no list
there is one now. Errors: as overwriting."""),
    "tarn_reader_close": (c_int, (POINTER(tarn_reader),), ("reader",), """int tarn_reader_close(tarn_reader *reader);

Frees the reader. Does not wait for the device. Errors: BUSY (it is not freed), NO_HDL."""),
    "tarn_reader_open": (c_int, (POINTER(tarn_kv), tarn_buf, POINTER(tarn_kv_stat), POINTER(POINTER(tarn_reader)), POINTER(tarn_event)), ("kv", "key", "stat", "reader", "ev"), """int tarn_reader_open(tarn_kv *kv, tarn_buf key, tarn_kv_stat *stat, tarn_reader **reader, tarn_event *ev);

Opens the value of key as it is now: later changes do not change what the reader sees. While a reader is open, space
that is freed in the pool is not used again. stat may be NULL. The caller closes the reader. Errors: NONEXIST, INVAL,
KEY2BIG, NO_HDL."""),
    "tarn_reader_read": (c_int, (POINTER(tarn_reader), c_uint64, c_void_p, POINTER(c_size_t), POINTER(tarn_event)), ("reader", "offset", "buf", "len", "ev"), """int tarn_reader_read(tarn_reader *reader, uint64_t offset, void *buf, size_t *len, tarn_event *ev);

Copies up to *len bytes from offset (in bytes); *len is then their number, 0 at or behind the end. buf and len are lent
until the result has arrived. Errors: CSUM, IO, INVAL, BUSY, NO_HDL."""),
    "tarn_snap_create": (c_int, (POINTER(tarn_cont), c_char_p, POINTER(c_uint64), POINTER(tarn_event)), ("cont", "name", "epoch", "ev"), """int tarn_snap_create(tarn_cont *cont, const char *name, uint64_t *epoch, tarn_event *ev);

Takes a snapshot. name, 1 to TARN_LABEL_MAX bytes as in a label, is unique among the container's snapshots; NULL: it has
none. epoch may be NULL. Errors: EXIST (the name is taken), INVAL (the name)."""),
    "tarn_snap_destroy": (c_int, (POINTER(tarn_cont), c_uint64, POINTER(tarn_event)), ("cont", "epoch", "ev"), """int tarn_snap_destroy(tarn_cont *cont, uint64_t epoch, tarn_event *ev);

Destroys the snapshot of that epoch. Its space is given back little by little, later. Errors: NONEXIST, BUSY (it is
open)."""),
    "tarn_snap_list": (c_int, (POINTER(tarn_cont), POINTER(tarn_snap_info), POINTER(c_size_t), POINTER(tarn_event)), ("cont", "infos", "count", "ev"), """int tarn_snap_list(tarn_cont *cont, tarn_snap_info *infos, size_t *count, tarn_event *ev);

Lists the container's snapshots in the order of their epochs: *count is the room in infos, then the number there is.
infos NULL: count only. TRUNC when the room is too small."""),
    "tarn_strerror": (c_char_p, (c_int,), ("code",), """const char *tarn_strerror(int code);

What the code means, in a few words, from the same table. Static memory; any thread may call."""),
    "tarn_system_close": (c_int, (POINTER(tarn_system),), ("sys",), """int tarn_system_close(tarn_system *sys);

BUSY while a pool of it is open."""),
    "tarn_system_open": (c_int, (c_char_p, POINTER(c_char_p), c_size_t, POINTER(POINTER(tarn_system))), ("root", "devices", "ndevices", "sys"), """int tarn_system_open(const char *root, const char *const *devices, size_t ndevices, tarn_system **sys);

Opens the system of a root directory, and of ndevices devices (URIs or paths) beside it. root NULL means $TARN_ROOT,
else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn; the directory is made (0700) when it is missing. Does not wait for
devices. Errors: BADPATH, NOTDIR, NO_PERM, NOMEM."""),
    "tarn_system_root": (c_char_p, (POINTER(tarn_system),), ("sys",), """const char *tarn_system_root(const tarn_system *sys);

The root directory; the system's memory."""),
    "tarn_uuid_format": (None, (POINTER(tarn_uuid), POINTER(c_char)), ("uuid", "text"), """void tarn_uuid_format(const tarn_uuid *uuid, char text[37]);

"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" into text[37]."""),
    "tarn_uuid_parse": (c_int, (c_char_p, POINTER(tarn_uuid)), ("text", "uuid"), """int tarn_uuid_parse(const char *text, tarn_uuid *uuid);

0, or -TARN_E_INVAL when text is not a UUID."""),
    "tarn_version": (c_char_p, (), (), """const char *tarn_version(void);

Version of the library that is linked, as "0.1.0". Static memory."""),
    "tarn_watch_close": (c_int, (POINTER(tarn_watch),), ("watch",), """int tarn_watch_close(tarn_watch *watch);

Frees the watch. Does not wait. Errors: BUSY (a call of it is running: it is not freed)."""),
    "tarn_watch_next": (c_int, (POINTER(tarn_watch), c_void_p, c_size_t, POINTER(tarn_changes), POINTER(tarn_event)), ("watch", "buf", "cap", "out", "ev"), """int tarn_watch_next(tarn_watch *watch, void *buf, size_t cap, tarn_changes *out, tarn_event *ev);

Puts the next changes into buf (8-byte aligned, cap bytes), as entries of tarn_kv_list() with TARN_ENTRY_DELETED for a
deletion. Does not wait for changes: out->count is 0 when none has been made, or when it has looked far without finding
one. A value is left out (TARN_ENTRY_OMITTED) when it does not fit into the buffer, or is longer than the pool keeps in
its log, half a node, at most 16,383 bytes; tarn_watch_values() changes that. buf and out are lent until the result has
arrived. Errors: EP_OLD (out->oldest can be asked for); NONEXIST (the object was destroyed); KEY2BIG (cap is too small
for a key: TARN_KEY_MAX + 32 always holds one); REC2BIG (after tarn_watch_values(): cap is too small for the next
change, out->used is not: call again with so many); BUSY."""),
    "tarn_watch_open": (c_int, (POINTER(tarn_kv), c_uint64, tarn_buf, c_uint, POINTER(tarn_changes), POINTER(POINTER(tarn_watch)), POINTER(tarn_event)), ("kv", "start", "prefix", "flags", "now", "watch", "ev"), """int tarn_watch_open(tarn_kv *kv, uint64_t start, tarn_buf prefix, unsigned flags, tarn_changes *now, tarn_watch **watch,
    tarn_event *ev);

Watches keys that begin with prefix (copied; empty: all), from revision `start` on (0: from now on). To go on where an
earlier watch was, start = its tarn_changes.revision + 1, and when that was in the middle of a batch tarn_watch_skip().
*now (NULL is fine) says where the watch begins: revision is start - 1. The watch keeps the pool open, not the object.
The first watch since the pool was opened reads the log once. Errors: EP_OLD (start is gone, or before the object was
made: now->oldest can be asked for); OVERFLOW (start is in the future: it is of another pool, or of one that was
restored since); NOTSUPPORTED (a snapshot does not change); KEY2BIG; INVAL (flags)."""),
    "tarn_watch_skip": (c_int, (POINTER(tarn_watch), c_uint64), ("watch", "n"), """int tarn_watch_skip(tarn_watch *watch, uint64_t n);

Of the first batch that comes, leaves out the first n changes (all, if it has no more): they have been returned by an
earlier watch, with the same prefix, whose last tarn_changes.position was n. Before the first tarn_watch_next(). Does
not wait. Errors: BUSY; INVAL (changes have been returned already)."""),
    "tarn_watch_values": (c_int, (POINTER(tarn_watch), c_uint64), ("watch", "max"), """int tarn_watch_values(tarn_watch *watch, uint64_t max);

From the next tarn_watch_next() on, values of up to max bytes are returned whole, and longer ones left out. 0, as in the
beginning: what the log has and the buffer holds. The log only says where a value longer than half a node lies. Its
space is used again some time after the key got another value or was removed: then the change has TARN_ENTRY_GONE, and
never another value than its own. The value that the key still has is always there. Does not wait. Errors: BUSY."""),
    "tarn_watch_wait": (c_int, (POINTER(tarn_watch), POINTER(tarn_event)), ("watch", "ev"), """int tarn_watch_wait(tarn_watch *watch, tarn_event *ev);

Waits until something was changed in the pool after what the last tarn_watch_next() has looked at: perhaps not in this
object. tarn_event_abort() ends the wait with CANCELED at any moment. Errors: BUSY; that of the log, when it has failed."""),
    "tarn_writer_abort": (c_int, (POINTER(tarn_writer),), ("writer",), """int tarn_writer_abort(tarn_writer *writer);

Gives back what was written, and frees the writer. Does not wait for the device. Errors: BUSY (it is not freed), NO_HDL."""),
    "tarn_writer_commit": (c_int, (POINTER(tarn_writer), POINTER(tarn_event)), ("writer", "ev"), """int tarn_writer_commit(tarn_writer *writer, tarn_event *ev);

Makes the value the key's, durably, and frees the writer, whatever the result, when that has arrived; but a refusal
because a write of it is running (BUSY) frees nothing. Errors: EXIST, NONEXIST (by the condition), NOSPACE, the error of
a write that failed, BUSY, NO_HDL."""),
    "tarn_writer_open": (c_int, (POINTER(tarn_kv), tarn_buf, c_uint, POINTER(POINTER(tarn_writer))), ("kv", "key", "cond", "writer"), """int tarn_writer_open(tarn_kv *kv, tarn_buf key, tarn_cond cond, tarn_writer **writer);

Begins a value for key, which is copied. cond is looked at by the commit. Does not wait. The caller ends the writer with
a commit or an abort. Errors: INVAL (empty key, TARN_COND_REVISION), KEY2BIG, EP_RO, NO_HDL, NOMEM."""),
    "tarn_writer_write": (c_int, (POINTER(tarn_writer), tarn_buf, POINTER(tarn_event)), ("writer", "data", "ev"), """int tarn_writer_write(tarn_writer *writer, tarn_buf data, tarn_event *ev);

Appends data, of any length; it is copied before the call returns. Waits for the device once a MiB. After an error the
writer can only be aborted. Errors: REC2BIG (over TARN_VALUE_MAX, or the container's limit), NOSPACE, INVAL, BUSY,
NO_HDL."""),
}
