# SPDX-License-Identifier: Apache-2.0
"""Each public header compiles alone, twice in a row, as C11 and as C++, with gcc and clang; and each declares what is exported."""
import glob
import os
import re
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = sorted(glob.glob(os.path.join(TOP, "c/include/tarn/*.h")))
COMPILERS = [("gcc", "c", "c11"), ("g++", "c++", "c++11"), ("clang", "c", "c11"), ("clang++", "c++", "c++11")]


def declared():
    """The names of the functions in the public headers."""
    names = set()
    for header in HEADERS:
        with open(header, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        names |= set(re.findall(r"TARN_API [^;(]*?\b(tarn_\w+)\(", text))
    return names


def symbols(path, *flags):
    """Names and types of what path defines for others to link."""
    out = subprocess.run(["nm", "--defined-only", "--extern-only", *flags, path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[-1].split("@")[0]: line.split()[-2] for line in out.splitlines() if len(line.split()) == 3}


class Headers(unittest.TestCase):
    def test_self_contained(self):
        self.assertIn("tarn.h", [os.path.basename(h) for h in HEADERS])
        for header in HEADERS:
            name = "tarn/" + os.path.basename(header)
            for compiler, language, standard in COMPILERS:
                with self.subTest(header=name, compiler=compiler):
                    done = subprocess.run(
                        [compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                         "-I", os.path.join(TOP, "c/include"), "-"],
                        input=f"#include <{name}>\n#include <{name}>\n", text=True, stderr=subprocess.PIPE, check=False)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_shared_library_exports_what_headers_declare(self):
        exported = symbols(os.path.join(TOP, "build/lib/libtarn.so"), "--dynamic")
        self.assertEqual({name for name, kind in exported.items() if kind != "A"}, declared())

    def test_static_library_defines_what_headers_declare(self):
        self.assertEqual(set(symbols(os.path.join(TOP, "build/lib/libtarn.a"))), declared())

    def test_exports_carry_their_version(self):
        out = subprocess.run(["readelf", "--dyn-syms", "--wide", os.path.join(TOP, "build/lib/libtarn.so")],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        versions = dict(re.findall(r" (tarn_\w+)@@(\S+)", out))
        self.assertEqual(versions, {name: "TARN_0.1" for name in declared()})

    def test_map_lists_what_headers_declare(self):
        with open(os.path.join(TOP, "c/libtarn.map"), encoding="utf-8") as file:
            self.assertEqual(set(re.findall(r"\b(tarn_\w+);", file.read())), declared())

    def test_soname(self):
        out = subprocess.run(["readelf", "--dynamic", os.path.join(TOP, "build/lib/libtarn.so")],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertIn("Library soname: [libtarn.so.0]", out)


if __name__ == "__main__":
    unittest.main()
