# SPDX-License-Identifier: Apache-2.0
"""How a gateway is known over TCP, and how it knows who calls: as $TARN_TLS_CA, $TARN_TLS_CERT, $TARN_TLS_KEY and $TARN_TOKEN or
$TARN_TOKEN_FILE say. The `tarn` command reads the same variables.

TLS is used when TARN_TLS_CA or TARN_TLS_CERT is set. A gateway on a Unix socket knows who calls by itself.
"""
from __future__ import annotations

import os
import re
from typing import Any

import grpc

from tarn import _errno
from tarn.errors import PyDError

_LOOPBACK = re.compile(r"(dns:/{0,3})?(localhost|127(\.\d{1,3}){3}|\[::1\]):\d{1,5}")
_SYSTEM = "system"  # as TARN_TLS_CA stands for the authorities that gRPC trusts


class _Bearer(grpc.AuthMetadataPlugin):
    """Sends the token with each call. A file is read each time: tokens are short-lived."""

    def __init__(self, fixed: str, path: str) -> None:
        self._fixed, self._path = fixed, path

    def __call__(self, context: Any, callback: Any) -> None:
        try:
            callback((("authorization", f"Bearer {self._token()}"),), None)
        except OSError as error:
            callback((), error)

    def _token(self) -> str:
        if not self._path:
            return self._fixed
        with open(self._path, encoding="ascii") as file:
            return file.read().strip()


def channel(endpoint: str, what: str, options: list[tuple[str, Any]]) -> grpc.Channel:
    """A channel to the gateway. PyDError DER_INVAL when what the environment says does not belong together or cannot be read."""
    if endpoint.startswith("unix:"):
        return grpc.insecure_channel(endpoint, options=options)
    transport, bearer = _transport(what), _bearer(what)
    if bearer is None:
        return grpc.secure_channel(endpoint, transport, options) if transport else grpc.insecure_channel(endpoint, options=options)
    if transport is None and not _LOOPBACK.fullmatch(endpoint):
        raise PyDError(what, -_errno.DER_INVAL, "a token is sent to another machine over TLS only: set TARN_TLS_CA")
    transport = transport or grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP)
    return grpc.secure_channel(endpoint, grpc.composite_channel_credentials(transport, bearer), options)


def _transport(what: str) -> grpc.ChannelCredentials | None:
    authority, cert, key = (os.environ.get(f"TARN_TLS_{name}", "") for name in ("CA", "CERT", "KEY"))
    if bool(cert) != bool(key):
        raise PyDError(what, -_errno.DER_INVAL, "a certificate and its key belong together: set TARN_TLS_CERT and TARN_TLS_KEY, or none")
    if not authority and not cert:
        return None
    roots = None if authority in ("", _SYSTEM) else _read(what, authority)
    return grpc.ssl_channel_credentials(roots, _read(what, key) if key else None, _read(what, cert) if cert else None)


def _bearer(what: str) -> grpc.CallCredentials | None:
    fixed, path = os.environ.get("TARN_TOKEN", "").strip(), os.environ.get("TARN_TOKEN_FILE", "")
    if fixed and path:
        raise PyDError(what, -_errno.DER_INVAL, "set TARN_TOKEN or TARN_TOKEN_FILE, not both")
    if not fixed and not path:
        return None
    if path:
        _read(what, path)  # what cannot be read is better said now
    return grpc.metadata_call_credentials(_Bearer(fixed, path), name="tarn")


def _read(what: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise PyDError(what, -_errno.DER_INVAL, f"{path} cannot be read: {error.strerror}") from error
