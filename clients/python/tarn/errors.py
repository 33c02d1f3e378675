# SPDX-License-Identifier: Apache-2.0
"""What can go wrong. Each error has DAOS's number and name, and a sentence: what was asked, what was found, what to do."""
from __future__ import annotations

from tarn import _errno


class DaosErrorCode:
    """An error of DAOS's table.

    err is the number (-1004), name the name ("DER_EXIST"), message a sentence. A number that the table lacks is "DER_UNKNOWN".
    """

    def __init__(self, err: int, message: str = "") -> None:
        self.err = -abs(err)
        self.name, text = _errno.CODES.get(abs(err), ("DER_UNKNOWN", "an error that this version does not know"))
        self.message = message or text

    def __str__(self) -> str:
        return f'DAOS error code {self.err} ({self.name}): "{self.message}"'

    def __repr__(self) -> str:
        return f"DaosErrorCode({self.err}, {self.message!r})"


class PyDError(Exception):
    """A call that failed.

    message says what was tried ("failed to create DAOS dict"); error is a DaosErrorCode. str() has both. resource is what is not there
    or is there already, when the error is about that: "pool", "container", "object" or "key"; size is the size of a value that is too
    large for where it should go; delay is after how many seconds at the earliest the gateway wants to be asked again; oldest is the
    first revision that can be watched from, when an earlier one was asked for. sentence is what is more to say of this case than
    the table does.
    """

    def __init__(self, message: str, rc: int, sentence: str = "", *, resource: str = "", size: int = 0, delay: float = 0,
                 oldest: int = 0) -> None:
        super().__init__(message, rc, sentence)
        self.message = message
        self.error = DaosErrorCode(rc, sentence)
        self.resource = resource
        self.size = size
        self.delay = delay
        self.oldest = oldest

    def __str__(self) -> str:
        return f"{self.message}: {self.error}"


class DNotSupported(PyDError, NotImplementedError):
    """What PyDAOS has and this version has not: DER_NOTSUPPORTED."""


class DObjNotFound(KeyError):
    """The container has no object of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no object named {self.name!r}"


class InvalidModeError(ValueError):
    """A mode to open a container in that is neither "RW" nor "RO"."""


for _public in (DaosErrorCode, PyDError, DNotSupported, DObjNotFound, InvalidModeError):
    _public.__module__ = "tarn"  # what a traceback calls them
