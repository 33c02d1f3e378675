# SPDX-License-Identifier: Apache-2.0
"""The changes of a dictionary, as they become durable: each once, in the order in which they were made.

A watch goes on where it was when the gateway is started anew, cannot be reached for a moment, or is full. What is kept is the pool's log:
who has been away for longer than it reaches back gets DER_EP_OLD, and reads the dictionary anew.
"""
from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

import grpc

from tarn import _errno
from tarn._kv import BROKEN, KV
from tarn.errors import PyDError
from tarn.v1 import kv_pb2

VALUE_MAX = 1 << 20  # bytes of a value that comes with its change
_AGAIN = (*BROKEN, -_errno.DER_OVERLOAD_RETRY)
_PAUSE, _PAUSE_MAX = 0.05, 2.0  # seconds


class Change(NamedTuple):
    """One change of a key. Those of one batch have one revision.

    value is what this change gave the key, and never what a later one did. It is None when the key was removed (deleted), when only
    keys were asked for, when the value is longer than was asked for, and when it can no longer be had (gone): the space of a value
    over 2 KiB is used again some time after the key got another value or was removed. size is its length in bytes in any case.
    """

    key: str
    value: bytes | None
    revision: int
    deleted: bool
    size: int
    gone: bool


class Watch(Iterator[Change]):
    """The changes of a dictionary: an iterator without an end, and a context manager. DDict.watch makes one.

    next() waits until something is changed, for as long as that takes. One thread iterates; any may close, which ends the iteration.
    """

    def __init__(self, kv: KV, request: kv_pb2.WatchRequest, patience: float) -> None:
        self._kv = kv
        self._request = request
        self._patience = patience  # seconds without a gateway after which it is an error
        self._ready: deque[kv_pb2.WatchChange] = deque()
        self._place = (0, 0)  # all up to this revision, and so many changes of the next one, have come
        self._revision, self._position = 0, 0  # the same, of what has been returned
        self._lock = threading.Lock()
        self._closed = False
        self._stream: Any = None
        self._open()

    @property
    def revision(self) -> int:
        """All changes up to this revision have been returned: DDict.watch(after=revision, position=position) goes on behind it, in another
        process too. Of a batch that has been returned in part it is the revision before."""
        return self._revision

    @property
    def position(self) -> int:
        """So many changes of the batch behind revision have been returned: 0 unless one has been returned in part. Without it
        DDict.watch(after=revision) returns that batch again, from its beginning."""
        return self._position

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Change:
        """The next change. StopIteration when the watch is closed. PyDError: DER_EP_OLD (what comes next is no longer in the log: read the
        dictionary anew; error.oldest is the first revision that is there), DER_NONEXIST (the dictionary was destroyed), DER_UNREACH
        (the gateway was away for longer than the container's timeout), and what else goes wrong. After an error it is closed."""
        while not self._ready:
            if self._closed:
                raise StopIteration
            self._more()
        change = self._ready.popleft()
        self._returned(change.revision)
        return _change(change)

    def _returned(self, revision: int) -> None:
        """A change of that revision is returned."""
        if not self._ready:
            self._revision, self._position = self._place
        elif self._ready[0].revision != revision:
            self._revision, self._position = self._ready[0].revision - 1, 0
        else:
            before = self._position if self._revision == revision - 1 else 0
            self._revision, self._position = revision - 1, before + 1

    def close(self) -> None:
        """Ends the watch. Closing again does nothing."""
        with self._lock:
            self._closed = True
            if self._stream is not None:
                self._stream.cancel()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._stream.cancel()

    def _more(self) -> None:
        """Takes the next message. When the stream is broken it is begun anew."""
        try:
            self._take(next(self._stream))
        except StopIteration:  # the gateway never ends it without an error
            self._again(PyDError("failed to watch", -_errno.DER_UNREACH, "the stream ended"))
        except grpc.RpcError as error:
            if not self._closed:
                self._again(self._kv.gateway.error("failed to watch", error))

    def _again(self, failed: PyDError) -> None:
        """Watches again, after pauses that grow, unless it makes no sense or takes too long."""
        until, pause = time.monotonic() + self._patience, _PAUSE
        while not self._closed:
            if failed.error.err not in _AGAIN or time.monotonic() > until:
                self.close()
                raise failed
            time.sleep(max(failed.delay, pause * random.uniform(0.5, 1.5)))
            pause = min(2 * pause, _PAUSE_MAX)
            try:
                return self._open()
            except PyDError as error:
                failed = error

    def _open(self) -> None:
        """Begins a stream, and takes its first answer, which says where it begins."""
        gateway = self._kv.gateway
        try:
            stream = gateway.stream("failed to watch", self._kv.stubs.Watch, self._request)
            with self._lock:
                self._stream = stream
                if self._closed:
                    stream.cancel()
            self._take(next(stream))
        except grpc.RpcError as error:
            raise gateway.error("failed to watch", error) from error

    def _take(self, message: kv_pb2.WatchResponse) -> None:
        self._ready.extend(message.changes)
        self._place = message.revision, message.position
        self._request.start_revision, self._request.start_position = message.revision + 1, message.position
        if not self._ready:
            self._revision, self._position = self._place


def _change(change: kv_pb2.WatchChange) -> Change:
    value = change.value if change.HasField("value") else None
    return Change(change.key.decode("utf-8", "surrogateescape"), value, change.revision, change.deleted, change.size, change.gone)


def watch(kv: KV, prefix: bytes, after: int | None, position: int, keys_only: bool, value_max: int) -> Watch:
    """A watch of an object's keys; see DDict.watch."""
    if after is not None and after < 0 or not 0 < value_max <= VALUE_MAX:
        raise ValueError(f"after is a revision or None, not {after}, and value_max from 1 to {VALUE_MAX}, not {value_max}")
    if position < 0 or position and after is None:
        raise ValueError(f"position is of the batch behind after, so it is 0 without that, and not negative; it is {position}")
    request = kv_pb2.WatchRequest(object=kv.name, prefix=prefix, keys_only=keys_only, value_max=value_max,
                                  start_revision=0 if after is None else after + 1, start_position=position)
    return Watch(kv, request, kv.gateway.timeout)


for _public in (Change, Watch):
    _public.__module__ = "tarn"
