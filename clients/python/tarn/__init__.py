# SPDX-License-Identifier: Apache-2.0
"""Tarn's dictionaries: persistent, shared by all processes, and used like a dict.

    >>> import tarn                                                # doctest: +SKIP
    >>> dcont = tarn.DCont("tank", "neo")                          # doctest: +SKIP
    >>> dd = dcont.dict("stadium", {"Barcelona": "Camp Nou"})      # doctest: +SKIP
    >>> dd["Barcelona"]                                            # doctest: +SKIP
    b'Camp Nou'

The classes are those of PyDAOS. They speak gRPC to a tarn-gateway; what it answered is durable. DCont is a container of type PYTHON,
DDict a dictionary in it; tarn.v1 has the messages of the gateway's whole API. Every failure of a call is a PyDError, with DAOS's name
of the error.
"""
from typing import TYPE_CHECKING, Any

from tarn.errors import DaosErrorCode, DNotSupported, DObjNotFound, InvalidModeError, PyDError

if TYPE_CHECKING:
    from tarn.container import DCont
    from tarn.dictionary import DDict
    from tarn.watch import Change, Watch

__all__ = ["Change", "DCont", "DDict", "DNotSupported", "DObjNotFound", "DaosErrorCode", "InvalidModeError", "PyDError", "Watch"]
__version__ = "0.1.0"


if not TYPE_CHECKING:  # else every name would be there for mypy
    def __getattr__(name: str) -> Any:
        """What needs grpcio, when it is first asked for: what does without a gateway does without it."""
        if name == "DCont":
            from tarn.container import DCont
            return DCont
        if name == "DDict":
            from tarn.dictionary import DDict
            return DDict
        if name in ("Change", "Watch"):
            from tarn import watch
            return getattr(watch, name)
        raise AttributeError(f"module 'tarn' has no attribute {name!r}")
