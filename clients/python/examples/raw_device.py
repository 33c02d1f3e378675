#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a device by URI, says what it is, and reads from it: once with a call that waits, then many blocks at a time.

    PYTHONPATH=clients/python raw_device.py URI [BLOCKS]        raw_device.py mem:64M        raw_device.py block:/dev/sdb 1000
"""
import dataclasses
import sys

from tarn import raw

BLOCK = 4096

raw.guard_unloadable()
if len(sys.argv) not in (2, 3):
    sys.exit("raw_device.py URI [BLOCKS]")
try:
    with raw.Device.open(sys.argv[1]) as dev:
        info = dev.info
        for name, value in dataclasses.asdict(info).items():
            print(f"{name:<17} {value}")
        with raw.Buffer(BLOCK) as buf:  # aligned memory: direct I/O reads into it, without a copy
            dev.read_into(buf, 0)
            print("first bytes      ", buf[:16].hex(" "))
        blocks = min(int(sys.argv[2]) if len(sys.argv) == 3 else 256, info.size // BLOCK)
        with dev.queue(depth=32) as queue:
            done = sum(1 for io in queue.run(raw.Io.read(raw.Buffer(BLOCK), i * BLOCK) for i in range(blocks)) if io.check())
        print(f"{done} blocks read by {info.backend}, {'direct' if info.direct else 'not direct'}")
except raw.TarnError as error:
    sys.exit(f"raw_device.py: {error}")
