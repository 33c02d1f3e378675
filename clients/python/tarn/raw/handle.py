# SPDX-License-Identifier: Apache-2.0
"""What all handles have in common.

A handle keeps its parent. close() may be called again, ends a `with`, and is refused (DER_BUSY) while another thread is inside a call on
the handle, so that C never sees one that is gone. A handle that is forgotten is closed with a ResourceWarning.
"""
from __future__ import annotations

import threading
import warnings
from typing import Any, TypeVar

from . import _api as api
from .errors import make_error
from .loader import check, lib

Self = TypeVar("Self", bound="Handle")


class Handle:
    """A pointer of the library's, counted while it is in use."""

    _pointer: Any = None
    _closer = ""  # the C function that closes it

    def __init__(self, pointer: Any, parent: Handle | None = None) -> None:
        self._guard = threading.Lock()
        self._running = 0
        self._parent = parent
        self._pointer = pointer

    def _begin(self) -> Any:
        """The pointer, which stays valid up to _end()."""
        with self._guard:
            if self._pointer is None:
                raise make_error(-api.TARN_E_NO_HDL, f"this {type(self).__name__} is closed")
            self._running += 1
            return self._pointer

    def _end(self) -> None:
        with self._guard:
            self._running -= 1

    def _call(self, function: Any, *args: Any) -> int:
        """function(pointer, *args): its result, or the error that it says."""
        pointer = self._begin()
        try:
            return check(function(pointer, *args))
        finally:
            self._end()

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def _close(self, *args: Any) -> None:
        """When C refuses with BUSY or TIMEDOUT the handle stays; any other error is one of a handle that is gone."""
        with self._guard:
            if self._pointer is None:
                return
            if self._running:
                raise make_error(-api.TARN_E_BUSY, f"a call on this {type(self).__name__} is running: close it when that has ended")
            pointer, self._pointer = self._pointer, None  # C may wait, and nobody begins meanwhile
        rc = getattr(lib, self._closer)(pointer, *args)
        if rc in (-api.TARN_E_BUSY, -api.TARN_E_TIMEDOUT):
            self._pointer = pointer
        else:
            self._parent = None
        check(rc)

    def close(self) -> None:
        """Gives the handle back. Errors: DER_BUSY while something of it is open or a call on it is running."""
        self._close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._pointer is None:
            return
        warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self)
        try:
            self.close()
        except OSError as error:
            warnings.warn(f"{self!r} could not be closed: {error}", ResourceWarning)
