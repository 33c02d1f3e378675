# SPDX-License-Identifier: Apache-2.0
"""Where the gateway is: as the caller says, else $TARN_ENDPOINT, else the socket in the directory where Tarn keeps its pools.

The `tarn` command looks in the same places, in the same order.
"""
from __future__ import annotations

import os
import re

from tarn import _errno
from tarn.errors import PyDError

SOCKET = "tarn.sock"
_TCP = re.compile(r"(dns:/{0,3})?(\[[^\[\]/]+\]|[^:/\[\]]+):\d{1,5}")


def find(endpoint: str | None, what: str) -> str:
    """The endpoint to connect to. PyDError DER_INVAL when it is malformed, DER_UNREACH when there is none."""
    endpoint = endpoint or os.environ.get("TARN_ENDPOINT") or _socket(what)
    if not (endpoint.startswith("unix:") and len(endpoint) > len("unix:")) and not _TCP.fullmatch(endpoint):
        raise PyDError(what, -_errno.DER_INVAL, f"{endpoint!r} is not an endpoint; write unix:PATH, dns:/HOST:PORT or HOST:PORT")
    return endpoint


def root() -> str:
    """The directory of the pools."""
    if given := os.environ.get("TARN_ROOT"):
        return given
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "tarn")


def _socket(what: str) -> str:
    path = os.path.abspath(os.path.join(root(), SOCKET))
    if not os.path.exists(path):
        raise PyDError(what, -_errno.DER_UNREACH, f"there is no gateway at {path}; start tarn-gateway, or set TARN_ENDPOINT")
    return "unix:" + path
