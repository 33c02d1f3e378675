# SPDX-License-Identifier: Apache-2.0
"""Devices: I/O that waits, on memory, on the simulator and on a file with direct I/O."""
import dataclasses
import gc
import os
import pathlib
import sys
import threading
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import BLOCK, RawCase, descriptors, pattern, raw, seeded  # noqa: E402

MIB = 1 << 20


class Open(RawCase):
    def test_what_it_is(self):
        for uri, kind in (("mem:1M", "mem"), ("sim:1M?seed=3", "sim")):
            info = self.opened(uri, write=True).info
            self.assertEqual((info.kind, info.size, info.readonly, info.zoned), (kind, MIB, False, False))
        info = self.file().info
        self.assertEqual((info.kind, info.size, info.uri), ("file", MIB, f"file:{self.folder}/disk"))
        self.assertTrue(info.direct, info.note)
        self.assertGreaterEqual(info.offset_alignment, 512)
        self.assertIn(info.backend, ("io_uring", "threads"))

    def test_info_has_every_field(self):
        names = [name for name, _ in raw.api.tarn_dev_info._fields_ if name != "struct_size"]
        self.assertEqual([field.name for field in dataclasses.fields(raw.DeviceInfo)], names)
        names = [name for name, _ in raw.api.tarn_dev_queue_info._fields_ if name != "struct_size"]
        self.assertEqual([field.name for field in dataclasses.fields(raw.QueueInfo)], names)
        names = [name for name, _ in raw.api.tarn_dev_zone._fields_]
        self.assertEqual([field.name for field in dataclasses.fields(raw.Zone)], names)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            self.opened("mem:1M").info.size = 1

    def test_by_path(self):
        self.file().pwrite(b"x" * BLOCK, 0)
        self.assertEqual(self.opened(self.folder / "disk").pread(BLOCK, 0), b"x" * BLOCK)
        self.assertEqual(raw.query(self.folder / "disk").size, MIB)

    def test_options(self):
        self.assertFalse(self.file(name="cached", buffered=True).info.direct)
        self.assertEqual(self.file(name="threads", backend="threads", strict=True).info.backend, "threads")

    def test_refusals(self):
        self.file()
        with self.fails("DER_NONEXIST", FileNotFoundError):
            raw.Device.open(f"file:{self.folder}/none")
        with self.fails("DER_EXIST", FileExistsError):
            raw.Device.open(f"file:{self.folder}/disk", create=MIB)
        with self.fails("DER_INVAL", ValueError):
            raw.Device.open("nonsense:1M")
        with self.fails("DER_INVAL", ValueError):
            raw.Device.open("mem:lots")
        with self.fails("DER_EP_RO", PermissionError):
            self.opened("mem:1M").pwrite(bytes(BLOCK), 0)
        with self.assertRaises(TypeError):
            raw.Device.open(7)
        with self.assertRaises(ValueError):
            raw.Device.open("mem:1M\0x")
        with self.assertRaises(ValueError):
            raw.Device.open(f"file:{self.folder}/x", create=-1)

    def test_list(self):
        disks = {name for name in os.listdir("/sys/block") if not name.startswith("loop")}  # other tests make and remove those
        for info in raw.list_devices():
            self.assertTrue(info.uri.split(":")[0] in ("block", "nvme") or info.kind == "nvme-ctrl", info)
            if info.kind == "block" and os.path.basename(info.uri) in disks:
                sectors = pathlib.Path(f"/sys/block/{os.path.basename(info.uri)}/size").read_text()
                self.assertEqual(info.size, 512 * int(sectors))


class Transfer(RawCase):
    def test_there_and_back(self):
        for dev in self.targets():
            with self.subTest(dev.info.kind):
                out, back = pattern(64 << 10, first=1), raw.Buffer(64 << 10)
                self.assertEqual(dev.write_from(out, 128 << 10), 64 << 10)
                dev.flush()
                self.assertEqual(dev.read_into(back, 128 << 10), 64 << 10)
                self.assertEqual(back[:], out[:])
                self.assertEqual(dev.pread(BLOCK, 124 << 10), bytes(BLOCK))
                self.assertEqual(dev.info.bounced, 0)

    def test_a_read_makes_no_copy(self):
        """The bytes arrive where the view has always been, and the buffer is at the same address."""
        dev = self.file()
        dev.pwrite(b"\xab" * BLOCK, 0, durable=True)
        buf = raw.Buffer(2 * BLOCK)
        view, address = memoryview(buf)[BLOCK:], buf.address
        dev.read_into(view, 0)
        self.assertEqual((raw.buffer.address_of(view), raw.buffer.address_of(buf)), (address + BLOCK, address))
        self.assertEqual((bytes(view), buf[:BLOCK]), (b"\xab" * BLOCK, bytes(BLOCK)))

    def test_c_gets_the_buffers_own_address(self):
        given = []
        real = raw.lib.tarn_dev_read
        try:
            def read(dev, offset, address, length):
                given.append((address, length))
                return real(dev, offset, address, length)
            raw.lib.tarn_dev_read = read
            buf = raw.Buffer(BLOCK)
            self.opened("mem:1M").read_into(buf, 0)
        finally:
            raw.lib.tarn_dev_read = real
        self.assertEqual(given, [(buf.address, BLOCK)])

    def test_the_file_has_it(self):
        """Direct I/O is seen by others that open the file."""
        dev = self.file()
        dev.write_from(pattern(BLOCK, first=7), BLOCK, durable=True)
        self.assertEqual((self.folder / "disk").read_bytes()[BLOCK:2 * BLOCK], pattern(BLOCK, first=7)[:])

    def test_any_memory_where_alignment_does_not_matter(self):
        dev = self.opened("mem:1M", write=True, bounce=True)
        memory = bytearray(b"." * BLOCK)
        dev.write_from(b"a" * BLOCK, 0)
        dev.read_into(memory, 0)
        self.assertEqual(memory, b"a" * BLOCK)

    def test_vectors(self):
        for dev in self.targets():
            with self.subTest(dev.info.kind):
                parts = [pattern(BLOCK, first=i) for i in (3, 1, 2)]
                self.assertEqual(dev.writev_from(parts, BLOCK, durable=True), 3 * BLOCK)
                self.assertEqual(dev.pread(3 * BLOCK, BLOCK), b"".join(part[:] for part in parts))
                back = [raw.Buffer(2 * BLOCK), raw.Buffer(BLOCK)]
                self.assertEqual(dev.readv_into(back, BLOCK), 3 * BLOCK)
                self.assertEqual(back[1][:], parts[2][:])
        with self.fails("DER_INVAL", ValueError):
            dev.readv_into([], 0)
        with self.assertRaises(TypeError):
            dev.readv_into([raw.Buffer(BLOCK), b"read only"], 0)

    def test_compare(self):
        for dev in self.targets():
            with self.subTest(dev.info.kind):
                dev.pwrite(b"q" * BLOCK, 0)
                self.assertIs(dev.compare(b"q" * BLOCK, 0), True)
                self.assertIs(dev.compare(b"q" * (BLOCK - 1) + b"r", 0), False)
                with self.fails("DER_MISMATCH"):
                    dev.compare(b"q" * (BLOCK - 1) + b"r", 0, raising=True)

    def test_zeros_and_discard(self):
        for dev in self.targets():
            with self.subTest(dev.info.kind):
                dev.pwrite(b"z" * 4 * BLOCK, 0)
                try:
                    dev.write_zeroes(0, BLOCK)
                    self.assertEqual(dev.pread(2 * BLOCK, 0), bytes(BLOCK) + b"z" * BLOCK)
                    dev.discard(2 * BLOCK, BLOCK)
                    self.assertEqual(dev.pread(2 * BLOCK, 2 * BLOCK), bytes(BLOCK) + b"z" * BLOCK)
                except raw.TarnNotSupported:
                    self.assertEqual(dev.info.kind, "file")  # of a file system that has no holes

    def test_random_against_a_model(self):
        rng = seeded()
        for dev in self.targets(bounce=True):
            with self.subTest(dev.info.kind):
                model = bytearray(MIB)
                for _ in range(150):
                    offset = rng.randrange(MIB)
                    length = min(rng.choice((1, 511, 512, 4096, 4097, 100_000)), MIB - offset)
                    if rng.random() < 0.5:
                        model[offset:offset + length] = data = rng.randbytes(length)
                        dev.pwrite(data, offset)
                    else:
                        self.assertEqual(dev.pread(length, offset), model[offset:offset + length])
                self.assertEqual(dev.pread(MIB, 0), model)


class BadInput(RawCase):
    def test_misaligned(self):
        """The error names the value and the alignment."""
        dev = self.file()
        align = dev.info.offset_alignment
        buf = raw.Buffer(2 * BLOCK)
        with self.fails("DER_INVAL", ValueError, says=str(align)) as caught:
            dev.read_into(buf, 7)
        self.assertIn("7", caught.exception.message)
        with self.fails("DER_INVAL", ValueError, says=str(align)) as caught:
            dev.read_into(memoryview(buf)[:BLOCK + 5], 0)
        self.assertIn(str(BLOCK + 5), caught.exception.message)
        if dev.info.memory_alignment > 1:
            with self.fails("DER_INVAL", ValueError, says=str(dev.info.memory_alignment)):
                dev.read_into(memoryview(buf)[1:BLOCK + 1], 0)
            with self.fails("DER_INVAL", ValueError):
                dev.write_from(memoryview(buf)[1:BLOCK + 1], 0)

    def test_bounced(self):
        dev = self.file(bounce=True)
        dev.pwrite(b"misaligned", 4091)
        self.assertEqual(dev.pread(12, 4090), b"\0misaligned\0"[:12])
        self.assertGreater(dev.info.bounced, 0)

    def test_range(self):
        for dev in self.targets():
            with self.subTest(dev.info.kind):
                for offset in (MIB, 1 << 40, (1 << 64) - BLOCK):
                    with self.fails("DER_INVAL", ValueError):
                        dev.pread(BLOCK, offset)
                    with self.fails("DER_INVAL", ValueError):
                        dev.pwrite(bytes(BLOCK), offset)
                with self.fails("DER_INVAL", ValueError):
                    dev.pread(2 * BLOCK, MIB - BLOCK)

    def test_python_refuses_what_ctypes_would_cut(self):
        dev = self.opened("mem:1M", write=True)
        for call in (lambda: dev.pread(BLOCK, -BLOCK), lambda: dev.pread(-1, 0), lambda: dev.read_into(raw.Buffer(BLOCK), 1 << 64),
                     lambda: dev.discard(-1, 1), lambda: dev.write_zeroes(0, 1 << 65)):
            with self.assertRaises(ValueError):
                call()
        for call in (lambda: dev.pread(BLOCK, 0.0), lambda: dev.pread("4096", 0), lambda: dev.read_into(b"read only", 0),
                     lambda: dev.read_into(None, 0), lambda: dev.write_from("text", 0)):
            with self.assertRaises(TypeError):
                call()
        self.assertEqual(dev.pread(0, 0), b"")

    def test_a_device_without_zones(self):
        dev = self.opened("mem:1M", write=True)
        for call in (dev.zones, lambda: dev.zone_reset(0, MIB), lambda: dev.zone_append(raw.Buffer(BLOCK), 0)):
            with self.fails("DER_NOTSUPPORTED", raw.TarnNotSupported):
                call()

    def test_a_simulated_fault_has_one_error(self):
        """A file that shrinks under an open device: the bytes that are gone cannot be read."""
        dev = self.file()
        os.truncate(self.folder / "disk", 0)
        with self.assertRaises(raw.TarnError):
            dev.pread(BLOCK, 0)


class Zones(RawCase):
    def test_zones(self):
        dev = self.opened("mem:4M?zone=1M", write=True)
        zones = dev.zones()
        self.assertEqual([zone.offset for zone in zones], [0, MIB, 2 * MIB, 3 * MIB])
        self.assertEqual(dev.zones(2 * MIB, 1), zones[2:3])
        self.assertEqual((zones[1].state, zones[1].write_pointer), (raw.api.TARN_ZONE_EMPTY, MIB))
        self.assertEqual(dev.zone_append(pattern(BLOCK, first=5), MIB), MIB)
        self.assertEqual(dev.zone_append(pattern(BLOCK, first=6), MIB), MIB + BLOCK)
        self.assertEqual(dev.zones(MIB, 1)[0].write_pointer, MIB + 2 * BLOCK)
        self.assertEqual(dev.pread(BLOCK, MIB + BLOCK), pattern(BLOCK, first=6)[:])
        with self.assertRaises(raw.TarnError):
            dev.pwrite(bytes(BLOCK), MIB)  # behind the write pointer
        dev.zone_finish(MIB, MIB)
        self.assertEqual(dev.zones(MIB, 1)[0].state, raw.api.TARN_ZONE_FULL)
        with self.fails("DER_NOSPACE"):
            dev.zone_append(raw.Buffer(BLOCK), MIB)
        dev.zone_reset(MIB, MIB)
        self.assertEqual(dev.zones(MIB, 1)[0].state, raw.api.TARN_ZONE_EMPTY)
        dev.zone_open(0, MIB)
        self.assertEqual(dev.zones(0, 1)[0].state, raw.api.TARN_ZONE_EXPLICITLY_OPEN)
        dev.zone_close(0, MIB)


class Life(RawCase):
    def test_closed(self):
        dev = raw.Device.open("mem:1M")
        dev.close()
        dev.close()
        self.assertTrue(dev.closed)
        self.assertIn("closed", repr(dev))
        with self.fails("DER_NO_HDL", ValueError, says="closed"):
            dev.pread(BLOCK, 0)

    def test_with(self):
        with raw.Device.open(f"file:{self.folder}/disk", create=MIB) as dev:
            self.assertFalse(dev.closed)
        self.assertTrue(dev.closed)

    def test_busy_with_a_queue(self):
        with raw.Device.open("mem:1M") as dev, dev.queue():
            with self.fails("DER_BUSY"):
                dev.close()
            self.assertFalse(dev.closed)

    def test_forgotten(self):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            raw.Device.open(f"file:{self.folder}/disk", create=MIB)
            gc.collect()
        self.assertEqual([warning.category for warning in said], [ResourceWarning])

    def test_a_hundred_opens_leave_nothing(self):
        self.file()
        before = descriptors()
        for _ in range(100):
            with raw.Device.open(self.folder / "disk") as dev, dev.queue(depth=4) as queue:
                queue.fd()
        self.assertEqual(descriptors(), before)

    def test_a_failed_open_leaves_nothing(self):
        before = descriptors()
        for uri in ("file:/dev/null", f"file:{self.folder}", "block:/dev/null", f"file:{self.folder}/none", "mem:0"):
            with self.assertRaises(raw.TarnError):
                raw.Device.open(uri)
        self.assertEqual(descriptors(), before)


class Threads(RawCase):
    def test_many_on_one_device(self):
        rng = seeded()
        dev, failed = self.file(size=8 * MIB), []

        def work(number, seed):
            try:
                own = raw.Buffer(BLOCK)
                for i in range(40):
                    own[:] = bytes([number, i]) * (BLOCK // 2)
                    at = (number * 64 + (seed + i) % 64) * BLOCK
                    dev.write_from(own, at)
                    if dev.pread(BLOCK, at) != own[:]:
                        failed.append((number, i))
            except Exception as error:  # noqa: BLE001  (a thread's error is the test's)
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number, rng.randrange(64))) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])

    def test_errors_are_the_threads_own(self):
        dev, wrong = self.opened("mem:1M"), []

        def work(number):
            for _ in range(200):
                try:
                    dev.pread(BLOCK, (1 << 30) + number * BLOCK)
                except raw.TarnError as error:
                    if str((1 << 30) + number * BLOCK) not in error.message:
                        wrong.append(error.message)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_a_close_while_others_read(self):
        """Each call works, or says that the device is closed; the close is refused while one runs."""
        dev, wrong = raw.Device.open("mem:1M"), []

        def work():
            while True:
                try:
                    dev.pread(BLOCK, 0)
                except raw.TarnError as error:
                    if error.name != "DER_NO_HDL":
                        wrong.append(error)
                    return

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while not dev.closed:
            try:
                dev.close()
            except raw.TarnError as error:
                self.assertEqual(error.name, "DER_BUSY")
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
