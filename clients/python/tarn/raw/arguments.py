# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments that ctypes would cut in silence: a number that does not fit, text with a NUL in it."""
from __future__ import annotations

import operator
import os
from typing import Any


def number(value: Any, what: str, limit: int = 1 << 64) -> int:
    """value as a whole number from 0 to below limit; else TypeError or ValueError."""
    whole = operator.index(value)
    if not 0 <= whole < limit:
        raise ValueError(f"{what} is {whole}: it has to be from 0 to {limit - 1}")
    return whole


def text(value: str | bytes | os.PathLike[str], what: str) -> bytes:
    """value as C's text; else TypeError or ValueError."""
    data = os.fsencode(value)
    if b"\0" in data:
        raise ValueError(f"{what} is {value!r}: text that C sees has no NUL in it")
    return data


def text_or_none(value: str | bytes | os.PathLike[str] | None, what: str) -> bytes | None:
    return None if value is None else text(value, what)
