# SPDX-License-Identifier: Apache-2.0
"""python -m tarn.raw: the library's version, where it is, and how it was found; exit status 1 when it cannot be loaded."""
from . import guard_unloadable, lib, version

guard_unloadable()
print(f"libtarn {version()}\n{lib.path}\nfound by {lib.found_by}")
