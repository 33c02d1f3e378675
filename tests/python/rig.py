# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: a gateway on a pool of its own, and a proxy in front of it that counts and injects."""
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = TOP / "clients" / "python"
sys.path.insert(0, str(PACKAGE))
import tarn  # noqa: E402
from tarn.v1 import container_pb2, container_pb2_grpc, pool_pb2, pool_pb2_grpc  # noqa: E402

PROGRAM = TOP / "build" / "bin" / "tarn-gateway"
_ENVIRONMENT = ("TARN_ENDPOINT", "TARN_ROOT", "XDG_DATA_HOME", "TARN_TLS_CA",
                "TARN_TLS_CERT", "TARN_TLS_KEY", "TARN_TOKEN", "TARN_TOKEN_FILE")


class Gateway:
    """A gateway in a directory of its own, with the pool tank, and in it neo (PYTHON) and kv (KV)."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.folder.name, "root")
        self.start()
        with grpc.insecure_channel(self.endpoint) as channel:
            pool_pb2_grpc.PoolServiceStub(channel).CreatePool(pool_pb2.CreatePoolRequest(label="tank", size=1 << 30), timeout=30)
            containers = container_pb2_grpc.ContainerServiceStub(channel)
            for label, kind in (("neo", container_pb2.CONTAINER_TYPE_PYTHON), ("kv", container_pb2.CONTAINER_TYPE_KV)):
                containers.CreateContainer(container_pb2.CreateContainerRequest(pool="tank", label=label, type=kind), timeout=30)

    def start(self, *args):
        self.process = subprocess.Popen([PROGRAM, "--root", self.root, "--listen", "127.0.0.1:0", *args], stderr=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stderr.readline())
        self.endpoint, self.tcp = "unix:" + ready["socket"], ready["listen"]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)  # in case a test stopped it
        self.process.wait()
        self.process.stderr.close()

    def close(self):
        self.stop()
        self.folder.cleanup()


class GatewayTest(unittest.TestCase):
    """A test with a gateway for the class, and a container in self.cont."""

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway()
        cls.addClassCleanup(cls.gateway.close)

    def setUp(self):
        self.cont = self.open()
        self.names = itertools.count()

    def open(self, *args, **kwargs):
        cont = tarn.DCont(*(args or ("tank", "neo")), **{"endpoint": self.gateway.endpoint, **kwargs})
        self.addCleanup(cont.close)
        return cont

    def fresh(self, *args, **kwargs):
        """A new dictionary with what dict(*args, **kwargs) has."""
        return self.cont.dict(f"{self.id()}-{next(self.names)}", dict(*args, **kwargs))

    @contextlib.contextmanager
    def fails(self, name, *words):
        """A PyDError of that name, in whose text all the words are."""
        with self.assertRaises(tarn.PyDError) as caught:
            yield caught
        self.assertEqual(caught.exception.error.name, name, caught.exception)
        for word in (name, *words):
            self.assertIn(word, str(caught.exception))


@contextlib.contextmanager
def environment(**values):
    """Only these of the variables that say where a gateway is."""
    old = {name: os.environ.pop(name) for name in _ENVIRONMENT if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in _ENVIRONMENT:
            os.environ.pop(name, None)
        os.environ.update(old)


class Proxy(grpc.GenericRpcHandler):
    """Passes calls on to a gateway. calls counts them by method; faults[method] is a list of statuses to answer the next calls with;
    cut[method] ends the next stream after so many messages, damage[method] changes the last byte of that message; calls wait for gate,
    running is how many there are, and most how many there were at once."""

    def __init__(self, endpoint):
        self.channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", 64 << 20)])
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(40), handlers=[self])
        self.endpoint = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.lock = threading.Lock()
        self.calls, self.faults, self.cut, self.damage = collections.Counter(), collections.defaultdict(list), {}, {}
        self.running = self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self.server.start()

    def close(self):
        self.gate.set()
        self.server.stop(0).wait()
        self.channel.close()

    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(lambda messages, context: self.forward(details.method, messages, context))

    def forward(self, path, messages, context):
        method = path.rsplit("/", 1)[1]
        with self.lock:
            self.calls[method] += 1
            fault = self.faults[method].pop(0) if self.faults[method] else None
            cut, damage = self.cut.pop(method, None), self.damage.pop(method, None)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            self.gate.wait(20)
            if fault:
                self.end(context, *fault)
            for n, message in enumerate(self.channel.stream_stream(path)(messages, timeout=30), 1):
                yield message[:-1] + bytes([message[-1] ^ 1]) if n == damage else message
                if n == cut:
                    self.end(context, grpc.StatusCode.UNAVAILABLE)
        except grpc.RpcError as error:
            self.end(context, error.code(), error.details(), error.trailing_metadata())
        finally:
            with self.lock:
                self.running -= 1

    @staticmethod
    def end(context, code, details="injected", trailers=()):
        context.set_trailing_metadata(tuple((key, value) for key, value in trailers))
        context.abort(code, details)

    def since(self, action):
        """The calls that action makes."""
        before = self.calls.copy()
        action()
        return dict(self.calls - before)
