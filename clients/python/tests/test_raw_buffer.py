# SPDX-License-Identifier: Apache-2.0
"""Buffers: the buffer protocol, alignment, and a life that no view and no I/O outlasts."""
import array
import gc
import io
import mmap
import pathlib
import pickle
import sys
import unittest
import weakref

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import RawCase, raw  # noqa: E402
from tarn.raw.arguments import number, text  # noqa: E402
from tarn.raw.buffer import HUGE_PAGE, Loan, address_of, aligned  # noqa: E402


class BufferProtocol(unittest.TestCase):
    def test_bytes_in_and_out(self):
        buf = raw.Buffer(10000)
        self.assertEqual((len(buf), bytes(buf), buf.address % 4096), (10000, bytes(10000), 0))
        buf[0:5] = b"hello"
        self.assertEqual((bytes(buf[0:10]), buf[4]), (b"hello" + bytes(5), ord("o")))
        view = memoryview(buf)
        self.assertEqual((view.nbytes, view.readonly, view.c_contiguous, view.format), (10000, False, True, "B"))
        view[5:11] = b" there"
        self.assertEqual(buf[:11], b"hello there")
        self.assertEqual(address_of(view), buf.address, "a view is no copy")
        self.assertEqual(address_of(view[100:]), buf.address + 100)

    def test_readinto(self):
        buf = raw.Buffer(4096)
        self.assertEqual(io.BytesIO(b"xyz").readinto(buf), 3)
        self.assertEqual(buf[:4], b"xyz\0")

    def test_of_no_size(self):
        for size in (0, -1, -(1 << 40)):
            with self.assertRaisesRegex(ValueError, "at least 1"):
                raw.Buffer(size)
        for size in ("8", 1.5, None):
            with self.assertRaises(TypeError):
                raw.Buffer(size)
        with self.assertRaises((OSError, OverflowError)):
            raw.Buffer(1 << 62)

    def test_huge(self):
        with raw.Buffer(2 * HUGE_PAGE, huge=True) as buf:  # in such pages if there are some
            self.assertIn(buf.huge, (True, False))
            buf[-1] = 7
        with self.assertRaisesRegex(ValueError, "multiple of"):
            raw.Buffer(4096, huge=True)

    def test_it_keeps_its_place(self):
        with self.assertRaises(TypeError):
            raw.Buffer(4096).resize(8192)
        with self.assertRaises(TypeError):
            pickle.dumps(raw.Buffer(4096))


class Lifetime(unittest.TestCase):
    def test_close_is_refused_while_it_is_viewed(self):
        buf = raw.Buffer(4096)
        view = memoryview(buf)[10:20]
        with self.assertRaises(BufferError):
            buf.close()
        view[0] = 1
        self.assertEqual(buf[10], 1)
        view.release()
        buf.close()
        self.assertIn("closed", repr(buf))
        with self.assertRaises(ValueError):
            memoryview(buf)
        buf.close()

    def test_a_view_keeps_it_alive(self):
        buf = raw.Buffer(4096)
        view, dead = memoryview(buf), weakref.ref(buf)
        view[:3] = b"abc"
        del buf
        gc.collect()
        self.assertIsNotNone(dead())
        self.assertEqual(bytes(view[:3]), b"abc")
        del view
        gc.collect()
        self.assertIsNone(dead())

    def test_with(self):
        with raw.Buffer(100) as buf:
            buf[0] = 1
        self.assertTrue(buf.closed)

    def test_memory_comes_back(self):
        def mapped():
            return int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        before = mapped()
        for _ in range(200):
            raw.Buffer(16 << 20)
        self.assertLess(mapped() - before, 256 << 20)


class Loans(RawCase):
    def test_of_anything_that_has_bytes(self):
        for memory in (bytearray(b"12345678"), array.array("Q", [1]), memoryview(bytearray(16))[4:12]):
            with Loan(memory, True) as loan:
                self.assertEqual((loan.nbytes, loan.address), (8, address_of(memory)))
        with Loan(b"read only", False) as loan:
            self.assertEqual(loan.nbytes, 9)

    def test_refusals(self):
        with self.assertRaisesRegex(TypeError, "bytes cannot"):
            Loan(b"read only", True)
        with self.assertRaisesRegex(TypeError, "gaps"):
            Loan(memoryview(bytearray(8))[::2], True)
        with self.assertRaises(TypeError):
            Loan(7, False)

    def test_a_loan_holds_its_memory(self):
        memory = bytearray(8)
        with Loan(memory, True):
            with self.assertRaises(BufferError):
                memory.append(1)
        memory.append(1)

    def test_aligned(self):
        buf = raw.Buffer(4096)
        self.assertIs(aligned(buf), buf)
        view = memoryview(bytearray(b"..abc"))[2:]
        copy = aligned(view)
        self.assertEqual((copy[:], copy.address % 4096), (b"abc", 0))

    def test_number(self):
        self.assertEqual(number((1 << 64) - 1, "x"), (1 << 64) - 1)
        for wrong in (-1, 1 << 64):
            with self.assertRaisesRegex(ValueError, "offset is"):
                number(wrong, "offset")
        for wrong in (1.0, "1", None):
            with self.assertRaises(TypeError):
                number(wrong, "offset")

    def test_text(self):
        self.assertEqual((text("ä", "x"), text(pathlib.Path("/a"), "x"), text(b"\xff", "x")), ("ä".encode(), b"/a", b"\xff"))
        with self.assertRaisesRegex(ValueError, "the URI is 'a.x00b'"):
            text("a\0b", "the URI")
        with self.assertRaises(TypeError):
            text(7, "x")


class Errors(unittest.TestCase):
    def test_each_code_has_its_error(self):
        for number_, (name, meaning) in raw.api.ERRORS.items():
            error = raw.errors.make_error(-number_)
            self.assertEqual((error.name, error.code, error.message), (name, -number_, meaning))
            self.assertEqual(str(error), f"{name}(-{number_}): {meaning}")
            self.assertIsInstance(error, (raw.TarnError, OSError))
            self.assertTrue(error.errno)
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), again.code, again.message), (type(error), error.code, error.message))

    def test_they_are_pythons_too(self):
        for name, kind in (("NONEXIST", FileNotFoundError), ("CONT_NONEXIST", FileNotFoundError), ("EXIST", FileExistsError),
                           ("NO_PERM", PermissionError), ("EP_RO", PermissionError), ("TIMEDOUT", TimeoutError), ("INVAL", ValueError),
                           ("NOMEM", MemoryError), ("NOTSUPPORTED", io.UnsupportedOperation), ("AGAIN", BlockingIOError)):
            error = raw.errors.make_error(-getattr(raw.api, "TARN_E_" + name), "why")
            self.assertIsInstance(error, kind)
            self.assertEqual((error.message, error.strerror), ("why", "why"))

    def test_a_code_of_tomorrow(self):
        self.assertEqual(raw.errors.make_error(-9999).name, "DER_UNKNOWN")


if __name__ == "__main__":
    unittest.main()
