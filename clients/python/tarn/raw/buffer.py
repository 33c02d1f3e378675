# SPDX-License-Identifier: Apache-2.0
"""Memory for I/O, and the loan of any Python memory to the library.

A Buffer is aligned for every device. Whoever views it (a memoryview, an I/O in flight) keeps it alive, and it cannot be closed meanwhile:
BufferError. So no I/O ever meets memory that has been given back.
"""
from __future__ import annotations

import contextlib
import ctypes
import mmap
import operator
from typing import Any

from . import _api as api

HUGE_PAGE = 2 << 20
_MAP_HUGETLB_2M = 0x40000 | 21 << 26  # MAP_HUGETLB | MAP_HUGE_2MB, which mmap does not name


class Buffer(mmap.mmap):
    """Zeroed memory of `size` bytes that begins at a page: what direct I/O needs, on every device.

    It has the buffer protocol, so that nothing needs a copy: memoryview(buf), buf[0:10], buf[0:4] = b"abcd", file.readinto(buf),
    numpy.frombuffer(buf). With huge=True it is of 2 MiB pages where the kernel has some to spare, else of ordinary ones (`huge` says
    which); size is then a multiple of 2 MiB. Without, a buffer of 2 MiB and more asks for transparent ones, since a large transfer between
    small pages is cut where the device takes no more segments: cut many buffers out of one. close(), the end of a `with`, or the last reference gives it back.

    Errors: ValueError (size), OSError (ENOMEM).
    """

    address: int
    huge: bool

    def __new__(cls, size: int, *, huge: bool = False) -> Buffer:
        size = operator.index(size)
        if size <= 0:
            raise ValueError(f"a buffer of {size} bytes was asked for: it has at least 1")
        if huge and size % HUGE_PAGE:
            raise ValueError(f"a buffer of {size} bytes in huge pages was asked for: make it a multiple of {HUGE_PAGE}")
        self, is_huge = cls._map(size, huge)
        self.address, self.huge = address_of(self), is_huge
        return self

    @classmethod
    def _map(cls, size: int, huge: bool) -> tuple[Buffer, bool]:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        if huge:
            try:
                return super().__new__(cls, -1, size, flags=flags | _MAP_HUGETLB_2M), True
            except OSError:
                pass  # no page is reserved: the plain kind does
        self = super().__new__(cls, -1, size, flags=flags)
        if size >= HUGE_PAGE:
            with contextlib.suppress(OSError):  # a kernel without them
                self.madvise(mmap.MADV_HUGEPAGE)
        return self, False

    def __init__(self, size: int, *, huge: bool = False) -> None:
        pass

    def resize(self, newsize: int) -> None:
        """Refused: the memory must not move."""
        raise TypeError("a Buffer keeps its size: make another one")

    def __repr__(self) -> str:
        return "<tarn.raw.Buffer, closed>" if self.closed else f"<tarn.raw.Buffer of {len(self)} bytes at {self.address:#x}>"


class _PyBuffer(ctypes.Structure):
    """Py_buffer of Python's C API, the same in every Python since 3.11."""
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
                ("readonly", ctypes.c_int), ("ndim", ctypes.c_int), ("format", ctypes.c_void_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p)]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes, _release_buffer.restype = (ctypes.POINTER(_PyBuffer),), None


def address_of(memory: Any) -> int:
    """Where the bytes of an object with the buffer protocol are, read-only ones too. Holds as long as somebody views it."""
    seen = _PyBuffer()
    _get_buffer(memory, ctypes.byref(seen), 0)
    address = seen.buf or 0
    _release_buffer(ctypes.byref(seen))
    return address


class Loan:
    """Memory of an object, held in place from here to release(): the address and the number of bytes to give to C."""

    __slots__ = ("view", "address", "nbytes")

    def __init__(self, memory: Any, writable: bool) -> None:
        self.view = memoryview(memory)
        if writable and self.view.readonly:
            raise TypeError(f"a read needs memory that can be written: {type(memory).__name__} cannot")
        if not self.view.c_contiguous:
            raise TypeError("the memory of an I/O is in one piece: this view has gaps")
        self.address, self.nbytes = address_of(self.view), self.view.nbytes

    def release(self) -> None:
        self.view.release()

    def __enter__(self) -> Loan:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def vectors(loans: list[Loan]) -> Any:
    """An array of tarn_dev_vec: the pieces of an I/O. It does not keep the loans."""
    array = (api.tarn_dev_vec * max(len(loans), 1))()
    for vec, loan in zip(array, loans):
        vec.ptr, vec.len = loan.address, loan.nbytes
    return array


def aligned(data: Any) -> Any:
    """data itself when it begins at a page, else a Buffer with a copy of it. Empty data stays as it is."""
    with Loan(data, False) as loan:
        if loan.nbytes == 0 or loan.address % mmap.PAGESIZE == 0:
            return data
        copy = Buffer(loan.nbytes)
        copy[:] = loan.view.cast("B")
        return copy
