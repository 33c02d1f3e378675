# SPDX-License-Identifier: Apache-2.0
"""The Python package and its gateway: where it is found, round trips, calls in flight, what is repeated and what is not, and errors when
the gateway is slow, full, gone or comes back."""
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from google.protobuf import any_pb2, duration_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from rig import Gateway, GatewayTest, Proxy, environment, tarn  # noqa: E402

UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE,)


def overloaded(delay=0.0):
    """The status of a gateway that is full, and wants to be asked again after so many seconds."""
    info, retry = any_pb2.Any(), any_pb2.Any()
    retry.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=int(delay * 1e9))))
    info.Pack(error_details_pb2.ErrorInfo(reason="DER_OVERLOAD_RETRY", domain="tarn", metadata={"rc": "-2048"}))
    status = status_pb2.Status(code=8, message="full", details=[info, retry])
    return grpc.StatusCode.RESOURCE_EXHAUSTED, "full", (("grpc-status-details-bin", status.SerializeToString()),)


class Endpoints(GatewayTest):
    def test_ways_to_say_it(self):
        home = os.path.dirname(self.gateway.root)
        os.makedirs(os.path.join(home, "data"), exist_ok=True)
        os.symlink(self.gateway.root, os.path.join(home, "data", "tarn"))
        for values in ({"TARN_ENDPOINT": self.gateway.endpoint}, {"TARN_ENDPOINT": self.gateway.tcp}, {"TARN_ROOT": self.gateway.root},
                       {"XDG_DATA_HOME": os.path.join(home, "data")},
                       {"TARN_ENDPOINT": self.gateway.endpoint, "TARN_ROOT": "/nonexistent"}):
            with self.subTest(values=values), environment(**values), tarn.DCont("tank", "neo") as cont:
                self.assertEqual(str(cont), "tank/neo")
        with environment(TARN_ENDPOINT="unix:/nonexistent"):
            for endpoint in (self.gateway.tcp, "dns:" + self.gateway.tcp, "dns:/" + self.gateway.tcp, "dns:///" + self.gateway.tcp):
                with self.subTest(endpoint=endpoint):
                    self.open(endpoint=endpoint)

    def test_malformed(self):
        for endpoint in ("unix:", "nonsense", "host:", ":1", "http://localhost:1", "local:/path", "host:port", "a/b:1"):
            with self.subTest(endpoint=endpoint), self.fails("DER_INVAL", repr(endpoint), "unix:PATH"):
                self.open(endpoint=endpoint)

    def test_nobody_there(self):
        with tempfile.TemporaryDirectory() as empty, environment(TARN_ROOT=empty):
            with self.fails("DER_UNREACH", empty, "start tarn-gateway"):
                tarn.DCont("tank", "neo")
            pathlib.Path(empty, "tarn.sock").touch()
            for endpoint in (None, "127.0.0.1:1", f"unix:{empty}/other"):
                began = time.monotonic()
                with self.subTest(endpoint=endpoint), self.fails("DER_UNREACH", "no gateway answers at"):
                    tarn.DCont("tank", "neo", endpoint=endpoint)
                self.assertLess(time.monotonic() - began, 20)

    def test_no_proxy(self):
        os.environ["http_proxy"] = "http://127.0.0.1:1"
        self.addCleanup(os.environ.pop, "http_proxy")
        self.open(endpoint=self.gateway.tcp)


class Idle(GatewayTest):
    def connections(self):
        """How many ends of a connection the socket of the gateway has."""
        with open("/proc/net/unix", encoding="ascii") as table:
            return sum(line.split()[5] == "03" and line.rstrip().endswith(self.gateway.root + "/tarn.sock") for line in table)

    def test_an_idle_connection_ends_and_comes_back(self):
        """gRPC reads nothing while no call runs: a gateway that is told to stop would wait for such a client."""
        dd = self.fresh(a="1")
        self.assertEqual(self.connections(), 1)
        until = time.monotonic() + 30
        while self.connections() and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual(self.connections(), 0)
        dd["b"] = "2"
        self.assertEqual(dd.dump(), {"a": b"1", "b": b"2"})


class Calls(GatewayTest):
    def setUp(self):
        self.proxy = Proxy(self.gateway.endpoint)
        self.addCleanup(self.proxy.close)
        super().setUp()

    def open(self, *args, **kwargs):
        return super().open(*args, **{"endpoint": self.proxy.endpoint, **kwargs})

    def test_round_trips(self):
        dd = self.fresh({f"{i:04}": "x" for i in range(2500)})
        for action, calls in (
                (lambda: len(dd), {"Count": 1}), (lambda: "0001" in dd, {"Head": 1}), (lambda: "none" in dd, {"Head": 1}),
                (lambda: bool(dd), {"Scan": 1}), (lambda: dd["0001"], {"Get": 1}), (lambda: dd.get("none"), {"Get": 1}),
                (lambda: dd.put("new", "x"), {"Put": 1}), (lambda: dd.__delitem__("new"), {"Delete": 1}),
                (lambda: dd.put("none", None), {"Delete": 1}), (lambda: dd.pop("0000"), {"Scan": 1, "Delete": 1}),
                (lambda: dd.pop("none", None), {"Scan": 1}), (dd.popitem, {"Scan": 1, "Delete": 1}),
                (lambda: list(iter(dd)), {"Scan": 1}), (lambda: list(dd), {"Count": 1, "Scan": 1}),  # list() asks for len() first
                (dd.dump, {"Scan": 1}), (lambda: dd == {}, {"Count": 1}),
                (lambda: dd.bget(dict.fromkeys(f"{i:04}" for i in range(2500))), {"BatchGet": 3}),
                (lambda: dd.bput({f"{i:04}": "y" for i in range(2500)}), {"BatchPut": 3}),
                (lambda: dd.bput({"0000": None, "0001": "z"}), {"BatchPut": 1, "BatchDelete": 1}),
                (dd.clear, {"DeleteRange": 1})):
            self.assertEqual(self.proxy.since(action), calls)

    def test_sixteen_in_flight(self):
        dd = self.fresh()
        self.proxy.most = 0
        self.proxy.gate.clear()
        work = threading.Thread(target=dd.bput, args=({f"{i:05}": "x" for i in range(24_000)},))
        work.start()
        until = time.monotonic() + 20
        while self.proxy.running < 16 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        self.assertEqual(self.proxy.running, 16)
        self.proxy.gate.set()
        work.join(60)
        self.assertEqual((len(dd), self.proxy.most), (24_000, 16))
        self.proxy.most = 0
        self.assertEqual(sum(value == b"x" for value in dd.bget({f"{i:05}": None for i in range(24_000)}).values()), 24_000)
        self.assertLessEqual(self.proxy.most, 16)

    def test_reads_are_repeated(self):
        dd = self.fresh(a="1")
        for method, read in (("Get", lambda: dd["a"]), ("Head", lambda: "a" in dd), ("Count", lambda: len(dd)),
                             ("Scan", lambda: list(iter(dd))), ("BatchGet", lambda: dd.bget({"a": None})),
                             ("GetObject", lambda: self.cont.get(dd.name))):
            self.proxy.faults[method] = [UNAVAILABLE] * 2
            with self.subTest(method=method):
                self.assertEqual(self.proxy.since(read), {method: 3})

    def test_changes_are_not(self):
        dd = self.fresh(a="1")
        for method, change in (("Put", lambda: dd.put("a", "2")), ("Delete", lambda: dd.put("a", None)),
                               ("BatchPut", lambda: dd.bput({"a": "2"})), ("DeleteRange", dd.clear),
                               ("CreateObject", lambda: self.cont.dict("never")), ("DeleteObject", lambda: self.cont.destroy(dd.name))):
            self.proxy.faults[method] = [UNAVAILABLE]
            with self.subTest(method=method):
                before = self.proxy.calls[method]
                with self.fails("DER_UNREACH"):
                    change()
                self.assertEqual(self.proxy.calls[method], before + 1)
        self.assertEqual(dd.dump(), {"a": b"1"})

    def test_overload(self):
        """A full gateway is asked again, in bulk; what it refuses for another reason is raised, after what is in flight has ended."""
        dd = self.fresh()
        self.proxy.faults["BatchPut"] = [overloaded()] * 3
        dd.bput({f"{i:04}": "x" for i in range(3000)})
        self.assertEqual(len(dd), 3000)
        self.proxy.faults["BatchGet"] = [overloaded()] * 2
        self.assertEqual(dd.bget({"0000": None}), {"0000": b"x"})
        self.proxy.faults["BatchPut"] = [(grpc.StatusCode.DATA_LOSS,)]
        with self.fails("DER_DATA_LOSS"):
            dd.bput({f"{i:04}": "y" for i in range(3000)})
        self.assertEqual((self.proxy.running, sum(value == b"y" for value in dd.values())), (0, 2000))

    def test_a_full_gateway_is_asked_again(self):
        dd = self.fresh()
        self.proxy.faults["Put"] = [overloaded(0.05)] * 3
        began, before = time.monotonic(), self.proxy.calls["Put"]
        dd["a"] = "1"
        self.assertEqual((dd["a"], self.proxy.calls["Put"] - before), (b"1", 4))
        self.assertGreaterEqual(time.monotonic() - began, 0.15)
        self.proxy.faults["Get"] = [overloaded()]
        self.assertEqual(dd["a"], b"1")

    def test_a_failure_ends_the_sending(self):
        dd = self.fresh()
        self.proxy.faults["BatchPut"] = [(grpc.StatusCode.DATA_LOSS,)] * 40
        before = self.proxy.calls["BatchPut"]
        with self.fails("DER_DATA_LOSS"):
            dd.bput({f"{i:02}": b"x" * 300_000 for i in range(40)})
        self.assertEqual((self.proxy.calls["BatchPut"] - before, len(dd)), (16, 0))

    def test_a_broken_scan_goes_on(self):
        pairs = {f"{i:05}": f"{i}" for i in range(20_000)}
        dd = self.fresh(pairs)
        for _ in range(2):
            self.proxy.cut["Scan"] = 3
            self.assertEqual(self.proxy.since(lambda: self.assertEqual(list(iter(dd)), list(pairs))), {"Scan": 2})
        self.proxy.cut["Scan"] = 2
        self.assertEqual(list(dd.dump().values()), [value.encode() for value in pairs.values()])

    def test_a_slow_reader_keeps_its_place(self):
        pairs = {f"{i:05}": "x" * 1000 for i in range(3_000)}
        dd = self.fresh(pairs)
        walk, keys = iter(self.open(timeout=1).get(dd.name).items()), []
        for key, _ in walk:
            keys.append(key)
            if len(keys) in (1, 1500):
                time.sleep(1.2)
        self.assertEqual(keys, list(pairs))

    def test_an_abandoned_scan_ends(self):
        dd = self.fresh({f"{i:05}": "x" * 1000 for i in range(3_000)})
        walk = iter(dd.items())
        next(walk)
        self.assertEqual(self.proxy.running, 1)
        del walk
        until = time.monotonic() + 20
        while self.proxy.running and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.proxy.running, 0)

    def test_a_damaged_stream_is_found(self):
        dd = self.fresh(big=b"x" * (3 << 20))
        self.proxy.cut["GetStream"] = 5
        with self.fails("DER_UNREACH"):
            dd["big"]
        self.proxy.damage["GetStream"] = 5
        with self.fails("DER_CSUM", "read them again"):
            dd["big"]
        self.assertEqual(len(dd["big"]), 3 << 20)


class Outages(unittest.TestCase):
    """A gateway that does not answer, dies, and comes back."""

    fails = GatewayTest.fails

    def test_slow_dead_and_back(self):
        gateway = Gateway()
        self.addCleanup(gateway.close)
        with tarn.DCont("tank", "neo", endpoint=gateway.endpoint) as cont, \
                tarn.DCont("tank", "neo", endpoint=gateway.endpoint, timeout=1) as hasty:
            dd = cont.dict("survivor", {"a": "1"})
            late = hasty.get("survivor")
            gateway.process.send_signal(signal.SIGSTOP)
            os.waitpid(gateway.process.pid, os.WUNTRACED)  # it does not stop at once
            for call in (lambda: late["a"], lambda: late.put("b", "2"), lambda: list(late), lambda: late.bput({"b": "2"})):
                with self.fails("DER_TIMEDOUT", "did not answer in time"):
                    call()
            gateway.stop(signal.SIGKILL)
            for call in (lambda: dd["a"], lambda: dd.put("c", "3"), lambda: list(dd), lambda: dd.bput({"c": "3"}), dd.clear):
                with self.fails("DER_UNREACH", gateway.endpoint, "tarn-gateway runs"):
                    call()
            gateway.start()
            until = time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    self.assertEqual((dd["a"], "c" in dd), (b"1", False))
                    break
                except tarn.PyDError:
                    time.sleep(0.1)
            else:
                self.fail("the container does not find the gateway again")


if __name__ == "__main__":
    unittest.main()
