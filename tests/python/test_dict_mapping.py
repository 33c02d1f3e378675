# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests of mappings (test.mapping_tests), as far as keys and values of str and bytes allow. What is left out is listed, and
what it asks is asked here again with bytes where that has a meaning."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import GatewayTest, tarn  # noqa: E402

try:
    from test import mapping_tests  # its classes stay in there: unittest would run them here too
except ImportError:  # of Debian's python3 it is in libpython3.11-testsuite
    mapping_tests = None

VALUES = "its values are numbers or lists: with bytes in Bytes below"
NAMES = "it makes a dictionary from nothing, and a DDict has a name in a container"
OBJECTS = "its keys or values are objects that raise when they are hashed, compared or printed"

# Of TestMappingProtocol and TestHashMappingProtocol, which do what BasicTestMappingProtocol does and more.
LEFT_OUT = {
    "test_constructor": VALUES, "test_values": VALUES, "test_items": VALUES, "test_getitem": VALUES, "test_update": VALUES,
    "test_get": VALUES, "test_setdefault": VALUES, "test_popitem": VALUES, "test_pop": VALUES, "test_eq": VALUES,
    "test_fromkeys": NAMES, "test_copy": NAMES, "test_repr": OBJECTS, "test_repr_deep": OBJECTS,
    "test_mutatingiteration": "it wants a RuntimeError; changing a DDict while iterating is allowed, by others it cannot be prevented",
}


class Made(GatewayTest):
    """How the tests of CPython make a mapping."""

    def type2test(self, *args, **kwargs):
        return self.fresh(*args, **kwargs)

    def _reference(self):
        return {"1": b"2", "key1": b"value1", "key2": b"(1, 2, 3)"}


if mapping_tests is not None:
    class Basic(Made, mapping_tests.BasicTestMappingProtocol):
        """All of BasicTestMappingProtocol."""

    class Protocol(Made, mapping_tests.TestMappingProtocol):
        """What TestMappingProtocol does that looks at keys only; the values are made bytes."""

        def _full_mapping(self, data):
            return self.fresh({str(key): value if isinstance(value, bytes) else str(value) for key, value in data.items()})

    for name in LEFT_OUT:
        if hasattr(Protocol, name):
            setattr(Protocol, name, None)

    class Complete(unittest.TestCase):
        def test_every_test_is_run_or_listed(self):
            load = unittest.TestLoader().getTestCaseNames
            self.assertEqual(set(load(mapping_tests.TestHashMappingProtocol)) - set(LEFT_OUT), set(load(Protocol)))
            self.assertEqual(load(mapping_tests.BasicTestMappingProtocol), load(Basic))
else:
    class Basic(unittest.TestCase):
        @unittest.skip("this Python comes without test.mapping_tests; Debian has it in libpython3.11-testsuite")
        def test_mapping(self):
            """CPython's tests."""


class Bytes(GatewayTest):
    """What the tests that are left out ask, with bytes for their numbers."""

    def test_constructor(self):
        self.assertEqual(self.fresh(x="1", y="2"), {"x": b"1", "y": b"2"})
        self.assertIsNot(self.fresh(), self.fresh())

    def test_values_and_items(self):
        dd = self.fresh({"1": "2"})
        self.assertEqual((list(dd.values()), list(dd.items())), ([b"2"], [("1", b"2")]))

    def test_getitem(self):
        dd = self.fresh(a="1", b="2")
        dd["c"], dd["a"] = "3", "4"
        del dd["b"]
        self.assertEqual(dd, {"a": b"4", "c": b"3"})
        self.assertRaises(TypeError, dd.__getitem__)

    def test_update(self):
        dd = self.fresh()
        for change in ({"1": b"100"}, {"2": b"20"}, {"1": b"1", "2": b"2", "3": b"3"}):
            dd.update(change)
        dd.update()
        self.assertEqual(dd, {"1": b"1", "2": b"2", "3": b"3"})
        dd = self.fresh()
        dd.update([("x", "100"), ("y", "20")], x="1", z="3")
        self.assertEqual(dd, {"x": b"1", "y": b"20", "z": b"3"})
        dd.update(self.fresh(z="4", w="5").items())
        self.assertEqual(dd, {"w": b"5", "x": b"1", "y": b"20", "z": b"4"})

    def test_get_and_pop(self):
        dd = self.fresh(a="1", b="2")
        self.assertEqual((dd.get("c"), dd.get("c", 3), dd.get("a"), dd.get("a", 3)), (None, 3, b"1", b"1"))
        self.assertEqual((dd.pop("c", "x"), dd.pop("a", 1)), ("x", b"1"))

    def test_popitem(self):
        for size in (1, 2, 64):
            a, b = (self.fresh({f"{i}": f"{i}" for i in range(size)}) for _ in range(2))
            for _ in range(size):
                key, value = taken = a.popitem()
                self.assertEqual(value, key.encode())
                self.assertEqual(taken, b.popitem())
            self.assertTrue(not a and not b)

    def test_setdefault_and_eq(self):
        dd = self.fresh()
        self.assertIsNone(dd.setdefault("key0"))
        self.assertEqual((dd.setdefault("key", "3"), dd.setdefault("key", "4"), len(dd)), (b"3", b"3", 1))
        self.assertEqual(self.fresh({"1": "2"}), self.fresh({"1": "2"}))
        self.assertNotEqual(self.fresh({"1": "2"}), self.fresh({"1": "3"}))

    def test_is_a_mutable_mapping(self):
        import collections.abc
        self.assertIsInstance(self.fresh(), collections.abc.MutableMapping)
        self.assertTrue(issubclass(tarn.DDict, collections.abc.MutableMapping))


del Made

if __name__ == "__main__":
    unittest.main()
