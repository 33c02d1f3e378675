# SPDX-License-Identifier: Apache-2.0
"""Tarn's library in this process: direct I/O on devices, and pools, from Python's standard library alone.

    from tarn import raw

    with raw.Device.open("file:/tmp/disk", create=1 << 30) as dev, raw.Buffer(1 << 20) as buf:
        buf[:5] = b"hello"
        dev.write_from(buf, 0)                  # direct I/O, and no copy
        dev.read_into(buf, 0)
        with dev.queue(depth=32) as queue:      # many at once
            for io in queue.run(raw.Io.read(raw.Buffer(4096), i * 4096, tag=i) for i in range(1000)):
                io.check()

Importing needs no library; the first use loads it, or raises TarnLibraryNotFound with all the places that were tried. `raw.is_loaded` says
whether it can be had. `raw.lib` has every function of the C API and `raw.api` its structs and constants. `python -m tarn.raw` prints the
version and where the library was found.
"""
from typing import Any

from . import _api as api
from .buffer import Buffer
from .device import Device, DeviceInfo, Zone, list_devices, query
from .errors import (TarnAgain, TarnError, TarnExists, TarnInvalid, TarnLibraryNotFound, TarnNoMemory, TarnNotFound, TarnNotSupported,
                     TarnPermission, TarnTimeout)
from .loader import guard_unloadable, lib
from .queue import Io, Queue, QueueInfo
from .store import Container, KeyValue, KeyValueDevice, Pool, System

__all__ = [
    "Buffer", "Container", "Device", "DeviceInfo", "Io", "KeyValue", "KeyValueDevice", "Pool", "Queue", "QueueInfo", "System", "TarnAgain", "TarnError",
    "TarnExists", "TarnInvalid", "TarnLibraryNotFound", "TarnNoMemory", "TarnNotFound", "TarnNotSupported", "TarnPermission",
    "TarnTimeout", "Zone", "api", "guard_unloadable", "lib", "library_path", "list_devices", "query", "version",
]


def version() -> str:
    """The version of the library that is loaded: "0.1.0"."""
    return str(lib.tarn_version(), "ascii")


def library_path() -> str:
    """The file that the library was loaded from."""
    return lib.path


def __getattr__(name: str) -> Any:
    if name == "is_loaded":  # asked for each time: the environment may have been put right
        from .loader import is_loaded
        return is_loaded()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
