# SPDX-License-Identifier: Apache-2.0
"""Many I/Os in flight on a device.

An Io says what to do; its memory is lent to the queue from submit() until reap() has returned it, and cannot be closed meanwhile. Every Io
that was started is reaped exactly once, in the order of completion, with its result in `error`; then it may be submitted again. I/O in
flight at once has no order. Any thread may call; two that submit take turns, and so do two that reap.
"""
from __future__ import annotations

import ctypes
import dataclasses
import math
import operator
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import _api as api
from .arguments import number
from .buffer import Loan, vectors
from .errors import TarnError, make_error
from .handle import Handle
from .loader import check, lib
from .structs import from_struct

if TYPE_CHECKING:
    from .device import Device

SLICE_US = 200_000  # a wait in C is at most so long: signals, Ctrl-C among them, are looked at in between
FORGOTTEN_SECONDS = 5  # how long a queue that was not closed is waited for
_claiming = threading.Lock()  # of an Io, which two threads may submit at the same moment
_abandoned: list[Any] = []  # what a queue that could not be closed still uses: it must never be given back


@dataclasses.dataclass(frozen=True)
class QueueInfo:
    """The fields of tarn_dev_queue_info."""

    flags: int  # TARN_DEV_QUEUE_...
    depth: int
    in_flight: int  # submitted and not reaped
    fixed_count: int  # registered buffers
    backend: str
    note: str  # what was not to be had, and why


class Io:
    """One I/O. Made by the class methods; `tag` is the caller's, any object."""

    __slots__ = ("raw", "tag", "buf", "_loans", "_pieces", "_where", "_queue")

    def __init__(self, opcode: int, offset: int = 0, length: int = 0, buf: Any = None, tag: Any = None, flags: int = 0) -> None:
        self.raw = api.tarn_dev_io(opcode=opcode, flags=flags, offset=number(offset, "offset"), len=number(length, "length"))
        self.tag, self.buf = tag, buf
        self._where = self.raw.offset
        self._loans: list[Loan] = []
        self._pieces: Any = None
        self._queue: Queue | None = None

    @classmethod
    def read(cls, buf: Any, offset: int, *, tag: Any = None, fixed: int | None = None) -> Io:
        """Fills buf. fixed: the index of the registered buffer that it lies in."""
        return cls(api.TARN_DEV_READ, offset, 0, buf, tag)._fixed(fixed)

    @classmethod
    def write(cls, buf: Any, offset: int, *, tag: Any = None, fixed: int | None = None, durable: bool = False) -> Io:
        """Writes buf. durable: it is on the medium when the Io is reaped."""
        return cls(api.TARN_DEV_WRITE, offset, 0, buf, tag, api.TARN_DEV_IO_DURABLE if durable else 0)._fixed(fixed)

    @classmethod
    def readv(cls, bufs: Sequence[Any], offset: int, *, tag: Any = None) -> Io:
        """Fills the pieces one after the other."""
        return cls(api.TARN_DEV_READ, offset, 0, list(bufs), tag, api.TARN_DEV_IO_VECTOR)

    @classmethod
    def writev(cls, bufs: Sequence[Any], offset: int, *, tag: Any = None, durable: bool = False) -> Io:
        """Writes the pieces one after the other."""
        flags = api.TARN_DEV_IO_VECTOR | (api.TARN_DEV_IO_DURABLE if durable else 0)
        return cls(api.TARN_DEV_WRITE, offset, 0, list(bufs), tag, flags)

    @classmethod
    def compare(cls, buf: Any, offset: int, *, tag: Any = None) -> Io:
        """The error is DER_MISMATCH when the device has other bytes."""
        return cls(api.TARN_DEV_COMPARE, offset, 0, buf, tag)

    @classmethod
    def flush(cls, *, tag: Any = None) -> Io:
        """Covers the writes that had been reaped before it was submitted."""
        return cls(api.TARN_DEV_FLUSH, tag=tag)

    @classmethod
    def discard(cls, offset: int, length: int, *, tag: Any = None) -> Io:
        return cls(api.TARN_DEV_DISCARD, offset, length, tag=tag)

    @classmethod
    def write_zeroes(cls, offset: int, length: int, *, tag: Any = None) -> Io:
        return cls(api.TARN_DEV_WRITE_ZEROES, offset, length, tag=tag)

    @classmethod
    def zone_append(cls, buf: Any, zone: int, *, tag: Any = None) -> Io:
        """Writes at the zone's write pointer; when it has been reaped, `offset` is where that was."""
        return cls(api.TARN_DEV_ZONE_APPEND, zone, 0, buf, tag)

    @classmethod
    def nop(cls, *, tag: Any = None) -> Io:
        """Completes, and does nothing else."""
        return cls(api.TARN_DEV_NOP, tag=tag)

    def _fixed(self, index: int | None) -> Io:
        if index is not None:
            self.raw.fixed = number(index, "fixed", 1 << 16)
            self.raw.flags |= api.TARN_DEV_IO_FIXED
        return self

    @property
    def offset(self) -> int:
        return int(self.raw.offset)

    @property
    def in_flight(self) -> bool:
        return self._queue is not None

    @property
    def error(self) -> TarnError | None:
        """None when it went well; of one that has been reaped."""
        return make_error(self.raw.rc, self.raw.message.decode(errors="replace")) if self.raw.rc < 0 else None

    def check(self) -> Io:
        """Raises its error if it has one."""
        error = self.error
        if error:
            raise error
        return self

    def __repr__(self) -> str:
        opcode = api.tarn_dev_opcode(self.raw.opcode).name.removeprefix("TARN_DEV_").lower()
        return f"<tarn.raw.Io {opcode} offset={self.raw.offset} len={self.raw.len} rc={self.raw.rc} tag={self.tag!r}>"

    # ---- the queue's part ----

    def _lend(self, queue: Queue) -> int:
        """Holds the memory in place; returns the struct's address."""
        with _claiming:
            if self._queue is not None:
                raise make_error(-api.TARN_E_BUSY, f"{self!r} is in flight: submit it again when it has been reaped")
            self._queue = queue
        self.raw.offset = self._where  # an append has put another one there
        try:
            self._lend_memory()
        except BaseException:
            self._take_back()
            raise
        return ctypes.addressof(self.raw)

    def _lend_memory(self) -> None:
        if self.buf is None:
            return
        writable = self.raw.opcode == api.TARN_DEV_READ
        vector = bool(self.raw.flags & api.TARN_DEV_IO_VECTOR)
        for piece in self.buf if vector else (self.buf,):
            self._loans.append(Loan(piece, writable))
        self.raw.len = sum(loan.nbytes for loan in self._loans)
        if vector:
            self._pieces = vectors(self._loans)
            self.raw.buf, self.raw.vec_count = ctypes.addressof(self._pieces), len(self._loans)
        else:
            self.raw.buf = self._loans[0].address

    def _take_back(self) -> Io:
        loans, self._loans, self._queue = self._loans, [], None
        for loan in loans:
            loan.release()
        return self


class Queue(Handle):
    """I/O in flight on a device, up to `depth` at once. Made by Device.queue(). Closed before its device."""

    _closer = "tarn_dev_queue_close"

    @classmethod
    def open(cls, device: Device, depth: int = 128, *, single: bool = False, iopoll: bool = False, sqpoll: bool = False) -> Queue:
        """single: it is faster, and only one thread at a time is inside it. iopoll: completions are polled for. sqpoll: a kernel thread
        submits. Errors: DER_INVAL (depth is 1 to 4096), DER_NOTSUPPORTED (of a device that is open with strict), DER_NOMEM."""
        options = api.tarn_dev_queue_options(struct_size=ctypes.sizeof(api.tarn_dev_queue_options), depth=number(depth, "depth", 1 << 32))
        options.flags = ((api.TARN_DEV_QUEUE_SINGLE if single else 0) | (api.TARN_DEV_QUEUE_IOPOLL if iopoll else 0)
                         | (api.TARN_DEV_QUEUE_SQPOLL if sqpoll else 0))
        pointer = ctypes.POINTER(api.tarn_dev_queue)()
        device._call(lib.tarn_dev_queue_open, ctypes.byref(options), ctypes.byref(pointer))
        return cls(pointer, device, options.depth, single)

    def __init__(self, pointer: Any, device: Device, depth: int, single: bool) -> None:
        super().__init__(pointer, device)
        self.depth = depth
        self._submitting = threading.Lock()
        self._reaping = self._submitting if single else threading.Lock()
        self._flying: dict[int, Io] = {}  # by the struct's address
        self._registered: list[Loan] = []
        self._woken = False
        self._out = (ctypes.c_void_p * (depth + 1))()  # what C has reaped; the first 0 from _next on ends it
        self._next = 0
        self._kept: list[Io] = []  # reaped, and kept from the caller by an exception
        self._out_pointer = ctypes.cast(self._out, ctypes.POINTER(ctypes.POINTER(api.tarn_dev_io)))

    def __repr__(self) -> str:
        return f"<tarn.raw.Queue of {self.depth}, {'closed' if self.closed else f'{self.in_flight} in flight'}>"

    @property
    def info(self) -> QueueInfo:
        """What was really taken, as of now."""
        raw = api.tarn_dev_queue_info(struct_size=ctypes.sizeof(api.tarn_dev_queue_info))
        self._call(lib.tarn_dev_queue_get_info, ctypes.byref(raw))
        return from_struct(QueueInfo, raw)

    @property
    def in_flight(self) -> int:
        """Submitted and not reaped."""
        return len(self._flying) + len(self._kept)

    def register(self, bufs: Sequence[Any]) -> None:
        """Registers buffers, once, while nothing is in flight: Io.read(..., fixed=index) then costs less. They are lent until the close.
        Errors: DER_BUSY, DER_EXIST, DER_INVAL, DER_NOMEM (see ulimit -l)."""
        loans = [Loan(buf, True) for buf in bufs]
        try:
            self._call(lib.tarn_dev_queue_register, vectors(loans), len(loans))
        except BaseException:
            for loan in loans:
                loan.release()
            raise
        self._registered = loans

    def submit(self, ios: Sequence[Io]) -> int:
        """Starts Ios from the first on, and returns how many: fewer than all only when the queue is full. One that breaks a rule of the
        device is started, and completes with its error."""
        with self._submitting:
            pointer = self._begin()
            try:
                return self._start(pointer, list(ios))
            finally:
                self._end()

    def _start(self, pointer: Any, ios: list[Io]) -> int:
        lent = self._lend(ios)
        addresses = (ctypes.c_void_p * max(len(lent), 1))(*lent)
        started: int = lib.tarn_dev_queue_submit(pointer, ctypes.cast(addresses, type(self._out_pointer)), len(lent))
        for address in lent[started:]:
            self._flying.pop(address)._take_back()
        return started

    def _lend(self, ios: list[Io]) -> list[int]:
        """Their addresses; all are in _flying before C has them, for another thread may reap at once."""
        lent: list[int] = []
        try:
            for io in ios:
                if not isinstance(io, Io):
                    raise TypeError(f"a queue takes Ios, not {type(io).__name__}")
                address = io._lend(self)
                self._flying[address] = io
                lent.append(address)
        except BaseException:
            for address in lent:
                self._flying.pop(address)._take_back()
            raise
        return lent

    def reap(self, min: int = 1, max: int | None = None, timeout: float | None = None) -> list[Io]:
        """The Ios that have completed, at most max (None: all). Waits for `min` of them, up to timeout seconds (None: for ever): fewer come
        back when the time is up, when no more are in flight, or after a wake(). min 0 does not wait."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        least, most = operator.index(min), self.depth if max is None else operator.index(max)
        most = self.depth if most > self.depth else most
        least = most if least > most else least
        with self._reaping:
            return self._reap(least, most, end)

    def _reap(self, least: int, most: int, end: float) -> list[Io]:
        """What an exception (of a signal's handler, say) keeps from the caller is returned by the next reap: nothing is lost."""
        self._collect(self._kept, 0)
        if len(self._kept) < most:
            self._fill(self._kept, least, most, end)
        done = self._kept[:most]
        for io in done:
            io._take_back()
        self._kept = self._kept[most:]
        return done

    def _fill(self, done: list[Io], least: int, most: int, end: float) -> None:
        while len(done) < most:
            left = end - time.monotonic()
            wait = SLICE_US if left * 1e6 > SLICE_US else int(left * 1e6) if left > 0 else 0
            self._take(done, least - len(done), most - len(done), wait)
            woken, self._woken = self._woken, False
            if len(done) >= least or woken or left <= 0 or not self._flying:
                break

    def _take(self, done: list[Io], least: int, most: int, wait_us: int) -> None:
        pointer = self._begin()
        try:
            if not self._out[self._next]:
                ctypes.memset(self._out, 0, ctypes.sizeof(self._out))  # before _next: else there would be old ones again
                self._next = 0
                least = 0 if least < 0 else least
                lib.tarn_dev_queue_reap(pointer, least, most, wait_us if least else 0, self._out_pointer)
            self._collect(done, most)
        finally:
            self._end()

    def _collect(self, done: list[Io], most: int) -> None:
        """Moves up to most of what C has reaped to done. May be cut short at any point: the next call ends what this one has begun."""
        while address := self._out[self._next]:
            io = self._flying.get(address)
            if io is not None and io not in done[-1:]:
                if most <= 0:
                    break
                done.append(io)
                most -= 1
            self._flying.pop(address, None)
            self._next += 1

    def run(self, ios: Iterable[Io]) -> Iterator[Io]:
        """Submits all of them, as many at once as fit, and yields each when it has completed. Nothing else uses the queue meanwhile."""
        waiting: list[Io] = []
        source = iter(ios)
        more = True
        while more or waiting or self.in_flight:
            while more and len(waiting) + self.in_flight < self.depth:
                io = next(source, None)
                more = io is not None
                if io is not None:
                    waiting.append(io)
            del waiting[:self.submit(waiting)]
            yield from self.reap()

    def cancel(self, io: Io) -> bool:
        """Asks for an early end. It is reaped as ever, with DER_CANCELED or with its result. False: it was not in flight any more."""
        if io._queue is not self:
            return False
        pointer = self._begin()
        try:
            rc = lib.tarn_dev_queue_cancel(pointer, ctypes.byref(io.raw))
            return rc != -api.TARN_E_NONEXIST and check(rc) == 0
        finally:
            self._end()

    def fd(self) -> int:
        """A descriptor that is readable while completions wait, for select and asyncio's add_reader(): then reap(0) until that returns
        nothing. The queue's: do not close it. DER_NOTSUPPORTED with iopoll."""
        return self._call(lib.tarn_dev_queue_fd)

    def wake(self) -> None:
        """The thread that waits in reap(), or the next one that would, returns early."""
        pointer = self._begin()
        try:
            self._woken = True
            lib.tarn_dev_queue_wake(pointer)
        finally:
            self._end()

    def close(self, timeout: float | None = None) -> None:
        """Waits up to timeout seconds (None: for ever) until nothing is in flight; what was not reaped is dropped. DER_TIMEDOUT: it stays
        open, and what is in flight stays lent."""
        self._close(-1 if timeout is None else int(timeout * 1e6))
        if self._pointer is None:
            for io in list(self._flying.values()):
                io._take_back()
            self._flying.clear()
            self._kept.clear()
            for loan in self._registered:
                loan.release()
            self._registered = []

    def __del__(self) -> None:
        if self._pointer is None:
            return
        warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self)
        try:
            self.close(FORGOTTEN_SECONDS)
        except OSError:  # C still uses the memory
            _abandoned.append((dict(self._flying), self._registered, self._parent))
