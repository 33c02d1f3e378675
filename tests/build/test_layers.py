# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: a layer of C sees those below it only, the public headers see themselves, and "C" is imported in one place."""
import glob
import os
import re
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAYERS = ["base", "device", "store", "driver", "pool", "container", "object", "api"]  # from below


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def includes(path):
    return re.findall(r'^\s*#\s*include\s+(["<][^">]+[">])', read(path), re.M)


class Layers(unittest.TestCase):
    def test_every_folder_is_a_layer(self):
        self.assertEqual(sorted(os.listdir(os.path.join(TOP, "c/src"))), sorted(LAYERS))

    def test_a_layer_includes_those_below(self):
        seen = 0
        for path in glob.glob(os.path.join(TOP, "c/src/**/*.[ch]"), recursive=True):
            own = LAYERS.index(os.path.relpath(path, os.path.join(TOP, "c/src")).split(os.sep)[0])
            for name in includes(path):
                if name[0] == "<":
                    continue
                target = os.path.normpath(os.path.join(os.path.dirname(path), name[1:-1]))
                self.assertTrue(os.path.exists(target), f"{path} includes {name}, which is not there")
                other = LAYERS.index(os.path.relpath(target, os.path.join(TOP, "c/src")).split(os.sep)[0])
                self.assertLessEqual(other, own, f"{os.path.relpath(path, TOP)} includes {name}, of a layer above")
                seen += 1
        self.assertGreater(seen, len(LAYERS))

    def test_public_headers_include_public_headers(self):
        for path in glob.glob(os.path.join(TOP, "c/include/tarn/*.h")):
            for name in includes(path):
                self.assertRegex(name, r"^<(tarn/\w+|stdbool|stddef|stdint)\.h>$", os.path.basename(path))

    def test_only_the_binding_imports_c(self):
        users = {os.path.relpath(os.path.dirname(path), TOP) for folder in ("go", "cmd", "tests")
                 for path in glob.glob(os.path.join(TOP, folder, "**/*.go"), recursive=True)
                 if re.search(r'^import "C"', read(path), re.M)}
        self.assertLessEqual(users, {"go/tarn", "go/tarn/device"})
        self.assertIn("go/tarn", users)


if __name__ == "__main__":
    unittest.main()
