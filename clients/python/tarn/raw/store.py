# SPDX-License-Identifier: Apache-2.0
"""Systems, pools, containers and key-value objects, and the key-value device, in this process: the library itself, no gateway.

A thin face of tarn/pool.h, cont.h, kv.h and kvdev.h: names are text, keys and values are bytes, and what is not here is in tarn.raw.lib.
One process at a time holds a pool. Any thread may call; a parent is closed after its children.
"""
from __future__ import annotations

import ctypes
import dataclasses
import os
import struct
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from . import _api as api
from .arguments import number, text, text_or_none
from .buffer import Loan
from .handle import Handle
from .loader import check, lib

LIST_BYTES = 256 << 10  # of one batch of a listing; at least TARN_KEY_MAX + 32


def _lend(data: Any) -> tuple[Loan, Any]:
    loan = Loan(data, False)
    return loan, api.tarn_buf(loan.address if loan.nbytes else None, loan.nbytes)


def _names(function: Any, kind: Any, handle: Handle) -> list[Any]:
    """The structs that a list function fills, which says TRUNC when there is too little room."""
    count = ctypes.c_size_t(0)
    handle._call(function, None, ctypes.byref(count), None)
    while True:
        room = count.value + 8
        infos, count.value = (kind * room)(), room
        pointer = handle._begin()
        try:
            rc = function(pointer, infos, ctypes.byref(count), None)
            if rc != -api.TARN_E_TRUNC:
                check(rc)
                return list(infos[:count.value])
        finally:
            handle._end()


class System(Handle):
    """Where pools are found: a root directory (None: $TARN_ROOT, then ~/.local/share/tarn), and devices beside it."""

    _closer = "tarn_system_close"

    def __init__(self, root: str | os.PathLike[str] | None = None, devices: Sequence[str] = ()) -> None:
        pointer = ctypes.POINTER(api.tarn_system)()
        names = (ctypes.c_char_p * max(len(devices), 1))(*(text(name, "the device") for name in devices))
        check(lib.tarn_system_open(text_or_none(root, "the root"), names, len(devices), ctypes.byref(pointer)))
        super().__init__(pointer)

    @property
    def root(self) -> str:
        pointer = self._begin()
        try:
            return os.fsdecode(lib.tarn_system_root(pointer))
        finally:
            self._end()

    def create_pool(self, label: str, size: int = 0, *, device: str | None = None, overwrite: bool = False) -> uuid.UUID:
        """Makes a pool in a file of the root directory, or on a device (size 0: all of it)."""
        params = api.tarn_pool_params(struct_size=ctypes.sizeof(api.tarn_pool_params), size=number(size, "size"))
        params.device = text_or_none(device, "the device")
        params.flags = api.TARN_POOL_OVERWRITE if overwrite else 0
        made = api.tarn_uuid()
        self._call(lib.tarn_pool_create, text(label, "the label"), ctypes.byref(params), ctypes.byref(made), None)
        return uuid.UUID(bytes=bytes(made.bytes))

    def pools(self) -> list[str]:
        """The labels of the pools there are."""
        return [info.label.decode() for info in _names(lib.tarn_pool_list, api.tarn_pool_info, self)]

    def destroy_pool(self, label: str, *, force: bool = False) -> None:
        self._call(lib.tarn_pool_destroy, text(label, "the label"), api.TARN_DESTROY_FORCE if force else 0, None)

    def open_pool(self, label: str, *, readonly: bool = False) -> Pool:
        options = api.tarn_pool_options(struct_size=ctypes.sizeof(api.tarn_pool_options))
        options.flags = api.TARN_POOL_RDONLY if readonly else 0
        pointer = ctypes.POINTER(api.tarn_pool)()
        self._call(lib.tarn_pool_open, text(label, "the label"), ctypes.byref(options), ctypes.byref(pointer), None)
        return Pool(pointer, self)


class Pool(Handle):
    """An open pool. Made by System.open_pool()."""

    _closer = "tarn_pool_close"

    @property
    def info(self) -> Any:
        """A tarn_pool_info."""
        raw = api.tarn_pool_info()
        self._call(lib.tarn_pool_query, ctypes.byref(raw), None)
        return raw

    def create_container(self, label: str, kind: int = api.TARN_CONT_KV) -> uuid.UUID:
        made = api.tarn_uuid()
        self._call(lib.tarn_cont_create, text(label, "the label"), kind, None, 0, ctypes.byref(made), None)
        return uuid.UUID(bytes=bytes(made.bytes))

    def containers(self) -> list[str]:
        """The labels of the containers there are."""
        return [info.label.decode() for info in _names(lib.tarn_cont_list, api.tarn_cont_info, self)]

    def destroy_container(self, label: str, *, force: bool = False) -> None:
        self._call(lib.tarn_cont_destroy, text(label, "the label"), api.TARN_DESTROY_FORCE if force else 0, None)

    def open_container(self, label: str, *, readonly: bool = False) -> Container:
        pointer = ctypes.POINTER(api.tarn_cont)()
        flags = api.TARN_CONT_RDONLY if readonly else 0
        self._call(lib.tarn_cont_open, text(label, "the label"), flags, ctypes.byref(pointer), None)
        return Container(pointer, self)


class Container(Handle):
    """An open container. Made by Pool.open_container()."""

    _closer = "tarn_cont_close"

    def objects(self) -> list[str]:
        """The names of the objects there are."""
        found: list[str] = []
        infos, room = (api.tarn_object_info * 256)(), 256
        count = ctypes.c_size_t(room)
        after = None
        while count.value == room:
            self._call(lib.tarn_object_list, after, infos, ctypes.byref(count), None)
            found += [os.fsdecode(info.name) for info in infos[:count.value]]
            after = infos[room - 1].name
        return found

    def destroy_object(self, name: str) -> None:
        self._call(lib.tarn_object_destroy, text(name, "the name"), None)

    def open_kv(self, name: str, *, create: bool = True, readonly: bool = False) -> KeyValue:
        """The key-value object of that name, which is made when there is none, unless create is False: then DER_NONEXIST."""
        pointer = ctypes.POINTER(api.tarn_kv)()
        flags = (api.TARN_KV_CREATE if create and not readonly else 0) | (api.TARN_KV_RDONLY if readonly else 0)
        self._call(lib.tarn_kv_open, text(name, "the name"), flags, ctypes.byref(pointer), None)
        return KeyValue(pointer, self)

    def open_kv_device(self) -> KeyValueDevice:
        """The key-value device in this container, which is made when there is none."""
        pointer = ctypes.POINTER(api.tarn_kvdev)()
        self._call(lib.tarn_kvdev_open, ctypes.byref(pointer), None)
        return KeyValueDevice(pointer, self)


class KeyValue(Handle):
    """A key-value object. Keys are ordered bytewise; what was put survives a crash. Made by Container.open_kv()."""

    _closer = "tarn_kv_close"

    def put(self, key: Any, value: Any, *, cond: int = api.TARN_COND_NONE) -> None:
        """Errors: DER_KEY2BIG, DER_REC2BIG, DER_INVAL (empty key), by cond DER_EXIST and DER_NONEXIST."""
        (key_loan, k), (value_loan, v) = _lend(key), _lend(value)
        with key_loan, value_loan:
            self._call(lib.tarn_kv_put, k, v, cond, None)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of key as bytes, or default."""
        size, room = 0, 4096
        loan, k = _lend(key)
        with loan:
            while True:
                buf, length = ctypes.create_string_buffer(room), ctypes.c_size_t(room)
                pointer = self._begin()
                try:
                    rc = lib.tarn_kv_get(pointer, k, buf, ctypes.byref(length), None)
                    size = length.value
                    if rc == -api.TARN_E_NONEXIST:
                        return default
                    if rc != -api.TARN_E_REC2BIG or size <= room:
                        check(rc)
                        return ctypes.string_at(buf, size)
                finally:
                    self._end()
                room = size

    def delete(self, key: Any, *, cond: int = api.TARN_COND_NONE) -> None:
        """Absent is fine, unless cond is TARN_COND_UPDATE: then DER_NONEXIST."""
        loan, k = _lend(key)
        with loan:
            self._call(lib.tarn_kv_del, k, cond, None)

    def __len__(self) -> int:
        count = ctypes.c_uint64()
        self._call(lib.tarn_kv_count, None, ctypes.byref(count), None)
        return count.value

    def __bool__(self) -> bool:
        return True  # of the handle, not of the number of its keys

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """The keys that begin with prefix, in order; each batch is a view of one moment."""
        buf = ctypes.create_string_buffer(LIST_BYTES)
        span = api.tarn_range(flags=api.TARN_RANGE_KEYS_ONLY)
        lent, span.prefix = _lend(prefix)
        listing = api.tarn_listing(more=1)
        with lent:
            while listing.more:
                self._call(lib.tarn_kv_list, ctypes.byref(span), 0, buf, LIST_BYTES, ctypes.byref(listing), None)
                found = list(_entries(buf, listing.count))
                yield from found
                if not found:
                    return
                last, span.start = _lend(found[-1])  # `found` keeps the bytes
                span.flags |= api.TARN_RANGE_AFTER


def _entries(buf: Any, count: int) -> Iterator[bytes]:
    """The keys of a listing's entries, which have no values."""
    at, header = 0, ctypes.sizeof(api.tarn_entry)
    for _ in range(count):
        entry = api.tarn_entry.from_buffer(buf, at)
        yield ctypes.string_at(ctypes.addressof(buf) + at + header, entry.key_len)
        body = header + entry.key_len + (0 if entry.flags & api.TARN_ENTRY_OMITTED else entry.val_len)
        at += (body + 7) & ~7


@dataclasses.dataclass(frozen=True)
class KeyValueInfo:
    """The fields of tarn_kvdev_info; sizes in bytes."""

    key_max: int
    value_max: int
    key_count: int
    capacity: int
    used: int


class KeyValueDevice(Handle):
    """The NVMe Key Value Command Set over a container. Keys have 1 to 16 bytes. Made by Container.open_kv_device()."""

    _closer = "tarn_kvdev_close"

    @property
    def info(self) -> KeyValueInfo:
        raw = api.tarn_kvdev_info(struct_size=ctypes.sizeof(api.tarn_kvdev_info))
        self._call(lib.tarn_kvdev_get_info, ctypes.byref(raw))
        return KeyValueInfo(*(getattr(raw, field.name) for field in dataclasses.fields(KeyValueInfo)))

    def store(self, key: Any, value: Any, *, update: bool = False, add: bool = False) -> None:
        """update: only when the key is there, else DER_NONEXIST; add: only when it is not, else DER_EXIST."""
        options = (api.TARN_KVDEV_UPDATE if update else 0) | (api.TARN_KVDEV_ADD if add else 0)
        (key_loan, k), (value_loan, v) = _lend(key), _lend(value)
        with key_loan, value_loan:
            self._call(lib.tarn_kvdev_store, k, v, options, None)

    def retrieve_into(self, key: Any, buf: Any) -> int:
        """Fills buf with the first bytes of the value that fit; returns the value's whole size. DER_NONEXIST."""
        loan, k = _lend(key)
        with loan, Loan(buf, True) as room:
            length = ctypes.c_size_t(room.nbytes)
            self._call(lib.tarn_kvdev_retrieve, k, room.address if room.nbytes else None, ctypes.byref(length), None)
            return length.value

    def retrieve(self, key: Any) -> bytes:
        """The value, whole. DER_NONEXIST."""
        buf = bytearray(4096)
        while (size := self.retrieve_into(key, buf)) > len(buf):
            buf = bytearray(size)
        return bytes(memoryview(buf)[:size])

    def delete(self, key: Any) -> None:
        """DER_NONEXIST when there is no such key."""
        loan, k = _lend(key)
        with loan:
            self._call(lib.tarn_kvdev_delete, k, None)

    def exist(self, key: Any) -> bool:
        loan, k = _lend(key)
        with loan:
            pointer = self._begin()
            try:
                rc = lib.tarn_kvdev_exist(pointer, k, None)
                return rc != -api.TARN_E_NONEXIST and check(rc) == 0
            finally:
                self._end()

    def keys(self, start: bytes = b"") -> Iterator[bytes]:
        """The keys from start on, in order."""
        buf = bytearray(4096)
        first = bytes(start)
        follows = False  # the list begins with a key that has been yielded
        while True:
            found = self._list(first, buf)
            fresh = found[1:] if follows and found[:1] == [first] else found
            if not fresh:
                return
            yield from fresh
            first, follows = fresh[-1], True

    def _list(self, start: bytes, buf: bytearray) -> list[bytes]:
        loan, k = _lend(start)
        with loan, Loan(buf, True) as room:
            length = ctypes.c_size_t(room.nbytes)
            self._call(lib.tarn_kvdev_list, k, room.address, ctypes.byref(length), None)
        found, at = [], 4
        for _ in range(struct.unpack_from("<I", buf)[0]):
            size, = struct.unpack_from("<H", buf, at)
            found.append(bytes(buf[at + 2:at + 2 + size]))
            at += (2 + size + 3) & ~3
        return found
