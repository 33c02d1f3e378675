# SPDX-License-Identifier: Apache-2.0
"""Values from C's structs."""
from __future__ import annotations

import dataclasses
import os
from typing import Any, TypeVar

T = TypeVar("T")


def from_struct(kind: type[T], raw: Any) -> T:
    """A dataclass from the struct of the same fields: text for char arrays, bool where the dataclass says so."""
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = getattr(raw, field.name)
        if isinstance(value, bytes):
            value = os.fsdecode(value)
        values[field.name] = bool(value) if field.type == "bool" else value
    return kind(**values)
