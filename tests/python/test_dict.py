# SPDX-License-Identifier: Apache-2.0
"""Dictionaries against a gateway: what a dict does, what PyDAOS does, and what is more: large values, atomic pops, other processes."""
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import PACKAGE, GatewayTest, tarn  # noqa: E402
from tarn.v1 import kv_pb2, kv_pb2_grpc  # noqa: E402

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
MIB = 1 << 20


class Containers(GatewayTest):
    def test_names(self):
        self.assertEqual((str(self.cont), repr(self.cont)), ("tank/neo", "daos://tank/neo"))
        for args, kwargs in ((("tank/neo",), {}), ((), {"pool": "tank", "cont": "neo"}), ((None,), {"path": "daos://tank/neo"})):
            with self.subTest(args=args, kwargs=kwargs):
                self.assertEqual(str(self.open(*args, **kwargs) if args else tarn.DCont(endpoint=self.gateway.endpoint, **kwargs)),
                                 "tank/neo")

    def test_path(self):
        path = os.path.join(self.gateway.folder.name, "link")
        os.mkdir(path)
        with self.fails("DER_INVAL", path, "does not stand for a container"):
            self.open(None, path=path)
        for value, there in ((b"DAOS.PYTHON://tank/neo", True), (b"DAOS.PYTHON://tank/neo\0", True), (b"nonsense", False)):
            try:
                os.setxattr(path, "user.daos", value)
            except OSError as error:
                self.skipTest(f"the file system of {path} has no attributes: {error}")
            if there:
                self.assertEqual(str(self.open(None, path=path)), "tank/neo")
            else:
                with self.fails("DER_INVAL", "nonsense"):
                    self.open(None, path=path)

    def test_refused(self):
        for args, name, word in ((("tank", "kv"), "DER_INVAL", "type KV, not PYTHON"), (("tank", "none"), "DER_CONT_NONEXIST", "none"),
                                 (("none", "neo"), "DER_NONEXIST", "none"), (("tank",), "DER_INVAL", "not both given"),
                                 (("a/b/c",), "DER_INVAL", ""), (("tank", ""), "DER_INVAL", ""), (("tank", "a/b"), "DER_INVAL", "")):
            with self.subTest(args=args), self.fails(name, "failed to access container", word):
                self.open(*args)
        with self.assertRaises(tarn.InvalidModeError):
            self.open(open_mode="EX")
        for timeout in (0, -1, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                self.open(timeout=timeout)

    def test_objects(self):
        with self.assertRaises(tarn.DObjNotFound) as caught:
            self.cont.get("nothing")
        self.assertIn("'nothing'", str(caught.exception))
        made = self.cont.dict("one", {"a": "b"})
        self.assertEqual((str(made), repr(made)), ("one", "daos://tank/neo/one"))
        with self.fails("DER_EXIST", "failed to create DAOS dict", "-1004", "one") as caught:
            self.cont.dict("one", {"a": "c"})
        self.assertEqual(caught.exception.error.err, -1004)
        self.assertEqual(self.cont["one"]["a"], b"b")
        self.assertTrue("one" in self.cont and "two" not in self.cont)
        self.assertIn("one", list(self.cont))
        self.cont.destroy("one")
        with self.assertRaises(tarn.DObjNotFound):
            self.cont.destroy("one")
        with self.fails("DER_NONEXIST"):
            made["a"] = "x"
        with self.fails("DER_NONEXIST"):
            made.get("a")
        for name in ("", "a/b", "nul\0", "x" * 256):
            with self.subTest(name=name), self.fails("DER_INVAL"):
                self.cont.dict(name)
        with self.assertRaises(TypeError):
            self.cont.get(b"bytes")

    def test_many_objects(self):
        names = {f"many-{i:04}" for i in range(1203)}
        for name in names:
            self.cont.dict(name)
        self.assertEqual([name for name in self.cont if name in names], sorted(names))

    def test_bad_content_makes_nothing(self):
        with self.assertRaises(TypeError):
            self.cont.dict("orphan", {"a": 1})
        with self.fails("DER_INVAL"):
            self.cont.dict("orphan", cid="no class")
        self.assertNotIn("orphan", self.cont)
        self.assertEqual(len(self.cont.dict("classy", cid="OC_S2")), 0)

    def test_arrays(self):
        with self.fails("DER_NOTSUPPORTED") as caught:
            self.cont.array("a")
        self.assertIsInstance(caught.exception, NotImplementedError)
        self.assertNotIn("a", self.cont)

    def test_read_only(self):
        self.cont.dict("ro", {"a": "b", "c": "d"})
        cont = self.open(open_mode="RO")
        dd = cont.get("ro")
        self.assertEqual((dd["a"], len(dd), dd.dump(), "a" in dd), (b"b", 2, {"a": b"b", "c": b"d"}, True))
        for change in (lambda: dd.put("a", "x"), lambda: dd.put("a", None), lambda: dd.bput({"a": "x"}), lambda: dd.pop("a"),
                       lambda: dd.__delitem__("a"), dd.popitem, dd.clear, lambda: dd.update(a="x"), lambda: dd.setdefault("e", "x"),
                       lambda: cont.dict("new"), lambda: cont.destroy("ro")):
            with self.fails("DER_NO_PERM", "read-only"):
                change()
        self.assertEqual(dd.dump(), {"a": b"b", "c": b"d"})

    def test_closed(self):
        dd = self.fresh(a="b")
        with self.open() as cont:
            again = cont.get(dd.name)
            walk = iter(again)
            self.assertEqual(next(walk), "a")
        for call in (lambda: again["a"], lambda: list(again), lambda: again.bput({"a": "c"}), lambda: cont.get(dd.name)):
            with self.fails("DER_NO_HDL", "closed"):
                call()
        cont.close()
        self.assertEqual(dd["a"], b"b")

    def test_close_races_with_calls(self):
        dd = self.fresh({f"k{i}": "v" for i in range(5000)})
        for _ in range(5):
            cont, ended = self.open(), []
            work = threading.Thread(target=self._until_closed, args=(cont.get(dd.name), ended))
            work.start()
            time.sleep(0.05)
            cont.close()
            work.join(20)
            self.assertTrue(ended and ended[0] in ("DER_NO_HDL", "DER_CANCELED"), ended)

    @staticmethod
    def _until_closed(dd, ended):
        try:
            while True:
                dd.bget(dict.fromkeys((f"k{i}" for i in range(5000))))
                dd.get("k1")
                len(list(dd))
        except tarn.PyDError as error:
            ended.append(error.error.name)


class Dictionaries(GatewayTest):
    def test_types(self):
        dd = self.fresh()
        dd["str"], dd[b"bytes"], dd["ü"] = "x", b"\x00\xff", "ö"
        self.assertEqual(dd.dump(), {"bytes": b"\x00\xff", "str": b"x", "ü": "ö".encode()})
        self.assertEqual((dd[b"str"], dd["bytes"], dd["ü".encode()]), (b"x", b"\x00\xff", "ö".encode()))
        for bad in (1, None, 1.5, ("a",), bytearray(b"a")):
            for call in (lambda: dd[bad], lambda: dd.get(bad), lambda: bad in dd, lambda: dd.put(bad, "x"), lambda: dd.pop(bad),
                         lambda: dd.__delitem__(bad), lambda: dd.setdefault(bad, "x")):
                with self.subTest(key=bad), self.assertRaises(TypeError):
                    call()
        for bad in (1, 0, 1.5, [], bytearray(b"a")):
            for call in (lambda: dd.put("a", bad), lambda: dd.bput({"a": bad}), lambda: dd.setdefault("a", bad)):
                with self.subTest(value=bad), self.assertRaises(TypeError):
                    call()
        self.assertEqual(len(dd), 3)

    def test_keys_that_are_not_text(self):
        dd, raw = self.fresh(), [b"\xff\xfe", b"\x80", b"a\xc3", b"\x00", b"nul\0within", b"\xed\xb3\xbf", b"k" * 65536]
        dd.bput({key: key[:9] for key in raw})
        self.assertEqual([os.fsencode(key) for key in dd], sorted(raw))
        for key in dd:
            self.assertEqual(dd[key], os.fsencode(key)[:9])
        self.assertEqual(dd, {key: key[:9] for key in raw})
        for key in raw:
            self.assertEqual(dd.pop(key), key[:9])
        with self.assertRaises(ValueError):
            dd["\ud800"] = "a surrogate that stands for no byte"

    def test_bad_keys(self):
        dd = self.fresh(a="b")
        for key, name in (("", "DER_INVAL"), (b"", "DER_INVAL"), ("k" * 65537, "DER_KEY2BIG")):
            for call in (lambda: dd[key], lambda: dd.put(key, "x"), lambda: dd.put(key, None), lambda: dd.bput({key: "x"}),
                         lambda: dd.bget({key: None}), lambda: key in dd):
                with self.subTest(key=key[:3]), self.fails(name):
                    call()
        self.assertEqual(dd.dump(), {"a": b"b"})

    def test_deleting(self):
        dd = self.fresh(a="1", b="2", c="3", d="4", e="5")
        dd["a"] = None
        dd["b"] = ""
        dd["nothing"] = None
        dd.bput({"c": None, "d": b"", "f": "6", "nothing": ""})
        self.assertEqual(dd.dump(), {"e": b"5", "f": b"6"})
        del dd["e"]
        for key in ("e", "nothing"):
            with self.assertRaises(KeyError):
                del dd[key]
        self.assertEqual(self.fresh({"a": "", "b": None, "c": "x"}).dump(), {"c": b"x"})

    def test_allow_empty(self):
        dd = self.cont.dict("empty", {"a": "", "b": b""}, allow_empty=True)
        dd["c"] = ""
        self.assertEqual(dd.dump(), {"a": b"", "b": b"", "c": b""})
        self.assertEqual((dd.get("a"), dd["a"], dd.bget({"a": None, "x": 1}), dd.pop("c")), (b"", b"", {"a": b"", "x": None}, b""))
        for call in (lambda: dd.put("a", None), lambda: dd.bput({"a": None})):
            with self.assertRaises(TypeError):
                call()
        plain = self.cont.get("empty")
        plain["a"] = ""
        self.assertEqual(plain.dump(), {"b": b""})
        by_container = self.open(allow_empty=True).get("empty")
        by_container["d"] = ""
        self.assertEqual(by_container.dump(), {"b": b"", "d": b""})

    def test_get(self):
        dd = self.fresh(a="1")
        self.assertEqual((dd.get("a"), dd.get("x"), dd.get("x", 7), dd.get("a", 7)), (b"1", None, 7, b"1"))
        with self.assertRaises(KeyError) as caught:
            dd["x"]
        self.assertEqual(caught.exception.args, ("x",))

    def test_bulk(self):
        dd = self.fresh()
        wanted = {"a": None, b"b": "old", "c": 3}
        dd.bput({"a": "1", "b": "2"})
        self.assertIs(dd.bget(wanted), wanted)
        self.assertEqual(wanted, {"a": b"1", b"b": b"2", "c": None})
        self.assertEqual(dd.bget({}), {})
        dd.bput({})
        dd.bput({"k": "first", b"k": "last"})
        self.assertEqual(dd["k"], b"last")

    def test_update_and_setdefault(self):
        dd = self.fresh()
        dd.update({"a": "1"}, b="2")
        dd.update([("c", "3"), ("a", "4")])
        dd.update(self.fresh(d="5"))
        dd.update(())
        self.assertEqual(dd.dump(), {"a": b"4", "b": b"2", "c": b"3", "d": b"5"})
        self.assertEqual((dd.setdefault("a", "x"), dd.setdefault("e", "6"), dd.setdefault("f"), dd.setdefault("f", "")),
                         (b"4", b"6", None, None))
        self.assertNotIn("f", dd)

    def test_pop(self):
        dd = self.fresh({"a": "1", "aa": "2", "b": "3"})
        self.assertEqual((dd.pop("a"), dd.pop("a", None), dd.pop("a", 5)), (b"1", None, 5))
        with self.assertRaises(KeyError):
            dd.pop("a")
        self.assertEqual((dd.popitem(), dd.popitem()), (("aa", b"2"), ("b", b"3")))
        with self.assertRaises(KeyError):
            dd.popitem()
        with self.assertRaises(KeyError):
            dd.pop("")

    def test_views(self):
        dd = self.fresh(c="3", a="1", b="2")
        self.assertEqual(list(dd.items()), [("a", b"1"), ("b", b"2"), ("c", b"3")])
        self.assertEqual((list(dd.keys()), list(dd.values()), len(dd.items()), len(dd.values())),
                         (["a", "b", "c"], [b"1", b"2", b"3"], 3, 3))
        self.assertTrue(("a", b"1") in dd.items() and ("a", b"2") not in dd.items() and ("x", b"1") not in dd.items())
        self.assertTrue(b"3" in dd.values() and b"4" not in dd.values() and "b" in dd.keys())
        self.assertEqual((dd.keys() & {"a", "x"}, dict(dd)), ({"a"}, dd.dump()))

    def test_equality(self):
        dd, same = self.fresh(a="1", b="2"), self.fresh(b="2", a="1")
        for equal in (dd, same, {"a": b"1", "b": b"2"}, {b"a": b"1", "b": b"2"}, dd.dump()):
            self.assertTrue(dd == equal and equal == dd and not dd != equal)
        for other in ({}, {"a": b"1"}, {"a": b"1", "b": b"3"}, {"a": b"1", "c": b"2"}, {"a": "1", "b": "2"}, {"a": b"1", 2: b"2"},
                      {"a": b"1", b"a": b"1"}, self.fresh(a="1"), 5, None):
            self.assertTrue(dd != other and other != dd and not dd == other)
        with self.assertRaises(TypeError):
            hash(dd)

    def test_large_values(self):
        rng = random.Random(7)
        values = {f"v{size}": rng.randbytes(size) for size in (1, 4096, 65536, 65537, 300_000, 600_000, MIB - 1, MIB, MIB + 1, 5 * MIB)}
        dd = self.fresh(values)
        for key, value in values.items():
            self.assertTrue(dd[key] == value, key)
        self.assertTrue(dd.bget(dict.fromkeys(values)) == values)
        self.assertTrue(dd.dump() == dict(dd.items()) == values)
        self.assertTrue(dd == values and dd == self.fresh(values))
        changed = dict(values, **{f"v{5 * MIB}": values[f"v{5 * MIB}"][:-1] + b"!"})
        self.assertFalse(dd == changed)
        for key, value in values.items():
            dd["again"] = value
            self.assertTrue(dd.pop("again") == value)
            self.assertTrue(dd.setdefault("default", value) == value and dd.setdefault("default", "x") == value)
            del dd["default"]

    def test_twenty_thousand_keys(self):
        pairs = {f"key-{i:05}": b"%d" % i * (i % 50) for i in range(1, 20_001)}
        dd = self.fresh()
        dd.bput(pairs)
        pairs = {key: value for key, value in pairs.items() if value}
        self.assertEqual(len(dd), len(pairs))
        self.assertTrue(dd.bget(dict.fromkeys(pairs)) == pairs)
        self.assertTrue(dd.dump() == pairs and dd == pairs and list(dd) == sorted(pairs))
        dd.bput(dict.fromkeys(pairs))
        self.assertEqual((len(dd), bool(dd)), (0, False))

    def test_changing_while_iterating(self):
        dd = self.fresh({f"{i:04}": "x" for i in range(3000)})
        seen = []
        for key in dd:
            seen.append(key)
            del dd[key]
            dd["new" + key] = "y"
        self.assertEqual([key for key in seen if not key.startswith("new")], [f"{i:04}" for i in range(3000)])

    def test_model(self):
        """Random calls on a DDict and on a dict have the same results."""
        print(f"SEED={SEED}", end=" ", flush=True)
        rng, dd, model = random.Random(SEED), self.fresh(), {}
        keys = [f"k{i}" for i in range(12)] + ["ü", "\udc80"]
        for step in range(600):
            key, value = rng.choice(keys), b"%d" % rng.randrange(1000)
            call, *args = rng.choice((
                ("get", key), ("pop", key, None), ("setdefault", key, value), ("__contains__", key), ("__setitem__", key, value),
                ("__delitem__", key), ("__getitem__", key), ("update", {k: value for k in rng.sample(keys, 3)}), ("__len__",),
                ("pop", key), ("__eq__", dict(model)), ("__eq__", {**model, key: value})))
            self.assertEqual(self._result(dd, call, args), self._result(model, call, args), (SEED, step, call, args))
        self.assertEqual(dd, model)
        self.assertEqual(sorted(dd.dump().items()), sorted(model.items()))

    @staticmethod
    def _result(mapping, call, args):
        try:
            return getattr(mapping, call)(*args)
        except KeyError:
            return KeyError


class Others(GatewayTest):
    """Threads, and other processes."""

    def test_two_processes(self):
        dd = self.fresh(mine="1")
        program = ("import sys, tarn\n"
                   "dd = tarn.DCont('tank', 'neo').get(sys.argv[1])\n"
                   "print(dd['mine'], flush=True)\n"
                   "dd['yours'] = '2'\n"
                   "print('put', flush=True)\n"
                   "sys.stdin.readline()\n"
                   "print(dd['later'], 'mine' in dd, tarn.DCont('tank', 'neo').get('by parent')['a'], flush=True)\n")
        env = {**os.environ, "PYTHONPATH": str(PACKAGE), "TARN_ENDPOINT": self.gateway.endpoint}
        with subprocess.Popen([sys.executable, "-c", program, dd.name], env=env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            self.assertEqual(other.stdout.readline() + other.stdout.readline(), "b'1'\nput\n")
            self.assertEqual((dd["yours"], len(dd)), (b"2", 2))
            dd["later"] = "3"
            del dd["mine"]
            self.cont.dict("by parent", {"a": "b"})
            self.assertEqual(other.communicate("go on\n", timeout=60)[0], "b'3' False b'b'\n")

    def test_a_key_is_popped_once(self):
        dd = self.fresh({f"{i:03}": f"{i}" for i in range(100)})
        taken, lock = [], threading.Lock()

        def work(take):
            while True:
                try:
                    item = take()
                except KeyError:
                    return
                with lock:
                    taken.append(item)

        threads = [threading.Thread(target=work, args=(self.open().get(dd.name).popitem,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(taken), [(f"{i:03}", b"%d" % i) for i in range(100)])

    def test_setdefault_agrees(self):
        dd, got = self.fresh(), []
        for round_ in range(10):
            threads = [threading.Thread(target=lambda n=n: got.append((round_, dd.setdefault(f"{round_}", f"{n}")))) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(got), 40)
        self.assertEqual(len(set(got)), 10)

    def test_fork(self):
        """A container does not survive a fork: that is said, and nothing hangs."""
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=self._use, args=(self.fresh(a="1"), theirs))
        child.start()
        self.assertTrue(ours.poll(20), "the child hangs")
        self.assertEqual(ours.recv(), ["DER_NO_HDL"] * 3)
        child.join(20)
        self.assertEqual(child.exitcode, 0)

    @staticmethod
    def _use(dd, pipe):
        said = []
        for call in (lambda: dd["a"], lambda: list(dd), lambda: dd.bput({"a": "b"})):
            try:
                call()
            except tarn.PyDError as error:
                said.append(error.error.name)
        dd.cont.close()
        pipe.send(said)

    def test_raw_client(self):
        """The dictionary is an ordinary object of the gateway."""
        dd = self.fresh(a="1")
        with grpc.insecure_channel(self.gateway.endpoint) as channel:
            kv_pb2_grpc.KeyValueServiceStub(channel).Put(kv_pb2.PutRequest(object=f"tank/neo/{dd.name}", key=b"\xff"))
        self.assertEqual(dd.dump(), {"a": b"1", "\udcff": b""})


class Errors(unittest.TestCase):
    def test_text(self):
        error = tarn.PyDError("failed to do it", -1004)
        self.assertEqual(str(error), 'failed to do it: DAOS error code -1004 (DER_EXIST): "it exists already"')
        self.assertEqual((error.error.err, error.error.name, error.error.message), (-1004, "DER_EXIST", "it exists already"))
        self.assertEqual(tarn.PyDError("x", -99999).error.name, "DER_UNKNOWN")

    def test_pickle(self):
        for error in (tarn.PyDError("a", -1004, "b", resource="key", size=3), tarn.DNotSupported("a", -2037, "b"),
                      tarn.DObjNotFound("name"), tarn.InvalidModeError("x")):
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again)), (type(error), str(error)))


if __name__ == "__main__":
    unittest.main()
