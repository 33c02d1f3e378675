# SPDX-License-Identifier: Apache-2.0
"""Watches of dictionaries: what they show, that they go on where they were whatever breaks, and their errors."""
import os
import random
import signal
import sys
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Gateway, GatewayTest, Proxy, tarn  # noqa: E402

UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE,)


def short(change):
    return f"-{change.key}" if change.deleted else f"{change.key}={change.value.decode()}" if change.value is not None else change.key


class Cuts(dict):
    """For a proxy: every stream ends after a few messages."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def pop(self, *_):
        return self.rng.randrange(2, 4)  # a batch has several messages: it never comes whole on one stream


class Watches(GatewayTest):
    def take(self, watch, n):
        return [next(watch) for _ in range(n)]

    def test_shows(self):
        dd = self.fresh(before="x")
        with dd.watch() as watch, dd.watch("b") as some, dd.watch(keys_only=True) as keys:
            begin = watch.revision
            dd["a"] = "1"
            dd.bput({"b": "2", "c": "3"})
            del dd["a"]
            dd["bä\udcff"] = "4"
            self.assertEqual([short(change) for change in self.take(watch, 5)], ["a=1", "b=2", "c=3", "-a", "bä\udcff=4"])
            self.assertEqual([short(change) for change in self.take(some, 2)], ["b=2", "bä\udcff=4"])
            self.assertEqual([(change.key, change.value, change.size) for change in self.take(keys, 2)], [("a", None, 1), ("b", None, 1)])
            self.assertIsInstance(watch, tarn.Watch)
            with dd.watch(after=begin) as again:
                first = next(again)
                self.assertEqual(first, tarn.Change("a", b"1", begin + 1, False, 1, False))
                self.assertEqual(again.revision, begin + 1)

    def test_goes_on_inside_a_batch(self):
        dd = self.fresh()
        with dd.watch() as watch:
            begin = watch.revision
        dd.bput({f"{n:03}": "v" * 900 for n in range(100)})
        dd["last"] = "1"
        seen, after, position = [], begin, 0
        while not seen or seen[-1] != "last":  # each watch takes seven, and its messages have others
            with dd.watch(after=after, position=position) as watch:
                seen += [next(watch).key for _ in range(min(7, 101 - len(seen)))]
                after, position = watch.revision, watch.position
            self.assertEqual((after, position), (begin, len(seen)) if len(seen) < 100 else (begin + len(seen) - 99, 0))
        self.assertEqual(seen, [f"{n:03}" for n in range(100)] + ["last"])

    def test_values(self):
        dd = self.fresh()
        values = [os.urandom(size) for size in (3000, 100_000, 1 << 20)]
        with dd.watch() as watch, dd.watch(value_max=3000) as small:
            for value in values:
                dd["k"] = value
            self.assertEqual([change.value for change in self.take(watch, 3)], values)
            self.assertEqual([(change.value, change.size, change.gone) for change in self.take(small, 3)],
                             [(values[0], 3000, False), (None, 100_000, False), (None, 1 << 20, False)])

    def test_closes(self):
        dd = self.fresh()
        watch = dd.watch()
        ended = threading.Thread(target=lambda: self.assertEqual(list(watch), []))
        ended.start()
        watch.close()
        ended.join(20)
        self.assertFalse(ended.is_alive())
        watch.close()
        with self.assertRaises(StopIteration):
            next(watch)

    def test_errors(self):
        dd = self.fresh(a="1")
        with dd.watch() as watch:
            now = watch.revision
        with self.fails("DER_OVERFLOW"):
            dd.watch(after=now + 1000)
        with self.fails("DER_EP_OLD") as caught:
            dd.watch(after=0)
        oldest = caught.exception.oldest
        self.assertGreater(oldest, 1)
        with dd.watch(after=oldest - 1) as watch:
            self.assertEqual(short(next(watch)), "a=1")
        for bad in ({"after": -1}, {"position": 1}, {"after": now, "position": -1}, {"value_max": 0}, {"value_max": (1 << 20) + 1}):
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                dd.watch(**bad)
        with self.assertRaises(TypeError):
            dd.watch(7)
        watch = dd.watch()
        self.cont.destroy(dd.name)
        with self.fails("DER_NONEXIST"):
            list(watch)
        self.assertEqual(list(watch), [])  # it is closed then

    def test_a_closed_container(self):
        cont = self.open()
        self.fresh(a="1")
        dd = cont.dict(self.id())
        watch = dd.watch()
        cont.close()
        with self.fails("DER_CANCELED"):
            next(watch)
        with self.fails("DER_NO_HDL"):
            dd.watch()


class Broken(GatewayTest):
    def setUp(self):
        self.proxy = Proxy(self.gateway.endpoint)
        self.addCleanup(self.proxy.close)
        super().setUp()

    def open(self, *args, **kwargs):
        return super().open(*args, **{"endpoint": self.proxy.endpoint, **kwargs})

    def test_a_broken_watch_goes_on(self):
        """Each change once, also of a batch of several messages that is broken off in its middle."""
        seed = int(os.environ.get("TARN_TEST_SEED") or random.randrange(1 << 32))
        rng = random.Random(seed)
        with self.subTest(TARN_TEST_SEED=seed):
            dd = self.fresh()
            with dd.watch() as watch:
                begin = watch.revision
            want = []
            for i in range(3):
                batch = {f"{n:03}": f"{i}" * 900 for n in range(rng.randrange(20, 50))}
                dd.bput(batch)
                want += [f"{key}={value}" for key, value in batch.items()]
            self.proxy.cut = Cuts(rng)
            before = self.proxy.calls["Watch"]
            with dd.watch(after=begin) as watch:
                self.assertEqual([short(next(watch)) for _ in want], want)
            self.assertGreater(self.proxy.calls["Watch"] - before, 3)

    def test_faults(self):
        dd = self.fresh()
        with dd.watch() as watch:
            self.proxy.faults["Watch"] = [UNAVAILABLE] * 9
            for name in ("a", "b"):
                dd[name] = "1"
            self.assertEqual([next(watch).key, next(watch).key], ["a", "b"])
        self.proxy.faults["Watch"] = [(grpc.StatusCode.DATA_LOSS,)]
        with self.fails("DER_DATA_LOSS"):
            dd.watch()
        self.proxy.faults["Watch"].clear()


class Restarts(unittest.TestCase):
    fails = GatewayTest.fails

    def test_restarts(self):
        """Nothing is skipped or doubled when the gateway is stopped, or killed, and started anew; when it stays away it is an error."""
        gateway = Gateway()
        self.addCleanup(gateway.close)
        with tarn.DCont("tank", "neo", endpoint=gateway.endpoint) as cont, \
                tarn.DCont("tank", "neo", endpoint=gateway.endpoint, timeout=1) as hasty:
            dd = cont.dict("survivor")
            soon = hasty.get("survivor").watch()
            with dd.watch() as watch:
                seen = []
                for n, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
                    dd[f"before {n}"] = "x"
                    if n != 1:
                        seen.append(next(watch).key)
                    gateway.stop(how)
                    gateway.start()
                    self.again(dd, f"after {n}")
                while len(seen) < 6:
                    seen.append(next(watch).key)
                self.assertEqual(seen, [f"{when} {n}" for n in range(3) for when in ("before", "after")])
            gateway.stop(signal.SIGKILL)
            began = time.monotonic()
            with self.fails("DER_UNREACH", "no gateway answers"):
                list(soon)
            self.assertLess(time.monotonic() - began, 30)
            gateway.start()

    @staticmethod
    def again(dd, key):
        """A change may be refused while the connection is made anew."""
        until = time.monotonic() + 20
        while True:
            try:
                dd[key] = "x"
                return
            except tarn.PyDError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
