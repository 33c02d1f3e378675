# SPDX-License-Identifier: Apache-2.0
"""A persistent dictionary. Nothing of it is kept in memory: every call asks the gateway, so that all processes see the same.

Keys are str or bytes, 1 B to 64 KiB long; a str is the UTF-8 bytes that it stands for, so that "a" and b"a" are one key. They come out
as str, in the order of their bytes; bytes that are not UTF-8 come out as Python does with the names of files (PEP 383), and go in the
same way. Values are str or bytes, and always come out as bytes; they may have up to 4 GiB. None and "" remove a key, unless the
dictionary is opened with allow_empty=True.

What has returned is durable. A PyDError says that a call failed; of a change that failed because the gateway could not be reached it
is not known whether it was made. Any thread may call. Every call waits, at most for the timeout of the container.
"""
from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from collections.abc import ItemsView as _ItemsView
from collections.abc import ValuesView as _ValuesView
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tarn import _errno
from tarn._kv import INSERT, KV, UPDATE, absent
from tarn.errors import PyDError
from tarn.watch import VALUE_MAX, Watch, watch

if TYPE_CHECKING:
    from tarn.container import DCont

Text = str | bytes
_D = TypeVar("_D", bound="MutableMapping[Any, Any]")
_T = TypeVar("_T")
_ABSENT: Any = object()

_GET, _PUT, _DELETE, _LIST, _COUNT = ("failed to retrieve KV value", "failed to store KV value", "failed to remove KV value",
                                      "failed to enumerate KV pair", "failed to count KV pairs")


def key_bytes(key: object) -> bytes:
    """The bytes of a key. TypeError when it is neither str nor bytes."""
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode("utf-8", "surrogateescape")
    raise TypeError(f"a key is str or bytes, not {type(key).__name__}")


def key_text(key: bytes) -> str:
    """The str of a key; key_bytes is its inverse for any bytes."""
    return key.decode("utf-8", "surrogateescape")


class DDict(MutableMapping[str, bytes]):
    """A dictionary of a container. DCont.dict and DCont.get make them.

    It does what a dict does, on the gateway: len() and `in` are one round trip each, iteration streams, pop, popitem and setdefault
    are atomic, and of two processes that pop the same key one gets it. Iterating while others change the dictionary is allowed: what
    is changed meanwhile is seen or not. Two things differ from PyDAOS: get() of a key that is absent returns its default, and pop()
    returns the value.
    """

    value_size = 1 << 20  # PyDAOS's buffer for one value; there is none here: values may have any size

    def __init__(self, name: str, cont: DCont, kv: KV, allow_empty: bool) -> None:
        self.name = name
        self.cont = cont
        self.allow_empty = allow_empty
        self._kv = kv

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.cont!r}/{self.name}"

    # ---- reading ----

    @overload
    def get(self, key: Text) -> bytes | None: ...
    @overload
    def get(self, key: Text, default: bytes | _T) -> bytes | _T: ...
    def get(self, key: Text, default: Any = None) -> Any:
        """The value of a key; default when the key is absent."""
        value = self._kv.get(_GET, key_bytes(key))
        return default if value is None else value

    def __getitem__(self, key: Text) -> bytes:
        """The value of a key. KeyError when it is absent."""
        value = self._kv.get(_GET, key_bytes(key))
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        """Whether a key is there. TypeError when it is neither str nor bytes."""
        return self._kv.has(_GET, key_bytes(key))

    def __len__(self) -> int:
        return self._kv.count(_COUNT)

    def __bool__(self) -> bool:
        return self._kv.first(_LIST, keys_only=True) is not None

    def __iter__(self) -> Iterator[str]:
        return (key_text(entry.key) for entry in self._kv.scan(_LIST, keys_only=True))

    def items(self) -> DItems:
        """The keys with their values; iterating streams both."""
        return DItems(self)

    def values(self) -> DValues:
        """The values; iterating streams them."""
        return DValues(self)

    def bget(self, ddict: _D, value_size: int | None = None) -> _D:
        """Reads the values of all keys of a dict into it, and returns it; None for a key that is absent. 16 batches are in flight.

        value_size is PyDAOS's, and is not needed."""
        found: dict[bytes, bytes] = {}
        raw = {key: key_bytes(key) for key in ddict}
        self._kv.get_many(_GET, dict.fromkeys(raw.values()), found)
        for key, name in raw.items():
            ddict[key] = found.get(name)
        return ddict

    def dump(self) -> dict[str, bytes]:
        """All of it, as a dict in memory."""
        return {key_text(key): value for key, value in self._dump().items()}

    def _dump(self) -> dict[bytes, bytes]:
        small, large = dict[bytes, bytes](), list[bytes]()
        for entry in self._kv.scan(_LIST):
            if entry.value is None:
                large.append(entry.key)
            else:
                small[entry.key] = entry.value
        if large:
            self._kv.get_many(_GET, large, small)
            return dict(sorted(small.items()))
        return small

    def watch(self, prefix: Text = b"", *, after: int | None = None, position: int = 0, keys_only: bool = False,
              value_max: int = VALUE_MAX) -> Watch:
        """What changes from now on, or after a revision: an iterator that waits for changes of keys that begin with prefix.

        after and position are Watch.revision and Watch.position of an earlier watch of that prefix, whose work this one goes on with:
        position leaves out so many changes of the batch behind after. Values longer than value_max bytes (at most
        1 MiB) are left out. PyDError: DER_EP_OLD (the log no longer has what comes after that revision: read the dictionary anew),
        DER_OVERFLOW (that revision lies in the future: it is of another pool), DER_OVERLOAD_RETRY (there are too many watches, or
        this caller has its share).

        To keep a copy: watch, then read all items, then put each change into the copy.
        """
        return watch(self._kv, key_bytes(prefix), after, position, keys_only, value_max)

    def __eq__(self, other: object) -> bool:
        """Whether other, a dict or a DDict, has the same keys with the same values. A value of other that is a str equals none."""
        if not isinstance(other, Mapping):
            return NotImplemented
        if len(self) != len(other):
            return False
        mine = ((entry.key, entry.value) for entry in self._kv.scan(_LIST))
        if isinstance(other, DDict):
            theirs: Mapping[bytes, Any] = other._dump()
        else:
            theirs = {key_bytes(key): value for key, value in other.items() if isinstance(key, str | bytes)}
        seen = 0
        for key, value in mine:
            if key not in theirs or theirs[key] != (self._kv.get(_GET, key) if value is None else value):
                return False
            seen += 1
        return seen == len(other)

    # ---- changing ----

    def put(self, key: Text, val: Text | None) -> None:
        """Stores a value. None and "" remove the key, silently when it is absent, unless allow_empty."""
        self._may_change(_PUT)
        name, data = key_bytes(key), self._value(val)
        if data is None:
            self._kv.delete(_DELETE, name)
        else:
            self._kv.put(_PUT, name, data)

    def __setitem__(self, key: Text, value: Text | None) -> None:
        self.put(key, value)

    def __delitem__(self, key: Text) -> None:
        """Removes a key. KeyError when it is absent."""
        self._may_change(_DELETE)
        try:
            self._kv.delete(_DELETE, key_bytes(key), UPDATE)
        except PyDError as error:
            if absent(error):
                raise KeyError(key) from None
            raise

    def bput(self, ddict: Mapping[Any, Text | None]) -> None:
        """Stores all pairs of a dict; None and "" remove, as with put. 16 batches are in flight.

        The pairs are not one change: when an error is raised some may be stored and some not."""
        self._may_change(_PUT)
        self._kv.change_many(_PUT, self.changes(ddict))

    def changes(self, ddict: Mapping[Any, Text | None]) -> dict[bytes, bytes | None]:
        """The pairs as they are sent. Of a key that stands there as str and as bytes the last one counts."""
        return {key_bytes(key): self._value(value) for key, value in ddict.items()}

    def update(self, other: Any = (), /, **kwargs: Text | None) -> None:
        """Stores all pairs of a mapping or of an iterable of pairs, as bput does."""
        pairs = other.items() if isinstance(other, DDict) else other
        self.bput(dict(pairs, **kwargs))

    def setdefault(self, key: Text, default: Text | None = None) -> Any:
        """The value of a key; when it is absent, default, which is then stored: of two callers at once one stores, and both get that.

        With None (or "", without allow_empty) nothing is stored, and None is returned."""
        self._may_change(_PUT)
        name, data = key_bytes(key), self._value(default)
        while (value := self._kv.get(_GET, name)) is None and data is not None:
            try:
                self._kv.put(_PUT, name, data, INSERT)
            except PyDError as error:
                if error.error.err != -_errno.DER_EXIST:
                    raise
            else:
                return data
        return value

    @overload
    def pop(self, key: Text) -> bytes: ...
    @overload
    def pop(self, key: Text, default: bytes | _T) -> bytes | _T: ...
    def pop(self, key: Text, default: Any = _ABSENT) -> Any:
        """Removes a key and returns its value. When it is absent: default, or KeyError without one."""
        self._may_change(_DELETE)
        taken = self._take(key_bytes(key))
        if taken is not None:
            return taken[1]
        if default is _ABSENT:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[str, bytes]:
        """Removes the first key and returns it with its value. KeyError when there is none."""
        self._may_change(_DELETE)
        taken = self._take(None)
        if taken is None:
            raise KeyError("popitem(): dictionary is empty")
        return key_text(taken[0]), taken[1]

    def clear(self) -> None:
        """Removes all keys; those that others put meanwhile may stay."""
        self._may_change(_DELETE)
        self._kv.clear(_DELETE)

    def _take(self, key: bytes | None) -> tuple[bytes, bytes] | None:
        """Removes a key, or the first one, if nobody changed it between reading and removing: else it is read again."""
        until = time.monotonic() + self.cont.timeout
        while True:
            entry = self._kv.first(_GET, prefix=key or b"")
            if entry is None or key is not None and entry.key != key:
                return None
            value = self._kv.get(_GET, entry.key) if entry.value is None else entry.value
            if value is not None and self._kv.delete_revision(_DELETE, entry.key, entry.revision):
                return entry.key, value
            if time.monotonic() > until:
                raise PyDError(_DELETE, -_errno.DER_TX_RESTART, "others change the key all the time; try again")

    def _value(self, value: Text | None) -> bytes | None:
        """The bytes of a value; None when it removes the key."""
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            return value if value or self.allow_empty else None
        if value is None and not self.allow_empty:
            return None
        kind = "str or bytes" if self.allow_empty else "str, bytes or None"
        raise TypeError(f"a value is {kind}, not {type(value).__name__}")

    def _may_change(self, what: str) -> None:
        self.cont.may_change(what)

    def pairs(self) -> Iterable[tuple[str, bytes]]:
        """The keys with their values, in order, as they arrive. A key that is removed meanwhile may be left out."""
        for entry in self._kv.scan(_LIST):
            value = self._kv.get(_GET, entry.key) if entry.value is None else entry.value
            if value is not None:
                yield key_text(entry.key), value


class DItems(_ItemsView[str, bytes]):
    """The items of a DDict."""

    def __init__(self, mapping: DDict) -> None:
        super().__init__(mapping)
        self._ddict = mapping

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._ddict.pairs())


class DValues(_ValuesView[bytes]):
    """The values of a DDict."""

    def __init__(self, mapping: DDict) -> None:
        super().__init__(mapping)
        self._ddict = mapping

    def __iter__(self) -> Iterator[bytes]:
        return (value for _, value in self._ddict.pairs())

    def __contains__(self, value: object) -> bool:
        return any(value == mine for mine in self)
