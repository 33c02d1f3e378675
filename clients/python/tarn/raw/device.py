# SPDX-License-Identifier: Apache-2.0
"""Devices: what there are, what they are like, and I/O on them that waits. See queue.py for I/O that does not.

The rules are those of tarn/dev.h. Offsets and lengths are in bytes. Memory is any object with the buffer protocol, used where it is: no
call here copies but pread(), pwrite() and compare(). Any thread may call; none holds the interpreter while the device works.
"""
from __future__ import annotations

import ctypes
import dataclasses
import operator
import os
from typing import Any

from . import _api as api
from .arguments import number, text, text_or_none
from .buffer import Buffer, Loan, aligned, vectors
from .errors import TarnError
from .handle import Handle
from .loader import check, lib
from .queue import Queue
from .structs import from_struct

ZONES_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """What a device is, and how it is open; the fields of tarn_dev_info. Sizes in bytes. Fields that only an open can tell are 0, "" or
    False in a list."""

    uri: str
    kind: str  # "file", "block", "nvme" (namespace), "nvme-ctrl", "mem", "sim"
    driver: str
    model: str
    serial: str
    backend: str  # what does the I/O
    note: str  # what was not to be had, and why
    twin: str  # the URI of the same namespace as the other kind of node
    size: int
    logical_block: int
    physical_block: int
    memory_alignment: int  # of buffers
    offset_alignment: int  # of offsets and lengths
    max_transfer: int  # in one command; a queue refuses more
    optimal_io: int  # 0: not known
    atomic_write: int  # 0: not known
    direct: bool  # past the page cache
    volatile_cache: bool  # a flush is needed for durability
    rotational: bool
    readonly: bool
    in_use: bool  # mounted, or held by another user
    nsid: int
    csi: int  # NVMe command set: 0 NVM, 1 KV, 2 zoned
    zoned: bool
    max_open_zones: int  # 0: no limit
    max_active_zones: int  # 0: no limit
    zone_count: int
    zone_bytes: int
    bounced: int  # I/Os through a bounce buffer since the open


@dataclasses.dataclass(frozen=True)
class Zone:
    """A zone, and where its next write goes; the fields of tarn_dev_zone."""

    offset: int
    bytes: int
    capacity: int
    write_pointer: int
    type: api.tarn_dev_zone_type | int
    state: api.tarn_dev_zone_state | int


def _new_info() -> Any:
    raw = api.tarn_dev_info()
    raw.struct_size = ctypes.sizeof(raw)
    return raw


def list_devices() -> list[DeviceInfo]:
    """The block devices, NVMe controllers and namespaces there are; none of them is opened."""
    count = ctypes.c_size_t(0)
    check(lib.tarn_dev_list(None, ctypes.byref(count)))
    while True:
        room = count.value + 8  # some may come meanwhile
        infos = (api.tarn_dev_info * room)()
        infos[0].struct_size = ctypes.sizeof(api.tarn_dev_info)
        count.value = room
        rc = lib.tarn_dev_list(infos, ctypes.byref(count))
        if rc != -api.TARN_E_TRUNC:
            check(rc)
            return [from_struct(DeviceInfo, raw) for raw in infos[:count.value]]


def query(uri: str | os.PathLike[str]) -> DeviceInfo:
    """What Device.open(uri) would find. Errors: as that."""
    raw = _new_info()
    check(lib.tarn_dev_query(text(uri, "the URI"), ctypes.byref(raw)))
    return from_struct(DeviceInfo, raw)


class Device(Handle):
    """An open device. Make one with Device.open()."""

    _closer = "tarn_dev_close"

    @classmethod
    def open(cls, uri: str | os.PathLike[str], *, write: bool = False, create: int | None = None, exclusive: bool = False,
             strict: bool = False, buffered: bool = False, bounce: bool = False, backend: str | None = None) -> Device:
        """Opens a device by URI ("file:PATH", "block:PATH", "nvme:PATH", "mem:SIZE", "sim:SIZE") or by a path that exists.

        write      for writing too
        create     make a regular file of so many bytes: DER_EXIST when there is one; opens it for writing
        exclusive  hold it: DER_BUSY when it is mounted or somebody else holds it
        strict     no fallback of any kind: DER_NOTSUPPORTED instead
        buffered   through the page cache; else direct I/O where it can be had (info.direct, info.note)
        bounce     misaligned I/O goes through an aligned buffer, and info.bounced counts it; else it is DER_INVAL
        backend    "io_uring", "threads"; for nvme: "io_uring_cmd", "ioctl"; None: the best there is

        Errors: DER_NONEXIST, DER_EXIST, DER_NO_PERM, DER_INVAL, DER_BUSY, DER_NOSPACE, DER_NOTSUPPORTED, DER_IO, DER_NOMEM.
        """
        options = api.tarn_dev_options(struct_size=ctypes.sizeof(api.tarn_dev_options))
        for wanted, flag in ((write or create is not None, api.TARN_DEV_RDWR), (create is not None, api.TARN_DEV_CREATE),
                             (exclusive, api.TARN_DEV_EXCLUSIVE), (strict, api.TARN_DEV_STRICT), (buffered, api.TARN_DEV_BUFFERED),
                             (bounce, api.TARN_DEV_BOUNCE)):
            options.flags |= flag if wanted else 0
        options.create_bytes = number(create or 0, "create")
        options.backend = text_or_none(backend, "the backend")
        pointer = ctypes.POINTER(api.tarn_dev)()
        check(lib.tarn_dev_open(text(uri, "the URI"), ctypes.byref(options), ctypes.byref(pointer)))
        return cls(pointer)

    @property
    def info(self) -> DeviceInfo:
        """What was really chosen, as of now."""
        raw = _new_info()
        self._call(lib.tarn_dev_get_info, ctypes.byref(raw))
        return from_struct(DeviceInfo, raw)

    def __repr__(self) -> str:
        return "<tarn.raw.Device, closed>" if self.closed else f"<tarn.raw.Device {self.info.uri}>"

    # ---- without a copy ----

    def read_into(self, buf: Any, offset: int) -> int:
        """Fills buf, any writable memory (best a Buffer), from offset on; returns its length. Short is an error."""
        with Loan(buf, True) as loan:
            self._call(lib.tarn_dev_read, number(offset, "offset"), loan.address, loan.nbytes)
            return loan.nbytes

    def write_from(self, buf: Any, offset: int, *, durable: bool = False) -> int:
        """Writes all of buf at offset, and returns its length; with durable it survives a power cut from then on."""
        with Loan(buf, False) as loan:
            flags = api.TARN_DEV_DURABLE if durable else 0
            self._call(lib.tarn_dev_write, number(offset, "offset"), loan.address, loan.nbytes, flags)
            return loan.nbytes

    def readv_into(self, bufs: list[Any], offset: int) -> int:
        """Fills the pieces one after the other; at most 1024."""
        return self._vector(lib.tarn_dev_readv, bufs, True, offset)

    def writev_from(self, bufs: list[Any], offset: int, *, durable: bool = False) -> int:
        """Writes the pieces one after the other; at most 1024."""
        return self._vector(lib.tarn_dev_writev, bufs, False, offset, api.TARN_DEV_DURABLE if durable else 0)

    def _vector(self, function: Any, bufs: list[Any], writable: bool, offset: int, *flags: int) -> int:
        loans: list[Loan] = []
        try:
            for buf in bufs:
                loans.append(Loan(buf, writable))
            self._call(function, number(offset, "offset"), vectors(loans), len(loans), *flags)
            return sum(loan.nbytes for loan in loans)
        finally:
            for loan in loans:
                loan.release()

    # ---- with a copy, from and to Python's own memory ----

    def pread(self, length: int, offset: int) -> bytes:
        """The length bytes at offset. Both are aligned (info.offset_alignment), or the device is open with bounce."""
        if number(length, "length") == 0:
            return b""
        with Buffer(length) as buf:
            self.read_into(buf, offset)
            return buf[:]

    def pwrite(self, data: Any, offset: int, *, durable: bool = False) -> int:
        """Writes data, wherever it is in memory, at offset, and returns its length. Alignment: as pread()."""
        return self.write_from(aligned(data), offset, durable=durable)

    def compare(self, data: Any, offset: int, *, raising: bool = False) -> bool:
        """Whether the device has these bytes at offset. With raising a difference raises DER_MISMATCH, which says where it is."""
        with Loan(aligned(data), False) as loan:
            try:
                self._call(lib.tarn_dev_compare, number(offset, "offset"), loan.address, loan.nbytes)
            except TarnError as error:
                if raising or error.code != -api.TARN_E_MISMATCH:
                    raise
                return False
        return True

    # ---- without data ----

    def flush(self) -> None:
        """What had been written before is on the medium."""
        self._call(lib.tarn_dev_flush)

    def discard(self, offset: int, length: int) -> None:
        """The bytes are not needed any more; a file, mem: and sim: read as zeros there. DER_NOTSUPPORTED where there is none."""
        self._call(lib.tarn_dev_discard, number(offset, "offset"), number(length, "length"))

    def write_zeroes(self, offset: int, length: int) -> None:
        """The bytes read as zeros. DER_NOTSUPPORTED where there is no command for it."""
        self._call(lib.tarn_dev_write_zeroes, number(offset, "offset"), number(length, "length"))

    def queue(self, depth: int = 128, *, single: bool = False, iopoll: bool = False, sqpoll: bool = False) -> Queue:
        """A queue for many I/Os at once; see Queue."""
        return Queue.open(self, depth, single=single, iopoll=iopoll, sqpoll=sqpoll)

    # ---- zones; DER_NOTSUPPORTED on a device that has none ----

    def zones(self, offset: int = 0, count: int | None = None) -> list[Zone]:
        """The zones from the one at offset on: all of them, or count."""
        found: list[Zone] = []
        want = None if count is None else operator.index(count)
        while want is None or len(found) < want:
            room = ZONES_AT_ONCE if want is None else min(ZONES_AT_ONCE, want - len(found))
            raw, got = (api.tarn_dev_zone * room)(), ctypes.c_uint32(room)
            self._call(lib.tarn_dev_zone_report, number(offset, "offset"), raw, ctypes.byref(got))
            found += [_zone(one) for one in raw[:got.value]]
            if got.value < room:
                break
            offset = found[-1].offset + found[-1].bytes
            if offset >= self.info.size:
                break
        return found

    def zone_open(self, offset: int, length: int) -> None:
        """Opens the zones in [offset, offset + length) explicitly."""
        self._call(lib.tarn_dev_zone_open, number(offset, "offset"), number(length, "length"))

    def zone_close(self, offset: int, length: int) -> None:
        self._call(lib.tarn_dev_zone_close, number(offset, "offset"), number(length, "length"))

    def zone_finish(self, offset: int, length: int) -> None:
        """Makes the zones full."""
        self._call(lib.tarn_dev_zone_finish, number(offset, "offset"), number(length, "length"))

    def zone_reset(self, offset: int, length: int) -> None:
        """Makes the zones empty: their data is lost."""
        self._call(lib.tarn_dev_zone_reset, number(offset, "offset"), number(length, "length"))

    def zone_append(self, buf: Any, zone: int) -> int:
        """Writes buf at the write pointer of the zone that begins at `zone`, and returns where that was."""
        where = ctypes.c_uint64()
        with Loan(buf, False) as loan:
            self._call(lib.tarn_dev_zone_append, number(zone, "zone"), loan.address, loan.nbytes, ctypes.byref(where))
        return where.value


def _named(kind: Any, value: int) -> Any:
    """The enumerator of a value, or the value when it has no name."""
    return kind(value) if value in kind._value2member_map_ else value


def _zone(raw: Any) -> Zone:
    return Zone(raw.offset, raw.bytes, raw.capacity, raw.write_pointer, _named(api.tarn_dev_zone_type, raw.type),
                _named(api.tarn_dev_zone_state, raw.state))
