#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says which library tarn.raw uses, and what it has.

    PYTHONPATH=clients/python TARN_LIBRARY_PATH=build/lib raw_library.py
"""
from tarn import raw

raw.guard_unloadable()  # or: if not raw.is_loaded: ...
print(f"version    {raw.version()}")
print(f"library    {raw.library_path()}")
print(f"functions  {len(raw.api.FUNCTIONS)}, structs {len(raw.api.STRUCTS)}, constants {len(raw.api.CONSTANTS)}")
print(raw.lib.tarn_dev_query.__doc__)
