# SPDX-License-Identifier: Apache-2.0
"""A changed source, header or flag, or a source that is gone, changes the library, and what go commands are told of it; nothing
else does. On a copy of the tree."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Rebuild(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.tree = tmp.name
        for folder in ("c", "proto", ".ci"):
            shutil.copytree(os.path.join(TOP, folder), os.path.join(self.tree, folder))
        for file in ("Makefile", "go.mod"):
            shutil.copy(os.path.join(TOP, file), self.tree)

    def lib_id(self, cflags="-O0"):
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CGO_CFLAGS")}
        done = subprocess.run(["make", "-C", self.tree, "lib", "build/go.env", "DEPS=", "CFLAGS=" + cflags], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return re.search(r"TARN_LIB_ID=(0x\w+)", self.read("build/go.env"))[1]

    def read(self, path):
        with open(os.path.join(self.tree, path), encoding="utf-8") as file:
            return file.read()

    def append(self, path, text):
        with open(os.path.join(self.tree, path), "a", encoding="utf-8") as file:
            file.write(text)

    def add_to_header(self, path, guard, text):
        changed = self.read(path).replace(f"#define {guard}\n", f"#define {guard}\n{text}\n", 1)
        with open(os.path.join(self.tree, path), "w", encoding="utf-8") as file:
            file.write(changed)

    def test_what_changes_the_library(self):
        self.append("c/src/base/extra.c", "int extra(void);\nint extra(void)\n{\n\treturn 1;\n}\n")
        ids = [self.lib_id()]
        stamp = os.stat(os.path.join(self.tree, "build/go.env")).st_mtime_ns
        self.assertEqual(self.lib_id(), ids[0])
        self.assertEqual(os.stat(os.path.join(self.tree, "build/go.env")).st_mtime_ns, stamp, "it was written for nothing")
        changes = {
            "a source": lambda: self.append("c/src/base/extra.c", "int more(void);\nint more(void)\n{\n\treturn 2;\n}\n"),
            "a public header": lambda: self.append("c/include/tarn/types.h", "/* a comment */\n"),
            "an inner header": lambda: self.add_to_header("c/src/base/base.h", "TARN_BASE_H",
                                                          "static const int rebuild_probe __attribute__((used)) = 5;"),
            "a source that is gone": lambda: os.remove(os.path.join(self.tree, "c/src/base/extra.c")),
        }
        for what, change in changes.items():
            with self.subTest(what):
                change()
                ids.append(self.lib_id())
                self.assertNotIn(ids[-1], ids[:-1])
        with self.subTest("flags"):
            self.assertNotIn(self.lib_id("-O1"), ids)


if __name__ == "__main__":
    unittest.main()
