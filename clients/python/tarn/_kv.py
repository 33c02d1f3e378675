# SPDX-License-Identifier: Apache-2.0
"""A key-value object of a gateway: bytes to bytes, in the order of the keys. What a dictionary is built on.

A value that is too large for one message goes through a stream by itself. Any thread may call.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import grpc

from tarn import _errno
from tarn._flight import Job, fly
from tarn._gateway import Gateway
from tarn.errors import PyDError
from tarn.v1 import kv_pb2

UNARY_MAX = 1 << 20  # bytes of a value in one message
BATCH_KEYS = 1000
BATCH_BYTES = 512 << 10  # of the keys and values of one batch
CHUNK = (256 << 10) - 64  # of a stream

# A scan that got somewhere and then met one of these goes on from there.
BROKEN = (-_errno.DER_UNREACH, -_errno.DER_TIMEDOUT, -_errno.DER_SHUTDOWN)

INSERT = kv_pb2.CONDITION_INSERT
UPDATE = kv_pb2.CONDITION_UPDATE


class Entry(NamedTuple):
    """An entry of a scan. value is None when it was not asked for, and when it is longer than 64 KiB: then get reads it."""

    key: bytes
    value: bytes | None
    revision: int


def absent(error: PyDError) -> bool:
    """Whether an error says that the key is not there; the object is."""
    return error.error.err == -_errno.DER_NONEXIST and error.resource == "key"


class KV:
    """The object of a name: "pool/container/object"."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway = gateway
        self.name = name
        self.stubs = gateway.keys

    def get(self, what: str, key: bytes) -> bytes | None:
        """The value of a key; None when it is absent."""
        try:
            answer: kv_pb2.GetResponse = self.gateway.call(what, self.stubs.Get, kv_pb2.GetRequest(object=self.name, key=key))
        except PyDError as error:
            if absent(error):
                return None
            if error.error.err != -_errno.DER_REC2BIG:
                raise
            return self._get_large(what, key, error.size)
        return answer.value

    def has(self, what: str, key: bytes) -> bool:
        """Whether a key is there."""
        try:
            self.gateway.call(what, self.stubs.Head, kv_pb2.HeadRequest(object=self.name, key=key))
        except PyDError as error:
            if absent(error):
                return False
            raise
        return True

    def count(self, what: str) -> int:
        """The number of keys."""
        answer: kv_pb2.CountResponse = self.gateway.call(what, self.stubs.Count, kv_pb2.CountRequest(object=self.name))
        return answer.count

    def put(self, what: str, key: bytes, value: bytes, condition: kv_pb2.Condition | None = None) -> None:
        """Stores a value: durable when it returns. With INSERT, DER_EXIST when the key is there."""
        if len(value) > UNARY_MAX:
            fly(self.gateway, what, [self._put_large(key, value, condition)])
            return
        self.gateway.call(what, self.stubs.Put, kv_pb2.PutRequest(object=self.name, key=key, value=value, condition=condition))

    def delete(self, what: str, key: bytes, condition: kv_pb2.Condition | None = None) -> None:
        """Removes a key. With UPDATE, absent(error) when it is not there."""
        self.gateway.call(what, self.stubs.Delete, kv_pb2.DeleteRequest(object=self.name, key=key, condition=condition))

    def delete_revision(self, what: str, key: bytes, revision: int) -> bool:
        """Removes a key if nobody has changed it since that revision; False when somebody has."""
        try:
            self.gateway.call(what, self.stubs.Delete, kv_pb2.DeleteRequest(
                object=self.name, key=key, condition=kv_pb2.CONDITION_REVISION, revision=revision))
        except PyDError as error:
            if error.error.err == -_errno.DER_TX_RESTART:
                return False
            raise
        return True

    def clear(self, what: str) -> None:
        """Removes every key, in steps."""
        self.gateway.call(what, self.stubs.DeleteRange, kv_pb2.DeleteRangeRequest(object=self.name, range=kv_pb2.KeyRange()))

    # ---- scans ----

    def first(self, what: str, prefix: bytes = b"", keys_only: bool = False) -> Entry | None:
        """The first entry whose key begins with prefix; None when there is none."""
        request = kv_pb2.ScanRequest(object=self.name, range=kv_pb2.KeyRange(prefix=prefix), limit=1, keys_only=keys_only)
        return next(self._scan(what, request), None)

    def scan(self, what: str, keys_only: bool = False) -> Iterator[Entry]:
        """The entries in order, as the gateway sends them. It goes on after the last key when the stream breaks, or when the caller
        takes so long between two entries that the stream's time is up."""
        return self._scan(what, kv_pb2.ScanRequest(object=self.name, keys_only=keys_only))

    def _scan(self, what: str, request: kv_pb2.ScanRequest) -> Iterator[Entry]:
        while True:
            stream, progress = self.gateway.start(what, self.stubs.Scan, request), False
            try:
                for entry in (entry for message in stream for entry in message.entries):
                    request.range.start, request.range.after, progress = entry.key, True, True
                    yield Entry(entry.key, entry.value if entry.HasField("value") else None, entry.revision)
                return
            except grpc.RpcError as error:
                failed = self.gateway.error(what, error)
                if not progress or failed.error.err not in BROKEN:
                    raise failed from error
            finally:
                stream.cancel()

    # ---- many keys ----

    def get_many(self, what: str, keys: Iterable[bytes], into: dict[bytes, bytes]) -> None:
        """Reads many values; what is absent is not in the answer. They are not one view."""
        large: dict[bytes, int] = {}

        def job(part: list[bytes]) -> Job:
            request = kv_pb2.BatchGetRequest(object=self.name, keys=part)
            return Job(self.stubs.BatchGet, lambda: request, self.gateway.timeout, lambda answer: done(part, answer))

        def done(part: list[bytes], answer: kv_pb2.BatchGetResponse) -> Iterator[Job]:
            short = []
            if len(answer.results) != len(part):
                raise PyDError(what, -_errno.DER_PROTO, f"the gateway answered {len(answer.results)} of {len(part)} keys")
            for key, result in zip(part, answer.results):
                if result.HasField("value"):
                    into[key] = result.value
                elif result.error.rc == -_errno.DER_REC2BIG:
                    large[key] = result.error.size
                elif result.error.rc == -_errno.DER_TRUNC:
                    short.append(key)  # it found no more room in the answer; the first one always does
                elif result.error.rc != -_errno.DER_NONEXIST:
                    raise PyDError(what, result.error.rc, result.error.message)
            if short:
                yield job(short)

        fly(self.gateway, what, (job([key for key, _ in part]) for part in _batches((key, b"") for key in keys)))
        for key, size in large.items():
            value = self._get_large(what, key, size)
            if value is not None:
                into[key] = value

    def change_many(self, what: str, changes: dict[bytes, bytes | None]) -> None:
        """Stores many values, and removes the keys whose value is None. Each is by itself: when one fails others may be done."""
        fly(self.gateway, what, self._changes(what, changes))

    def _changes(self, what: str, changes: dict[bytes, bytes | None]) -> Iterator[Job]:
        def done(answer: kv_pb2.BatchPutResponse | kv_pb2.BatchDeleteResponse) -> tuple[()]:
            for result in answer.results:
                if result.HasField("error"):
                    raise PyDError(what, result.error.rc, result.error.message)
            return ()

        def job(method: Any, request: kv_pb2.BatchPutRequest | kv_pb2.BatchDeleteRequest) -> Job:
            return Job(method, lambda: request, self.gateway.timeout, done)

        small = ((key, value) for key, value in changes.items() if value is not None and len(value) <= UNARY_MAX)
        for part in _batches(small):
            yield job(self.stubs.BatchPut, kv_pb2.BatchPutRequest(
                object=self.name, entries=[kv_pb2.PutEntry(key=key, value=value) for key, value in part]))
        for part in _batches((key, b"") for key, value in changes.items() if value is None):
            yield job(self.stubs.BatchDelete, kv_pb2.BatchDeleteRequest(object=self.name, keys=[key for key, _ in part]))
        for key, value in changes.items():
            if value is not None and len(value) > UNARY_MAX:
                yield self._put_large(key, value, None)

    # ---- values of any size ----

    def _put_large(self, key: bytes, value: bytes, condition: kv_pb2.Condition | None) -> Job:
        header = kv_pb2.PutStreamHeader(object=self.name, key=key, size=len(value), condition=condition,
                                        checksum_type=kv_pb2.CHECKSUM_TYPE_SHA256)
        return Job(self.stubs.PutStream, lambda: _messages(header, value), self.gateway.patience(len(value)))

    def _get_large(self, what: str, key: bytes, size: int) -> bytes | None:
        request = kv_pb2.GetStreamRequest(object=self.name, key=key, checksum_type=kv_pb2.CHECKSUM_TYPE_SHA256)
        value = bytearray()
        checksum = None
        try:
            for message in self.gateway.start(what, self.stubs.GetStream, request, self.gateway.patience(size)):
                value += message.data
                if message.HasField("trailer"):
                    checksum = message.trailer.checksum
        except grpc.RpcError as error:
            failed = self.gateway.error(what, error)
            if absent(failed):
                return None
            raise failed from error
        if checksum != hashlib.sha256(value).digest():
            raise PyDError(what, -_errno.DER_CSUM, f"the {len(value)} bytes that arrived do not match their checksum; read them again")
        return bytes(value)


def _messages(header: kv_pb2.PutStreamHeader, value: bytes) -> Iterator[kv_pb2.PutStreamRequest]:
    yield kv_pb2.PutStreamRequest(header=header)
    for at in range(0, len(value), CHUNK):
        yield kv_pb2.PutStreamRequest(data=value[at:at + CHUNK])
    yield kv_pb2.PutStreamRequest(commit=kv_pb2.PutStreamCommit(checksum=hashlib.sha256(value).digest()))


def _batches(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """The pairs in lists that one call can carry."""
    batch: list[tuple[bytes, bytes]] = []
    room = BATCH_BYTES
    for key, value in pairs:
        if batch and (len(batch) == BATCH_KEYS or room < len(key) + len(value)):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append((key, value))
        room -= len(key) + len(value)
    if batch:
        yield batch
