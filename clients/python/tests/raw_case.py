# SPDX-License-Identifier: Apache-2.0
"""What the tests of tarn.raw share: the tree's package and library, a scratch folder, a seed that is printed and may be given: SEED=n."""
import contextlib
import gc
import os
import pathlib
import random
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = TOP / "clients" / "python"
LIBRARY = TOP / "build" / "lib"
sys.path.insert(0, str(PACKAGE))
os.environ.setdefault("TARN_LIBRARY_PATH", str(LIBRARY))

from tarn import raw  # noqa: E402

BLOCK = 4096


def seeded():
    """A random generator whose seed has been printed."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
    print(f"# SEED={seed}", file=sys.stderr)
    return random.Random(seed)


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def pattern(size, first=0):
    """A Buffer with bytes that tell where they are from."""
    buf = raw.Buffer(size)
    for at in range(0, size, 8):
        buf[at:at + 8] = (first + at).to_bytes(8, "little")
    return buf


class RawCase(unittest.TestCase):
    """A scratch folder on a disk that has direct I/O; and when a test ends, no descriptor is left."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("TARN_TEST_DIR") or TOP / "build")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        raw.list_devices()  # what the library keeps open from its first use on is there now
        before = descriptors()
        self.addCleanup(self.check_descriptors, before)

    def check_descriptors(self, before):
        gc.collect()
        self.assertEqual(descriptors() - before, set(), "descriptors are left")

    def file(self, size=1 << 20, name="disk", **options):
        """A new file, open for direct I/O, closed when the test ends."""
        return self.opened(f"file:{self.folder / name}", create=size, **options)

    def opened(self, uri, **options):
        dev = raw.Device.open(uri, **options)
        self.addCleanup(dev.close)
        return dev

    def targets(self, **options):
        """The same device in memory, simulated, and as a file: all of 1 MiB."""
        yield self.opened("mem:1M", write=True, **options)
        yield self.opened("sim:1M?seed=1", write=True, **options)
        yield self.file(**options)

    @contextlib.contextmanager
    def fails(self, name, kind=raw.TarnError, says=""):
        with self.assertRaises(kind) as caught:
            yield caught
        self.assertEqual(caught.exception.name, name, caught.exception)
        self.assertIn(says, str(caught.exception))
