# SPDX-License-Identifier: Apache-2.0
"""The errors that this package raises.

A call of the library that fails raises a TarnError with the code, its name, and the library's sentence: what was asked, what was found,
what to do. Where Python has an exception that says the same, the error is one of those too: `except FileNotFoundError` catches
DER_NONEXIST. Arguments that never reach the library raise TypeError or ValueError, as in every Python call.
"""
from __future__ import annotations

import errno
import io
from typing import Any

from . import _api as api


class TarnLibraryNotFound(ImportError):
    """libtarn.so cannot be loaded, or is not one that this package can use. The text has all the places that were tried."""

    def __init__(self, text: str, tried: list[str]) -> None:
        super().__init__(text, name="libtarn.so")
        self.tried = tried


class TarnError(OSError):
    """A call of the library failed.

    code     negative, as in C: -1005
    name     "DER_NONEXIST"
    message  the sentence
    errno    the nearest number of errno.h, for code that looks at it
    """

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        self.name, meaning = api.ERRORS.get(-code, ("DER_UNKNOWN", "an error that this package does not know"))
        self.message = message or meaning
        super().__init__(_ERRNO.get(self.name, errno.EIO), self.message)

    def __str__(self) -> str:
        return f"{self.name}({self.code}): {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return make_error, (self.code, self.message)


class TarnNotFound(TarnError, FileNotFoundError):
    """DER_NONEXIST, DER_ENOENT, DER_CONT_NONEXIST."""


class TarnExists(TarnError, FileExistsError):
    """DER_EXIST, DER_ALREADY."""


class TarnPermission(TarnError, PermissionError):
    """DER_NO_PERM, DER_OP_NOT_PERMITTED, DER_EP_RO."""


class TarnTimeout(TarnError, TimeoutError):
    """DER_TIMEDOUT."""


class TarnInvalid(TarnError, ValueError):
    """DER_INVAL and its kin: an argument is not valid; a misaligned one among them. DER_NO_HDL: the handle is closed."""


class TarnNoMemory(TarnError, MemoryError):
    """DER_NOMEM."""


class TarnNotSupported(TarnError, io.UnsupportedOperation):
    """DER_NOTSUPPORTED, DER_NOSYS: this device, kernel or library does not have it."""


class TarnAgain(TarnError, BlockingIOError):
    """DER_AGAIN."""


_CLASSES: dict[str, type[TarnError]] = {
    "DER_NONEXIST": TarnNotFound, "DER_ENOENT": TarnNotFound, "DER_CONT_NONEXIST": TarnNotFound,
    "DER_EXIST": TarnExists, "DER_ALREADY": TarnExists,
    "DER_NO_PERM": TarnPermission, "DER_OP_NOT_PERMITTED": TarnPermission, "DER_EP_RO": TarnPermission,
    "DER_TIMEDOUT": TarnTimeout,
    "DER_INVAL": TarnInvalid, "DER_NO_HDL": TarnInvalid, "DER_BADPATH": TarnInvalid, "DER_NOTYPE": TarnInvalid,
    "DER_KEY2BIG": TarnInvalid, "DER_REC2BIG": TarnInvalid,
    "DER_NOMEM": TarnNoMemory,
    "DER_NOTSUPPORTED": TarnNotSupported, "DER_NOSYS": TarnNotSupported,
    "DER_AGAIN": TarnAgain,
}

_ERRNO = {
    "DER_NONEXIST": errno.ENOENT, "DER_ENOENT": errno.ENOENT, "DER_CONT_NONEXIST": errno.ENOENT,
    "DER_EXIST": errno.EEXIST, "DER_ALREADY": errno.EEXIST,
    "DER_NO_PERM": errno.EACCES, "DER_OP_NOT_PERMITTED": errno.EPERM, "DER_EP_RO": errno.EROFS,
    "DER_TIMEDOUT": errno.ETIMEDOUT, "DER_BUSY": errno.EBUSY, "DER_AGAIN": errno.EAGAIN, "DER_INPROGRESS": errno.EINPROGRESS,
    "DER_INVAL": errno.EINVAL, "DER_BADPATH": errno.EINVAL, "DER_NOTYPE": errno.EINVAL, "DER_NO_HDL": errno.EBADF,
    "DER_KEY2BIG": errno.EMSGSIZE, "DER_REC2BIG": errno.EFBIG, "DER_NOTDIR": errno.ENOTDIR,
    "DER_NOMEM": errno.ENOMEM, "DER_NOSPACE": errno.ENOSPC, "DER_QUOTA_LIMIT": errno.EDQUOT,
    "DER_NOTSUPPORTED": errno.EOPNOTSUPP, "DER_NOSYS": errno.ENOSYS, "DER_CANCELED": errno.ECANCELED,
    "DER_OP_CANCELED": errno.ECANCELED, "DER_OVERFLOW": errno.EOVERFLOW, "DER_CSUM": errno.EBADMSG,
}


def make_error(code: int, message: str = "") -> TarnError:
    """The error of a negative code."""
    name = api.ERRORS.get(-code, ("", ""))[0]
    return _CLASSES.get(name, TarnError)(code, message)
