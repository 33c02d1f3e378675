# SPDX-License-Identifier: Apache-2.0
"""The example programs say what their comments promise."""
import glob
import os
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAID = "Barcelona plays at Camp Nou\nBarcelona = Camp Nou\nDortmund = Westfalenstadion\n"


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60, **options)
    return done.returncode, done.stdout


class Hello(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.tmp = tmp.name

    def gateway(self):
        """Starts one on a root of its own, without TCP, and returns its endpoint."""
        root = os.path.join(self.tmp, "root")
        os.mkdir(root)
        process = subprocess.Popen([os.path.join(TOP, "build/bin/tarn-gateway"), "--root", root, "--listen", ""],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        socket = os.path.join(root, "tarn.sock")
        end = time.monotonic() + 20
        while not os.path.exists(socket):
            self.assertIsNone(process.poll(), "the gateway has ended")
            self.assertLess(time.monotonic(), end, "the gateway does not come up")
            time.sleep(0.02)
        return "unix:" + socket

    def test_c(self):
        self.assertEqual(run(os.path.join(TOP, "build/bin/example-hello"), os.path.join(self.tmp, "root")), (0, SAID))

    def test_raw_device(self):
        program, path = os.path.join(TOP, "build/bin/example-rawdev"), os.path.join(self.tmp, "device")
        self.assertEqual(run(program, path), (0, "block 0 to block 15: as they were written\n"))
        code, said = run(program, path)
        self.assertEqual(code, 1)
        self.assertIn("DER_EXIST", said)

    def test_python(self):
        stubs = os.path.join(self.tmp, "stubs")
        os.mkdir(stubs)
        protos = sorted(glob.glob(os.path.join(TOP, "proto/tarn/v1/*.proto")))
        made = run(sys.executable, "-m", "grpc_tools.protoc", "-I" + os.path.join(TOP, "proto"), "--python_out=" + stubs,
                   "--grpc_python_out=" + stubs, *protos)
        self.assertEqual(made, (0, ""))
        said = run(sys.executable, os.path.join(TOP, "clients/python/examples/hello.py"), self.gateway(),
                   env={**os.environ, "PYTHONPATH": stubs})
        self.assertEqual(said, (0, SAID))


if __name__ == "__main__":
    unittest.main()
