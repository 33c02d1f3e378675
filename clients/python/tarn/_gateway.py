# SPDX-License-Identifier: Apache-2.0
"""A connection to a gateway. Any thread may use it; it does not outlive a fork.

Every call has a deadline. A call that changes nothing is repeated when the gateway cannot be reached for a moment; any call is when the
gateway was full and has not begun it; else a change is never sent twice. Every failure is a PyDError.
"""
from __future__ import annotations

import json
import os
from typing import Any

import grpc
from google.protobuf import descriptor_pb2

from tarn import _errno, _secure
from tarn._patience import Patience
from tarn._status import error_of
from tarn.errors import PyDError
from tarn.v1 import container_pb2, container_pb2_grpc, kv_pb2, kv_pb2_grpc, object_pb2, object_pb2_grpc

_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_IDLE_MS = 2_000
_RECONNECT_MS = (100, 1_000)  # the first pause between two attempts to connect, and the longest
_ANSWER_MAX = 8 << 20
_SLOWEST = 4 << 20  # bytes a second that a large value is given


class Gateway:
    """The stubs of a gateway, and the one way to call them."""

    def __init__(self, endpoint: str, timeout: float, what: str) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._pid = os.getpid()
        self._open = True
        self._channel = _secure.channel(endpoint, what, _options())
        self.containers = container_pb2_grpc.ContainerServiceStub(self._channel)
        self.objects = object_pb2_grpc.ObjectServiceStub(self._channel)
        self.keys = kv_pb2_grpc.KeyValueServiceStub(self._channel)

    def close(self) -> None:
        """Ends the connection; calls that run fail with DER_CANCELED. Closing again does nothing."""
        self._open = False
        if self._pid == os.getpid():
            self._channel.close()

    def check(self, what: str) -> None:
        """DER_NO_HDL when the connection is closed, or was made by another process."""
        if not self._open:
            raise PyDError(what, -_errno.DER_NO_HDL, "the container is closed; open it again with DCont")
        if self._pid != os.getpid():
            raise PyDError(what, -_errno.DER_NO_HDL, "the container was opened before this process was forked; gRPC does not survive "
                           "that: open it in the new process, or start processes with multiprocessing's method \"spawn\"")

    def start(self, what: str, method: Any, request: Any, timeout: float | None = None) -> Any:
        """Starts a call: what method(request) gives. What fails later is a grpc.RpcError."""
        return self._begin(what, method, request, timeout or self.timeout)

    def stream(self, what: str, method: Any, request: Any) -> Any:
        """Starts a call that lasts as long as it likes. The connection's keepalive finds out when the gateway is gone."""
        return self._begin(what, method, request, None)

    def _begin(self, what: str, method: Any, request: Any, timeout: float | None) -> Any:
        self.check(what)
        try:
            return method(request, timeout=timeout)
        except ValueError:  # of gRPC, when the channel was closed in between
            self.check(what)
            raise

    def call(self, what: str, method: Any, request: Any) -> Any:
        """The answer of a unary call. A gateway that is full is asked again for as long as a call may take."""
        patience = Patience(self.timeout)
        while True:
            try:
                return self.start(what, method, request)
            except grpc.RpcError as error:
                failed = error_of(what, self.endpoint, error)
                if not patience.again(failed):
                    raise failed from error

    def error(self, what: str, error: grpc.RpcError) -> PyDError:
        """The PyDError of a call that failed."""
        return error_of(what, self.endpoint, error)

    def patience(self, size: int) -> float:
        """The deadline of a stream of so many bytes."""
        return self.timeout + size / _SLOWEST


def _options() -> list[tuple[str, Any]]:
    return [
        ("grpc.service_config", _service_config()),
        ("grpc.enable_http_proxy", 0),  # C-core would send even calls to localhost through $http_proxy
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.client_idle_timeout_ms", _IDLE_MS),  # gRPC reads nothing while no call runs: a gateway that stops would wait for it
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS[0]),
        ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS[0]),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS[1]),
        ("grpc.max_receive_message_length", _ANSWER_MAX),
    ]


def _service_config() -> str:
    """A retry policy for every call that the contract says has no side effects."""
    reads = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    names = [{"service": service.full_name, "method": method.name}
             for file in (container_pb2.DESCRIPTOR, object_pb2.DESCRIPTOR, kv_pb2.DESCRIPTOR)
             for service in file.services_by_name.values()
             for method in service.methods if method.GetOptions().idempotency_level == reads]
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": {
        "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2.5,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }}]})
