# SPDX-License-Identifier: Apache-2.0
"""Finds libtarn.so and calls it.

Nothing is loaded before the first use. With TARN_LIBRARY_PATH, the file it names or the library in the directory it names is taken, and no
other. Without it: libtarn.so.0 where the dynamic loader looks (LD_LIBRARY_PATH, ldconfig); what ctypes.util.find_library() finds; the
libdir of `pkg-config tarn`. A search that failed is done again at the next use, so that the environment may be put right meanwhile. Any
thread may call.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from . import _api as api
from .errors import TarnLibraryNotFound, make_error

SONAME = f"libtarn.so.{api.TARN_VERSION_MAJOR}"
VARIABLE = "TARN_LIBRARY_PATH"


def named_by_environment(path: str) -> Iterator[tuple[str, str]]:
    if os.path.isdir(path):
        for name in (SONAME, "libtarn.so"):
            yield VARIABLE, os.path.join(path, name)
    else:
        yield VARIABLE, os.path.abspath(path)  # with a slash in it, or the loader would search for it


def pkg_config_libdir() -> str:
    """The directory that pkg-config names, or "" when it does not know Tarn or is not there."""
    try:
        done = subprocess.run(["pkg-config", "--variable=libdir", "tarn"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""


def candidates() -> Iterator[tuple[str, str]]:
    """(how it was come by, file) in the order of trial; no file where that way leads to none."""
    path = os.environ.get(VARIABLE)
    if path:
        yield from named_by_environment(path)
        return
    yield "the loader's path", SONAME
    yield "find_library", ctypes.util.find_library("tarn") or ""
    libdir = pkg_config_libdir()
    yield "pkg-config", os.path.join(libdir, SONAME) if libdir else ""


def loaded_from(name: str) -> str:
    """The path of a library that has just been loaded by this name."""
    base = os.path.basename(name)
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            paths = [line.split(maxsplit=5)[5].strip() for line in maps if base in line]
    except OSError:
        paths = []
    real = os.path.realpath(name)
    return real if real in paths or not paths else paths[0]


def open_library(name: str) -> ctypes.CDLL:
    """A library that this package fits; OSError when there is none by that name, or it is another one."""
    handle = ctypes.CDLL(name)
    try:
        version = handle.tarn_version
    except AttributeError:
        raise OSError("it has no tarn_version(): it is not Tarn's library") from None
    version.restype = ctypes.c_char_p
    text = version().decode()
    if text.split(".")[0] != str(api.TARN_VERSION_MAJOR):
        raise OSError(f"it is of version {text}, and this package needs {api.TARN_VERSION_MAJOR}.x")
    return handle


class Library:
    """The functions of libtarn.so as attributes, with their types and documentation; see tarn.raw.api for the structs.

    lib.tarn_dev_open(...) loads the library when it is not loaded yet: TarnLibraryNotFound when it cannot be.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: ctypes.CDLL | None = None
        self._path = ""
        self._found_by = ""

    def load(self) -> ctypes.CDLL:
        with self._lock:
            if self._handle is None:
                self._handle = self._search()
            return self._handle

    def _search(self) -> ctypes.CDLL:
        tried = []
        for how, name in candidates():
            if not name:
                tried.append(f"{how}: it knows of no Tarn")
                continue
            try:
                handle = open_library(name)
            except OSError as error:
                tried.append(f"{name} ({how}): {error}")
                continue
            self._path, self._found_by = loaded_from(name), how
            return handle
        places = "\n".join("  " + place for place in tried)
        if os.environ.get(VARIABLE):
            advice = f"correct or unset {VARIABLE}"
        else:
            advice = f"install Tarn, or set {VARIABLE} to libtarn.so or to the directory that it is in"
        raise TarnLibraryNotFound(f"libtarn.so cannot be loaded; {advice}. Tried:\n{places}", tried)

    def __getattr__(self, name: str) -> Any:
        if name not in api.FUNCTIONS:
            raise AttributeError(f"the library has no public function {name}")
        result, parameters, names, doc = api.FUNCTIONS[name]
        try:
            function = getattr(self.load(), name)
        except AttributeError:
            text = f"{self._path} has no function {name}: it is older than this package"
            raise TarnLibraryNotFound(text, [self._path]) from None
        function.restype, function.argtypes = result, parameters
        function.__doc__ = doc
        setattr(self, name, function)  # so that the next use does not come here
        return function

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *api.FUNCTIONS})

    @property
    def path(self) -> str:
        """The file that is loaded."""
        self.load()
        return self._path

    @property
    def found_by(self) -> str:
        """How it was found: "TARN_LIBRARY_PATH", "the loader's path", "find_library" or "pkg-config"."""
        self.load()
        return self._found_by


lib = Library()


def is_loaded() -> bool:
    """Whether the library is loaded, or can be."""
    try:
        lib.load()
    except TarnLibraryNotFound:
        return False
    return True


def guard_unloadable() -> None:
    """Ends the process with status 1, saying why on standard error, when the library cannot be loaded: for the first line of a script."""
    try:
        lib.load()
    except TarnLibraryNotFound as error:
        sys.exit(str(error))


def check(rc: int) -> int:
    """rc when it is not an error; else raises the error, with the sentence of this thread's call that has just failed."""
    if rc >= 0:
        return rc
    message = lib.tarn_last_error() or b""
    raise make_error(rc, message.decode(errors="replace"))
