# SPDX-License-Identifier: Apache-2.0
"""The Python example against a gateway: real files go in and come back the same, and a difference is found."""
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import grpc

TOP = pathlib.Path(__file__).resolve().parents[2]
GATEWAY = TOP / "build" / "bin" / "tarn-gateway"
SCRIPT = TOP / "clients" / "python" / "examples" / "import.py"
REAL_INPUT = pathlib.Path("/usr/include")


def load_example():
    """The example as a module; its name is a keyword of the language."""
    spec = importlib.util.spec_from_file_location("example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load_example()
from tarn.v1 import kv_pb2, pool_pb2, pool_pb2_grpc  # noqa: E402  (the example makes the stubs)


class ImportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.files = pathlib.Path(cls.folder.name)
        root = cls.files / "root"
        cls.gateway = subprocess.Popen([GATEWAY, "--root", root, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.gateway.stderr.close)
        cls.addClassCleanup(cls.gateway.wait)
        cls.addClassCleanup(cls.gateway.terminate)
        cls.ready = json.loads(cls.gateway.stderr.readline())
        cls.channel = grpc.insecure_channel("unix:" + cls.ready["socket"])
        cls.addClassCleanup(cls.channel.close)
        pool_pb2_grpc.PoolServiceStub(cls.channel).CreatePool(pool_pb2.CreatePoolRequest(label="tank", size=1 << 30), timeout=30)
        cls.kv = example.kv_pb2_grpc.KeyValueServiceStub(cls.channel)

    def run_example(self, *args):
        return subprocess.run([sys.executable, SCRIPT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240)

    def tree(self, name, sizes):
        """A directory of files of these sizes, some in folders, with names that are not all UTF-8."""
        top, rng = self.files / name, random.Random(1)
        for i, size in enumerate(sizes):
            path = os.path.join(os.fsencode(top), b"folder %d" % (i % 3), b"file-%d-\xff\xc3\xb6" % i)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(rng.randbytes(size))
        return top

    def test_sizes(self):
        sizes = [0, 1, 4095, 4096, 4097, 65536, 300000, 1 << 20, (1 << 20) + 1, (3 << 20) + 7] + [100] * 1500
        done = self.run_example("unix:" + self.ready["socket"], "tank", "neo", "sizes", self.tree("sizes", sizes))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"{len(sizes)} files, {sum(sizes)} bytes, 0 differ\n")

    def test_real_input(self):
        done = self.run_example(self.ready["listen"], "tank", "neo", "headers", REAL_INPUT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        count = int(done.stdout.split()[0])
        self.assertEqual(count, sum(os.path.isfile(os.path.join(at, name)) for at, _, names in os.walk(REAL_INPUT) for name in names))
        self.assertGreater(count, 0)

    def test_difference(self):
        """One byte in one value, a value that is gone: both are found, and nothing else."""
        top = self.tree("difference", [10, 2000, 70000, (1 << 20) + 5, 30])
        args = ("unix:" + self.ready["socket"], "tank", "neo", "difference", top)
        self.assertEqual(self.run_example(*args).returncode, 0)
        files = example.files_of(str(top))
        self.assertEqual(example.differences(self.kv, "tank/neo/difference", files), [])
        (changed, path), (gone, missing) = (next(f for f in files if os.path.getsize(f[1]) == n) for n in (2000, (1 << 20) + 5))
        value = bytearray(pathlib.Path(path).read_bytes())
        value[-1] ^= 1
        self.kv.Put(kv_pb2.PutRequest(object="tank/neo/difference", key=changed, value=bytes(value)))
        self.kv.Delete(kv_pb2.DeleteRequest(object="tank/neo/difference", key=gone))
        self.assertEqual(sorted(example.differences(self.kv, "tank/neo/difference", files)), sorted([path, missing]))

    def test_wrong_use(self):
        for args, status, says in (
                (("one", "argument"), 2, "import.py ENDPOINT POOL CONTAINER OBJECT DIR"),
                (("unix:" + self.ready["socket"], "none", "neo", "o", str(TOP / "proto")), 1, "NOT_FOUND"),
                (("unix:" + str(self.files / "nobody"), "tank", "neo", "o", str(TOP / "proto")), 1, "UNAVAILABLE"),
                (("unix:" + self.ready["socket"], "tank", "neo", "o", str(self.files / "none")), 2, "holds no files")):
            done = self.run_example(*args)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main()
