# SPDX-License-Identifier: Apache-2.0
"""The Python package as it is installed: everything is in the wheel, it runs from there, and it agrees with the tree."""
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import PACKAGE, TOP, Gateway  # noqa: E402

GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$|_errno\.py$")


def sources():
    """The files of the package, as the wheel names them."""
    return {str(path.relative_to(PACKAGE)) for path in (PACKAGE / "tarn").rglob("*")
            if path.suffix in (".py", ".pyi", ".typed")}


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        copy = os.path.join(folder.name, "package")  # what setuptools leaves behind stays out of the tree
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
        done = subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-build-isolation",
                               "--no-deps", "--no-index", "-w", folder.name, copy],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
        cls.wheel, = (os.path.join(folder.name, name) for name in os.listdir(folder.name) if name.endswith(".whl"))
        cls.site = os.path.join(folder.name, "site")
        with zipfile.ZipFile(cls.wheel) as wheel:
            wheel.extractall(cls.site)

    def python(self, program, *args, **env):
        return subprocess.run([sys.executable, "-c", program, *args], env={**os.environ, "PYTHONPATH": self.site, **env}, cwd="/",
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout

    def test_everything_is_in_it(self):
        with zipfile.ZipFile(self.wheel) as wheel:
            there = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
        self.assertLessEqual(sources(), there)
        self.assertEqual({name.split("/")[0] for name in there}, {"tarn"})
        self.assertIn("tarn/py.typed", there)

    def test_it_runs(self):
        gateway = Gateway()
        self.addCleanup(gateway.close)
        program = ("import tarn\n"
                   "dd = tarn.DCont('tank', 'neo').dict('installed', {'a': 'b'})\n"
                   "print(tarn.__file__, type(dd).__name__, dd.dump())\n")
        self.assertEqual(self.python(program, TARN_ENDPOINT=gateway.endpoint),
                         f"{self.site}/tarn/__init__.py DDict {{'a': b'b'}}\n")

    def test_without_grpcio(self):
        """What needs no gateway needs no grpcio: the package and its errors, and so what else stands beside them in tarn."""
        program = ("import sys\n"
                   "sys.modules['grpc'] = None\n"
                   "import tarn\n"
                   "print(tarn.PyDError('x', -1004).error.name)\n"
                   "try: tarn.DCont\n"
                   "except ImportError as error: print(error.name)\n"
                   "try: tarn.nothing\n"
                   "except AttributeError as error: print(error)\n")
        self.assertEqual(self.python(program), "DER_EXIST\ngrpc\nmodule 'tarn' has no attribute 'nothing'\n")

    def test_version(self):
        header = (TOP / "c/include/tarn/types.h").read_text(encoding="utf-8")
        version = ".".join(re.search(rf"define TARN_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH"))
        self.assertEqual(self.python("import tarn; print(tarn.__version__)"), version + "\n")
        self.assertIn(f"-{version}-", os.path.basename(self.wheel))


# What a user of the package writes, and what is wrong.
TYPED = """
import tarn
from collections.abc import MutableMapping
cont = tarn.DCont("tank", "neo", endpoint="unix:/x", timeout=1.5)
dd: MutableMapping[str, bytes] = cont.dict("d", {"a": "b", b"c": b"d", "e": None})
with cont as same:
    mine = same["d"]
    one: bytes = mine["a"]
    two: bytes | None = mine.get(b"a")
    three: bytes | int = mine.get("a", 3)
    four: bytes | None = mine.pop("a", None)
    mine["a"], mine[b"b"] = "x", None
    mine.bput({"a": "b", "c": None})
    mine.update(a="b")
    found: dict[str, bytes | None] = mine.bget({"a": None})
    whole: dict[str, bytes] = mine.dump()
    names: list[str] = [name for name in same] + list(mine) + [key for key, value in mine.items() if value == b"x"]
try:
    del mine["a"]
except tarn.PyDError as error:
    print(error.error.name.lower(), error.error.err + 1)
"""
WRONG = ("mine[1]", 'mine["a"] = 1', "mine.put(2, 'x')", "text: str = mine['a']", "tarn.DCont('a', 'b', timeout='x')", "tarn.Nothing")


class Types(unittest.TestCase):
    def test_a_user_sees_types(self):
        wrong = "".join(line + "\n" for line in WRONG)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "user.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(TYPED + wrong)
            done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", TOP / "build" / "mypy",
                                   path], cwd=PACKAGE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        first = TYPED.count("\n") + 1
        self.assertEqual([int(line) for line in re.findall(r"user.py:(\d+): error", done.stdout)],
                         list(range(first, first + len(WRONG))), done.stdout)


class Tree(unittest.TestCase):
    def test_public_names_are_documented(self):
        """Every public class and function of the package says what it is."""
        silent = []
        for name in sorted(sources()):
            if not name.endswith(".py") or GENERATED.search(name) or os.path.basename(name).startswith("_") or "/raw/" in name:
                continue
            tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node) \
                        and not any(getattr(mark, "id", "") == "overload" for mark in node.decorator_list):
                    silent.append(f"{name}: {node.name}")
        self.assertEqual(silent, [])


if __name__ == "__main__":
    unittest.main()
