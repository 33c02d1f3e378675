# SPDX-License-Identifier: Apache-2.0
"""Containers of type PYTHON: what holds dictionaries, by name."""
from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from tarn import _endpoint, _errno
from tarn._gateway import Gateway
from tarn._kv import KV
from tarn.dictionary import DDict
from tarn.errors import DNotSupported, DObjNotFound, InvalidModeError, PyDError
from tarn.v1 import container_pb2, object_pb2

_OPEN, _LOOKUP, _CREATE, _DESTROY, _LIST = ("failed to access container", "failed to look up object", "failed to create DAOS dict",
                                            "failed to destroy object", "failed to list objects")
_URI = re.compile(r"(?:daos:)?//([^/]+)/([^/]+)/?")
_XATTR = "user.daos"  # what DAOS writes on a file or directory that stands for a container: DAOS.TYPE://POOL/CONTAINER
_XATTR_VALUE = re.compile(r"DAOS\.[^:]*://([^/]+)/([^/\0]+)\0?")
_TIMEOUT_MAX = 86_400
_CLASS = re.compile(r"0|OC_\w+")


class DCont:
    """A container of type PYTHON, which holds dictionaries.

        DCont("tank", "neo"), DCont("tank/neo"), DCont(path="daos://tank/neo"), DCont(path=FILE)

    pool and cont are labels or UUIDs. path is a URI, or a file or directory that stands for a container by DAOS's attribute user.daos.
    open_mode is "RW", or "RO": then every change is refused with DER_NO_PERM. endpoint is the gateway's, as unix:PATH, dns:/HOST:PORT
    or HOST:PORT; without it $TARN_ENDPOINT, else the socket of the gateway that serves $TARN_ROOT, $XDG_DATA_HOME/tarn or
    ~/.local/share/tarn. TLS and tokens are as $TARN_TLS_CA, $TARN_TLS_CERT, $TARN_TLS_KEY, $TARN_TOKEN and $TARN_TOKEN_FILE say. timeout is how many seconds a call may take (large values have more). allow_empty is that of its dictionaries.

    Opening makes one call. PyDError: DER_UNREACH when no gateway answers, DER_NONEXIST and DER_CONT_NONEXIST when there is no such pool
    or container, DER_INVAL when the container is not of type PYTHON, or the names or the endpoint are malformed. InvalidModeError for
    another open_mode. close(), or leaving a with-block, ends it, and so does being forgotten. Any thread may call.
    """

    def __init__(self, pool: str | None = None, cont: str | None = None, path: str | os.PathLike[str] | None = None,
                 open_mode: str = "RW", *, endpoint: str | None = None, timeout: float = 30.0, allow_empty: bool = False) -> None:
        if open_mode not in ("RW", "RO"):
            raise InvalidModeError(f"open_mode is {open_mode!r}; it must be 'RW' or 'RO'")
        if not 0 < timeout <= _TIMEOUT_MAX:
            raise ValueError(f"timeout is {timeout!r}; it is a number of seconds over 0, of at most {_TIMEOUT_MAX}")
        self.pool, self.cont = _names(pool, cont, path)
        self.open_mode = open_mode
        self.timeout = timeout
        self.allow_empty = allow_empty
        self._gateway = Gateway(_endpoint.find(endpoint, _OPEN), timeout, _OPEN)
        try:
            self._name = self._find()
        except BaseException:
            self._gateway.close()
            raise

    def _find(self) -> str:
        """The name that is used from here on: another container that later takes the label is not this one."""
        answer: container_pb2.GetContainerResponse = self._gateway.call(
            _OPEN, self._gateway.containers.GetContainer, container_pb2.GetContainerRequest(container=str(self)))
        if answer.container.type != container_pb2.CONTAINER_TYPE_PYTHON:
            kind = container_pb2.ContainerType.Name(answer.container.type).removeprefix("CONTAINER_TYPE_")
            raise PyDError(_OPEN, -_errno.DER_INVAL, f"{self} is a container of type {kind}, not PYTHON; "
                           f"make one with: tarn cont create {self.pool} NAME --type PYTHON")
        return f"{self.pool}/{answer.container.uuid}"

    def close(self) -> None:
        """Ends the connection. What uses the container or its dictionaries afterwards fails with DER_NO_HDL."""
        self._gateway.close()

    def __enter__(self) -> DCont:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __str__(self) -> str:
        return f"{self.pool}/{self.cont}"

    def __repr__(self) -> str:
        return f"daos://{self.pool}/{self.cont}"

    def get(self, name: str, *, allow_empty: bool | None = None) -> DDict:
        """The dictionary of a name. DObjNotFound when there is none."""
        try:
            self._gateway.call(_LOOKUP, self._gateway.objects.GetObject, object_pb2.GetObjectRequest(object=self._object(name)))
        except PyDError as error:
            self._not_found(error, name)
            raise
        return self._dict(name, allow_empty)

    def __getitem__(self, name: str) -> DDict:
        return self.get(name)

    def dict(self, name: str, v: Mapping[Any, str | bytes | None] | None = None, cid: str = "0", *,
             allow_empty: bool | None = None) -> DDict:
        """Makes a dictionary with the pairs of v. PyDError DER_EXIST when the name is taken, DER_INVAL when it is none: a name has 1 to
        255 bytes of UTF-8, no NUL and no '/'.

        cid is PyDAOS's object class, "0" or "OC_...": it has no effect here."""
        self.may_change(_CREATE)
        if not _CLASS.fullmatch(cid):
            raise PyDError(_CREATE, -_errno.DER_INVAL, f"{cid!r} is not an object class; write \"0\" or one like \"OC_SX\"")
        made = self._dict(name, allow_empty)
        changes = made.changes(v or {})  # what is wrong with v is found before there is an object
        self._object(name)
        self._gateway.call(_CREATE, self._gateway.objects.CreateObject, object_pb2.CreateObjectRequest(
            container=self._name, name=name, request_id=str(uuid.uuid4())))
        if changes:
            made.bput(changes)
        return made

    def array(self, name: str, v: Any = None, cid: str = "0") -> Any:
        """Arrays are not in this version: DNotSupported."""
        raise DNotSupported("failed to create DAOS array", -_errno.DER_NOTSUPPORTED, "arrays are not in this version; use a dict")

    def destroy(self, name: str) -> None:
        """Removes a dictionary with all its keys. DObjNotFound when there is none, PyDError DER_BUSY when a call is using it."""
        self.may_change(_DESTROY)
        try:
            self._gateway.call(_DESTROY, self._gateway.objects.DeleteObject, object_pb2.DeleteObjectRequest(object=self._object(name)))
        except PyDError as error:
            self._not_found(error, name)
            raise

    def __contains__(self, name: object) -> bool:
        """Whether there is a dictionary of that name."""
        try:
            self.get(name)  # type: ignore[arg-type]
        except DObjNotFound:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The names of the dictionaries, in order."""
        request = object_pb2.ListObjectsRequest(container=self._name, page_size=1000)
        while True:
            page: object_pb2.ListObjectsResponse = self._gateway.call(_LIST, self._gateway.objects.ListObjects, request)
            yield from (found.name for found in page.objects)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def may_change(self, what: str) -> None:
        """DER_NO_PERM when the container was opened read-only."""
        if self.open_mode == "RO":
            raise PyDError(what, -_errno.DER_NO_PERM, f"{self} was opened read-only; open it with open_mode=\"RW\"")

    def _object(self, name: str) -> str:
        if not isinstance(name, str):
            raise TypeError(f"the name of an object is a str, not {type(name).__name__}")
        return f"{self._name}/{name}"

    def _dict(self, name: str, allow_empty: bool | None) -> DDict:
        return DDict(name, self, KV(self._gateway, self._object(name)), self.allow_empty if allow_empty is None else allow_empty)

    @staticmethod
    def _not_found(error: PyDError, name: str) -> None:
        if error.error.err == -_errno.DER_NONEXIST and error.resource == "object":
            raise DObjNotFound(name) from None


def _names(pool: str | None, cont: str | None, path: str | os.PathLike[str] | None) -> tuple[str, str]:
    """The pool and the container that are meant."""
    if path is not None:
        return _resolve(os.fspath(path))
    if pool is not None and cont is None and pool.count("/") == 1:
        pool, cont = pool.split("/")
    if not pool or not cont:
        raise PyDError(_OPEN, -_errno.DER_INVAL, "pool and container are not both given; write DCont(\"POOL\", \"CONTAINER\")")
    return pool, cont


def _resolve(path: str) -> tuple[str, str]:
    """The pool and the container that a URI names, or that a file stands for."""
    if found := _URI.fullmatch(path):
        return found[1], found[2]
    try:
        value = os.getxattr(path, _XATTR).decode("utf-8", "replace")
    except OSError as error:
        raise PyDError(_OPEN, -_errno.DER_INVAL, f"{path} does not stand for a container ({error.strerror}); "
                       "write daos://POOL/CONTAINER, or a file with DAOS's attribute user.daos") from error
    if found := _XATTR_VALUE.fullmatch(value):
        return found[1], found[2]
    raise PyDError(_OPEN, -_errno.DER_INVAL, f"{path} has the attribute {_XATTR} {value!r}, which names no container")
