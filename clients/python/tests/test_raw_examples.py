# SPDX-License-Identifier: Apache-2.0
"""Each example of tarn.raw runs and says what it promises."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import PACKAGE, RawCase, raw  # noqa: E402

EXAMPLES = PACKAGE / "examples"


class Examples(RawCase):
    def run_example(self, name, *args, **env):
        done = subprocess.run([sys.executable, "-W", "error", EXAMPLES / name, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PACKAGE), **env}, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def test_all_are_run_here(self):
        self.assertEqual({path.name for path in EXAMPLES.glob("raw_*.py")}, {"raw_enumerate.py", "raw_library.py", "raw_device.py"})

    def test_enumerate(self):
        status, said, error = self.run_example("raw_enumerate.py")
        self.assertEqual((status, error), (0, ""))
        steady = [info.uri for info in raw.list_devices() if "loop" not in info.uri]  # other tests make and remove loop devices
        self.assertEqual([line.split()[0] for line in said.splitlines() if "loop" not in line.split()[0]], steady)

    def test_library(self):
        status, said, error = self.run_example("raw_library.py")
        self.assertEqual((status, error), (0, ""))
        for part in (raw.version(), raw.library_path(), "int tarn_dev_query(const char *uri"):
            self.assertIn(part, said)

    def test_device(self):
        for uri, blocks in (("mem:1M", 256), (f"file:{self.folder}/disk", 100)):
            if blocks == 100:
                self.file(size=100 * 4096).pwrite(b"0123456789abcdef" * 256, 0)
            status, said, error = self.run_example("raw_device.py", uri)
            self.assertEqual((status, error), (0, ""))
            self.assertIn(f"{blocks} blocks read by", said)
            self.assertIn("30 31 32 33" if blocks == 100 else "00 00 00 00", said)

    def test_wrong_use(self):
        self.assertEqual(self.run_example("raw_device.py"), (1, "", "raw_device.py URI [BLOCKS]\n"))
        status, said, error = self.run_example("raw_device.py", "file:/none")
        self.assertEqual((status, said), (1, ""))
        self.assertIn("raw_device.py: DER_NONEXIST(-1005): ", error)
        status, said, error = self.run_example("raw_enumerate.py", TARN_LIBRARY_PATH="/none")
        self.assertEqual((status, said), (1, ""))
        self.assertIn("Tried:", error)


if __name__ == "__main__":
    unittest.main()
