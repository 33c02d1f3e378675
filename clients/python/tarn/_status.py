# SPDX-License-Identifier: Apache-2.0
"""From the status of a call to a PyDError. Statuses of the gateway say their DAOS number; those that gRPC makes itself are mapped."""
from __future__ import annotations

from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tarn import _errno
from tarn.errors import PyDError

DOMAIN = "tarn"

# The code of a status that the gateway did not make: gRPC did, on one of the two sides.
_FOREIGN = {
    grpc.StatusCode.CANCELLED: _errno.DER_CANCELED,
    grpc.StatusCode.INVALID_ARGUMENT: _errno.DER_INVAL,
    grpc.StatusCode.DEADLINE_EXCEEDED: _errno.DER_TIMEDOUT,
    grpc.StatusCode.NOT_FOUND: _errno.DER_NONEXIST,
    grpc.StatusCode.ALREADY_EXISTS: _errno.DER_EXIST,
    grpc.StatusCode.PERMISSION_DENIED: _errno.DER_NO_PERM,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _errno.DER_REC2BIG,  # a message over the limit
    grpc.StatusCode.FAILED_PRECONDITION: _errno.DER_MISMATCH,
    grpc.StatusCode.ABORTED: _errno.DER_TX_RESTART,
    grpc.StatusCode.OUT_OF_RANGE: _errno.DER_OVERFLOW,
    grpc.StatusCode.UNIMPLEMENTED: _errno.DER_NOSYS,
    grpc.StatusCode.UNAVAILABLE: _errno.DER_UNREACH,
    grpc.StatusCode.DATA_LOSS: _errno.DER_DATA_LOSS,
    grpc.StatusCode.UNAUTHENTICATED: _errno.DER_NO_CERT,
}


def error_of(what: str, endpoint: str, error: grpc.RpcError) -> PyDError:
    """The PyDError of a call that gRPC says has failed."""
    call: Any = error  # an RpcError of a call is also a grpc.Call
    info, resource, delay = _details(call.trailing_metadata())
    if info is None:
        return _foreign(what, endpoint, call)
    meta = info.metadata
    sentence = (call.details() or "").removeprefix(meta["ref"] + ": " if meta["ref"] else "")
    return PyDError(what, int(meta["rc"] or _errno.DER_MISC), sentence, resource=resource, size=int(meta["size"] or 0), delay=delay,
                    oldest=int(meta["oldest"] or 0))


def _foreign(what: str, endpoint: str, call: Any) -> PyDError:
    code = _FOREIGN.get(call.code(), _errno.DER_MISC)
    sentence = call.details() or ""
    if code == _errno.DER_UNREACH:
        sentence = f"no gateway answers at {endpoint}; check the endpoint and that tarn-gateway runs: {sentence}"
    elif code == _errno.DER_TIMEDOUT:
        sentence = f"the gateway at {endpoint} did not answer in time"
    return PyDError(what, -code, sentence)


def _details(trailers: Any) -> tuple[ErrorInfo | None, str, float]:
    """The gateway's ErrorInfo, if it is there, the type of resource that the status is about, and the seconds after which to ask again."""
    info, about, retry = ErrorInfo(), ResourceInfo(), RetryInfo()
    found = False
    for key, value in trailers or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in Status.FromString(value).details:
            found = detail.Unpack(info) and info.domain == DOMAIN or found
            detail.Unpack(about)
            detail.Unpack(retry)
    return (info if found else None), about.resource_type, retry.retry_delay.ToTimedelta().total_seconds()
