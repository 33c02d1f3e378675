# SPDX-License-Identifier: Apache-2.0
"""Where the library is looked for, and what is said when it is not there; each case in a process of its own."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import LIBRARY, PACKAGE, TOP, raw  # noqa: E402

SONAME = "libtarn.so.0"


class Load(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.tools = self.folder / "tools"  # the only PATH
        self.tools.mkdir()

    def python(self, code, package=PACKAGE, **env):
        command = [sys.executable, "-W", "error", *(["-c", code] if code != "-m" else ["-m", "tarn.raw"])]
        done = subprocess.run(command, env={"PATH": str(self.tools), "PYTHONPATH": str(package), **env}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def works(self, how, **env):
        status, said, error = self.python("-m", **env)
        self.assertEqual((status, error), (0, ""))
        version, path, found = said.splitlines()
        self.assertEqual((version, found), (f"libtarn {raw.version()}", f"found by {how}"))
        return path

    def library(self, name, code):
        """A library of our own."""
        path = self.folder / name
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=code, text=True, check=True)
        return path

    def test_a_file(self):
        path = self.works("TARN_LIBRARY_PATH", TARN_LIBRARY_PATH=str(LIBRARY / "libtarn.so"))
        self.assertEqual(path, os.path.realpath(LIBRARY / "libtarn.so"))

    def test_a_copy_under_another_name(self):
        shutil.copy(LIBRARY / "libtarn.so", self.folder / "mine.so")
        path = self.works("TARN_LIBRARY_PATH", TARN_LIBRARY_PATH=str(self.folder / "mine.so"))
        self.assertEqual(path, os.path.realpath(self.folder / "mine.so"))

    def test_a_directory(self):
        self.works("TARN_LIBRARY_PATH", TARN_LIBRARY_PATH=str(LIBRARY))

    def test_a_directory_with_the_plain_name_only(self):
        shutil.copy(LIBRARY / "libtarn.so", self.folder / "libtarn.so")
        self.works("TARN_LIBRARY_PATH", TARN_LIBRARY_PATH=str(self.folder))

    def test_the_loaders_path(self):
        self.works("the loader's path", LD_LIBRARY_PATH=str(LIBRARY))

    def test_pkg_config(self):
        """A pkg-config that knows of Tarn: the real one, and the library's own file made for this place."""
        real = shutil.which("pkg-config")
        if not real:
            self.skipTest("there is no pkg-config")
        (self.tools / "pkg-config").symlink_to(real)
        text = (TOP / "c" / "tarn.pc.in").read_text(encoding="utf-8")
        for name, value in (("PREFIX", "/none"), ("LIBDIR", str(LIBRARY)), ("VERSION", "0.1.0")):
            text = text.replace(f"@{name}@", value)
        (self.folder / "tarn.pc").write_text(text, encoding="utf-8")
        self.works("pkg-config", PKG_CONFIG_PATH=str(self.folder))

    def test_the_variable_is_the_only_place(self):
        """A wrong one is not made good in silence by a library elsewhere."""
        status, said, error = self.python("-m", TARN_LIBRARY_PATH=str(self.folder), LD_LIBRARY_PATH=str(LIBRARY))
        self.assertEqual((status, said), (1, ""))
        for part in (f"{self.folder}/{SONAME} (TARN_LIBRARY_PATH)", f"{self.folder}/libtarn.so (", "correct or unset TARN_LIBRARY_PATH"):
            self.assertIn(part, error)

    def test_none(self):
        status, said, error = self.python("-m")
        self.assertEqual((status, said), (1, ""))
        for part in ("libtarn.so cannot be loaded", "install Tarn, or set TARN_LIBRARY_PATH", f"{SONAME} (the loader's path)",
                     "find_library", "pkg-config"):
            self.assertIn(part, error)
        self.assertNotIn("Traceback", error)

    def test_import_needs_no_library_and_use_does(self):
        code = """
from tarn import raw
assert raw.is_loaded is False
with raw.Buffer(4096) as buf:       # needs none
    assert memoryview(buf).nbytes == 4096
for use in (raw.list_devices, lambda: raw.Device.open("mem:1M"), raw.version, lambda: raw.System("/tmp"), lambda: raw.lib.tarn_version):
    try:
        use()
        raise SystemExit("it went well")
    except raw.TarnLibraryNotFound as error:
        assert isinstance(error, ImportError) and len(error.tried) == 3 and "Tried" in str(error), error
import os
os.environ["TARN_LIBRARY_PATH"] = %r
assert raw.is_loaded is True        # the environment has been put right
print(raw.version())
""" % str(LIBRARY)
        self.assertEqual(self.python(code), (0, raw.version() + "\n", ""))

    def test_guard(self):
        status, said, error = self.python("from tarn import raw; raw.guard_unloadable(); print('on')")
        self.assertEqual((status, said), (1, ""))
        self.assertIn("cannot be loaded", error)
        self.assertEqual(self.python("from tarn import raw; raw.guard_unloadable(); print('on')", TARN_LIBRARY_PATH=str(LIBRARY)),
                         (0, "on\n", ""))

    def test_other_libraries(self):
        for code, says in (("int x;", "no tarn_version"),
                           ('const char *tarn_version(void) { return "9.3.0"; }', "of version 9.3.0, and this package needs 0.x")):
            path = self.library(f"lib{len(says)}.so", code)
            status, _, error = self.python("-m", TARN_LIBRARY_PATH=str(path))
            self.assertEqual(status, 1)
            self.assertIn(says, error)

    def test_a_file_that_is_none(self):
        path = self.folder / "text.so"
        path.write_text("not a library")
        status, _, error = self.python("-m", TARN_LIBRARY_PATH=str(path))
        self.assertEqual(status, 1)
        self.assertIn("text.so (TARN_LIBRARY_PATH)", error)

    def test_an_older_library(self):
        path = self.library("old.so", 'const char *tarn_version(void) { return "0.0.9"; }')
        code = "from tarn import raw\ntry:\n    raw.list_devices()\nexcept raw.TarnLibraryNotFound as e:\n    print(e)"
        status, said, error = self.python(code, TARN_LIBRARY_PATH=str(path))
        self.assertEqual((status, error), (0, ""))
        self.assertIn("has no function tarn_dev_list: it is older than this package", said)

    def test_with_and_without_a_package_around_it(self):
        """tarn/__init__.py is another part's: this one works with it and without."""
        for name, init in (("plain", None), ("packaged", "from . import raw\n")):
            tarn = self.folder / name / "tarn"
            shutil.copytree(PACKAGE / "tarn" / "raw", tarn / "raw")
            if init is not None:
                (tarn / "__init__.py").write_text(init)
            code = "import tarn.raw; from tarn import raw; print(raw.is_loaded, raw.__file__)"
            status, said, error = self.python(code, package=self.folder / name, TARN_LIBRARY_PATH=str(LIBRARY))
            self.assertEqual((status, said, error), (0, f"True {tarn}/raw/__init__.py\n", ""))


if __name__ == "__main__":
    unittest.main()
