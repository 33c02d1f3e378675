# SPDX-License-Identifier: Apache-2.0
"""Each bug of c/test/planted can still be planted: its text is in its source once. Whether the tests catch them is for make prove-tests."""
import os
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Planted(unittest.TestCase):
    def test_each_can_be_planted(self):
        done = subprocess.run([os.path.join(TOP, "tests/planted/run.py"), "--plant"], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
