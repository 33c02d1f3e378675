#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the devices of this machine, without opening any.

    PYTHONPATH=clients/python raw_enumerate.py
"""
from tarn import raw

raw.guard_unloadable()
for device in raw.list_devices():
    use = "in use" if device.in_use else ""
    print(f"{device.uri:<28} {device.kind:<9} {device.driver or '-':<12} {device.size:>16} {use:<6} {device.model}")
