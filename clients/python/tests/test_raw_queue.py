# SPDX-License-Identifier: Apache-2.0
"""Queues: many I/Os in flight, on memory, on the simulator and on a file with direct I/O, by io_uring and by threads."""
import asyncio
import contextlib
import gc
import pathlib
import select
import signal
import sys
import threading
import time
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import BLOCK, RawCase, pattern, raw, seeded  # noqa: E402

MIB = 1 << 20
Io = raw.Io


class Interrupt(Exception):
    pass


@contextlib.contextmanager
def interrupted_after(lines):
    """Raises Interrupt when so many lines of Queue._collect() have been run."""
    left = [lines]

    def trace(frame, event, _):
        if frame.f_code is not raw.Queue._collect.__code__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise Interrupt
        return trace
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


class Queues:
    """The tests that each kind of device passes; self.dev is one of 1 MiB."""

    def queue(self, depth=16, **options):
        queue = self.dev.queue(depth, **options)
        self.addCleanup(queue.close)
        return self.dev, queue

    def test_write_then_read(self):
        dev, queue = self.queue()
        self.assertEqual(queue.submit([Io.write(pattern(BLOCK, first=i), i * BLOCK, tag=i) for i in range(10)]), 10)
        done = queue.reap(min=10)
        self.assertEqual(sorted(io.check().tag for io in done), list(range(10)))
        reads = [Io.read(raw.Buffer(BLOCK), i * BLOCK, tag=i) for i in range(10)]
        queue.submit(reads)
        for io in queue.reap(min=10, timeout=30):
            self.assertIsNone(io.error)
            self.assertEqual(io.buf[:], pattern(BLOCK, first=io.tag)[:])
        self.assertEqual((queue.in_flight, queue.info.in_flight, queue.reap()), (0, 0, []))

    def test_every_kind(self):
        dev, queue = self.queue()

        def do(io):
            self.assertEqual(queue.submit([io]), 1)
            self.assertEqual(queue.reap(), [io])
            return io
        do(Io.write(pattern(BLOCK), 0, durable=True)).check()
        do(Io.flush()).check()
        do(Io.nop(tag="x")).check()
        do(Io.compare(pattern(BLOCK), 0)).check()
        self.assertEqual(do(Io.compare(pattern(BLOCK, first=9), 0)).error.name, "DER_MISMATCH")
        do(Io.writev([pattern(BLOCK, first=1), pattern(BLOCK, first=2)], BLOCK)).check()
        pieces = [raw.Buffer(BLOCK), raw.Buffer(BLOCK)]
        do(Io.readv(pieces, BLOCK)).check()
        self.assertEqual([piece[:] for piece in pieces], [pattern(BLOCK, first=1)[:], pattern(BLOCK, first=2)[:]])
        for io in (Io.write_zeroes(0, BLOCK), Io.discard(BLOCK, BLOCK)):
            if do(io).error is None:
                self.assertEqual(dev.pread(BLOCK, io.offset), bytes(BLOCK))
            else:
                self.assertEqual((io.error.name, dev.info.kind), ("DER_NOTSUPPORTED", "file"))

    def test_full(self):
        """More than fit are not started, and keep nothing."""
        dev = self.opened("mem:1M")
        with dev.queue(depth=4) as queue:
            ios = [Io.read(raw.Buffer(BLOCK), 0, tag=i) for i in range(6)]
            self.assertEqual(queue.submit(ios), 4)
            self.assertEqual([io.in_flight for io in ios], [True] * 4 + [False] * 2)
            ios[5].buf.close()
            self.assertEqual(len(queue.reap(min=4)), 4)
            self.assertEqual(queue.submit(ios[4:5]), 1)
            self.assertEqual([io.tag for io in queue.reap()], [4])

    def test_run(self):
        dev, queue = self.queue(depth=8)
        writes = (Io.write(pattern(BLOCK, first=i), i * BLOCK, tag=i) for i in range(200))
        self.assertEqual(sorted(io.check().tag for io in queue.run(writes)), list(range(200)))
        self.assertEqual(dev.pread(BLOCK, 199 * BLOCK), pattern(BLOCK, first=199)[:])
        self.assertEqual(list(queue.run([])), [])

    def test_resubmitted_from_a_completion(self):
        _, queue = self.queue(depth=4)
        left = 50
        queue.submit([Io.read(raw.Buffer(BLOCK), i * BLOCK, tag=i) for i in range(4)])
        while queue.in_flight:
            for io in queue.reap():
                io.check()
                if left:
                    left -= 1
                    self.assertEqual(queue.submit([io]), 1)
        self.assertEqual(left, 0)

    def test_errors_are_in_the_io(self):
        dev, queue = self.queue()
        bad = [Io.read(raw.Buffer(BLOCK), MIB, tag="range"), Io.read(raw.Buffer(BLOCK), 7, tag="aligned"), Io(99, tag="opcode")]
        self.assertEqual(queue.submit([Io.read(raw.Buffer(BLOCK), 0, tag="good"), *bad]), 4)
        done = {io.tag: io.error for io in queue.reap(min=4)}
        self.assertIsNone(done["good"])
        self.assertEqual({tag: error.name for tag, error in done.items() if error},
                         {"range": "DER_INVAL", "aligned": "DER_INVAL", "opcode": "DER_INVAL"})
        self.assertIn(str(dev.info.offset_alignment), str(done["aligned"]))
        with self.fails("DER_INVAL", ValueError):
            bad[0].check()

    def test_registered(self):
        _, queue = self.queue()
        bufs = [raw.Buffer(4 * BLOCK) for _ in range(3)]
        queue.register(bufs)
        self.assertEqual(queue.info.fixed_count, 3)
        with self.assertRaises(BufferError):
            bufs[0].close()
        bufs[1][:] = pattern(4 * BLOCK, first=11)[:]
        queue.submit([Io.write(memoryview(bufs[1])[BLOCK:2 * BLOCK], 0, fixed=1)])
        queue.reap()[0].check()
        queue.submit([Io.read(memoryview(bufs[2])[:BLOCK], 0, fixed=2), Io.read(memoryview(bufs[0])[:BLOCK], 0, fixed=2, tag="wrong")])
        for io in queue.reap(min=2):
            self.assertEqual(io.error and io.error.name, "DER_INVAL" if io.tag else None)
        del io  # its view of a buffer
        self.assertEqual(bufs[2][:BLOCK], bufs[1][BLOCK:2 * BLOCK])
        with self.fails("DER_EXIST", FileExistsError):
            queue.register(bufs)
        queue.close()
        for buf in bufs:
            buf.close()

    def test_random_against_a_model(self):
        """Blocks that are not in flight have one value each; a queue reads and writes them in any order."""
        rng = seeded()
        _, queue = self.queue(depth=8)
        model, flying = {}, set()
        for _ in range(60):
            for at in rng.sample([at for at in range(64) if at not in flying], rng.randint(1, 8)):
                if rng.random() < 0.5:
                    io = Io.write(pattern(BLOCK, first=rng.getrandbits(32)), at * BLOCK, tag=at)
                else:
                    io = Io.read(raw.Buffer(BLOCK), at * BLOCK, tag=at)
                flying |= {at} if queue.submit([io]) else set()
            for io in queue.reap(min=rng.randint(0, len(flying))):
                flying.remove(io.check().tag)
                if io.raw.opcode == raw.api.TARN_DEV_WRITE:
                    model[io.tag] = io.buf[:]
                else:
                    self.assertEqual(io.buf[:], model.get(io.tag, bytes(BLOCK)))
        queue.reap(min=len(flying))


class OnMemory(Queues, RawCase):
    def setUp(self):
        super().setUp()
        self.dev = self.opened("mem:1M", write=True)

    def test_appended(self):
        dev = self.opened("mem:4M?zone=1M", write=True)
        with dev.queue() as queue:
            queue.submit([Io.zone_append(pattern(BLOCK, first=i), MIB, tag=i) for i in range(5)])
            done = queue.reap(min=5)
            self.assertEqual(sorted(io.check().offset for io in done), [MIB + i * BLOCK for i in range(5)])
            for io in done:
                self.assertEqual(dev.pread(BLOCK, io.offset), io.buf[:])
            queue.submit(done[:1])  # again to the zone, not to where it went
            self.assertEqual(queue.reap()[0].check().offset, MIB + 5 * BLOCK)


class OnTheSimulator(Queues, RawCase):
    def setUp(self):
        super().setUp()
        self.dev = self.opened("sim:1M?seed=1", write=True)


class OnAFile(Queues, RawCase):
    def setUp(self):
        super().setUp()
        self.dev = self.file()


class OnAFileByThreads(Queues, RawCase):
    def setUp(self):
        super().setUp()
        self.dev = self.file(backend="threads")


class Lent(RawCase):
    def test_memory_in_flight_cannot_be_closed(self):
        dev = self.file()
        with dev.queue() as queue:
            io = Io.read(raw.Buffer(BLOCK), 0)
            queue.submit([io])
            with self.assertRaises(BufferError):
                io.buf.close()
            with self.fails("DER_BUSY"):
                queue.submit([io])
            queue.reap()
            io.buf.close()

    def test_a_forgotten_io_is_kept(self):
        """Nobody but the queue knows the memory that is written into."""
        dev = self.file()
        with dev.queue() as queue:
            queue.submit([Io.read(raw.Buffer(BLOCK), i * BLOCK) for i in range(16)])
            gc.collect()
            self.assertEqual(len(queue.reap(min=16)), 16)

    def test_close_drops_what_was_not_reaped(self):
        dev = self.file()
        queue = dev.queue()
        io = Io.read(raw.Buffer(BLOCK), 0)
        queue.submit([io])
        queue.close()
        self.assertFalse(io.in_flight)
        io.buf.close()
        queue.close()
        for call in (queue.reap, queue.fd, queue.wake, lambda: queue.submit([])):
            with self.fails("DER_NO_HDL", ValueError):
                call()

    def test_a_bad_io_takes_the_batch_back(self):
        with self.opened("mem:1M").queue() as queue:
            good = Io.read(raw.Buffer(BLOCK), 0)
            with self.assertRaises(TypeError):
                queue.submit([good, Io.read(b"read only", 0)])
            with self.fails("DER_BUSY"):
                queue.submit([good, good])
            self.assertEqual((good.in_flight, queue.in_flight), (False, 0))
            good.buf.close()

    def test_an_interrupt_loses_nothing(self):
        """A signal handler raises while a reap takes what C has given: all of it is reaped, once."""
        count, seen, interrupts = 200, [], 0
        with self.opened("mem:1M").queue(depth=4) as queue:
            ios = [Io.read(raw.Buffer(BLOCK), 0, tag=i) for i in range(count)]
            for step in range(1000):
                del ios[:queue.submit(ios)]
                try:
                    with interrupted_after(step % 40):
                        seen.extend(io.check().tag for io in queue.reap(min=1))
                except Interrupt:
                    interrupts += 1
                if not queue.in_flight and not ios:
                    break
        self.assertGreater(interrupts, 10)
        self.assertEqual(sorted(seen), list(range(count)))

    def test_forgotten(self):
        dev = self.opened("mem:1M")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            dev.queue().submit([Io.read(raw.Buffer(BLOCK), 0)])
            gc.collect()
        self.assertEqual([warning.category for warning in said], [ResourceWarning])


class Waiting(RawCase):
    def test_time_is_up(self):
        with self.opened("mem:1M").queue() as queue:
            began = time.monotonic()
            self.assertEqual(queue.reap(min=1, timeout=5), [])  # nothing is in flight: it need not wait
            self.assertEqual(queue.reap(min=0), [])
            self.assertLess(time.monotonic() - began, 4)

    def test_fd(self):
        dev = self.file()
        with dev.queue() as queue:
            fd = queue.fd()
            self.assertEqual(queue.reap(0), [])
            self.assertEqual(select.select([fd], [], [], 0)[0], [])
            queue.submit([Io.read(raw.Buffer(BLOCK), 0, tag=1)])
            self.assertEqual(select.select([fd], [], [], 30)[0], [fd])
            self.assertEqual([io.check().tag for io in queue.reap(0)], [1])
            while queue.reap(0):
                pass
            self.assertEqual(select.select([fd], [], [], 0)[0], [])

    def test_asyncio(self):
        dev = self.file()
        dev.write_from(pattern(16 * BLOCK), 0)

        async def read_all(queue):
            loop = asyncio.get_running_loop()
            waiting = {}

            def completed():
                for io in queue.reap(0):
                    waiting.pop(io.tag).set_result(io)
            loop.add_reader(queue.fd(), completed)

            async def read(at):
                waiting[at] = loop.create_future()
                queue.submit([Io.read(raw.Buffer(BLOCK), at, tag=at)])
                return (await waiting[at]).check().buf[:]
            try:
                return await asyncio.wait_for(asyncio.gather(*(read(i * BLOCK) for i in range(16))), 30)
            finally:
                loop.remove_reader(queue.fd())

        with dev.queue(depth=16) as queue:
            self.assertEqual(b"".join(asyncio.run(read_all(queue))), pattern(16 * BLOCK)[:])

    def test_cancel(self):
        dev = self.file()
        with dev.queue() as queue:
            io = Io.read(raw.Buffer(BLOCK), 0)
            self.assertFalse(queue.cancel(io))
            queue.submit([io])
            self.assertIn(queue.cancel(io), (True, False))
            self.assertEqual(queue.reap(), [io])
            self.assertIn(io.error and io.error.name, (None, "DER_CANCELED"))
            self.assertFalse(queue.cancel(io))

    def test_a_submitter_and_a_reaper(self):
        rng = seeded()
        dev, count, seen = self.file(), 500, []
        with dev.queue(depth=16) as queue:
            def reap():
                while len(seen) < count:
                    seen.extend(io.check().tag for io in queue.reap(min=1, timeout=0.05))
            thread = threading.Thread(target=reap)
            thread.start()
            ios = [Io.read(raw.Buffer(BLOCK), rng.randrange(256) * BLOCK, tag=i) for i in range(count)]
            while ios:
                started = queue.submit(ios)
                del ios[:started]
                if not started:
                    time.sleep(0.001)  # full: a loop without it would keep the interpreter from the reaper
            thread.join()
        self.assertEqual(sorted(seen), list(range(count)))

    def test_single(self):
        with self.file().queue(depth=8, single=True) as queue:
            done = list(queue.run(Io.read(raw.Buffer(BLOCK), i * BLOCK) for i in range(50)))
            self.assertEqual([io.error for io in done], [None] * 50)

    def test_a_device_that_does_not_answer(self):
        """A reap of what does not come waits its time, hears a wake, and lets Python's signal handlers run."""
        heard = []
        old = signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic()))
        self.addCleanup(signal.signal, signal.SIGALRM, old)
        with self.opened("mem:1M").queue(depth=4) as queue:
            queue.submit([Io.read(raw.Buffer(BLOCK), 0)])
            real = raw.lib.tarn_dev_queue_reap
            raw.lib.tarn_dev_queue_reap = lambda queue, least, most, wait_us, out: time.sleep(min(wait_us, 20_000) / 1e6) or 0
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                began = time.monotonic()
                self.assertEqual(queue.reap(min=1, timeout=0.3), [])
                self.assertGreaterEqual(time.monotonic() - began, 0.3)
                self.assertLess(heard[0] - began, 0.3)
                waker = threading.Timer(0.1, queue.wake)
                waker.start()
                self.assertEqual(queue.reap(min=1), [])
                waker.join()
            finally:
                raw.lib.tarn_dev_queue_reap = real
            queue.reap()


class BadInput(RawCase):
    def test_depth(self):
        dev = self.opened("mem:1M")
        for depth in (0, 4097, 1 << 31):
            with self.fails("DER_INVAL", ValueError):
                dev.queue(depth)
        for depth in (-1, 1 << 32):
            with self.assertRaises(ValueError):
                dev.queue(depth)

    def test_not_supported_under_strict(self):
        with self.fails("DER_NOTSUPPORTED", raw.TarnNotSupported):
            self.opened("mem:1M", strict=True).queue(iopoll=True)
        with self.opened("mem:1M").queue(iopoll=True) as queue:
            self.assertTrue(queue.info.note)

    def test_arguments(self):
        with self.opened("mem:1M").queue() as queue:
            for call in (lambda: queue.submit([7]), lambda: queue.submit(7), lambda: queue.reap("1"),
                         lambda: queue.register([b"read only"])):
                with self.assertRaises(TypeError):
                    call()
            for call in (lambda: Io.read(raw.Buffer(1), -1), lambda: Io.discard(0, 1 << 64),
                         lambda: Io.read(raw.Buffer(1), 0, fixed=1 << 16)):
                with self.assertRaises(ValueError):
                    call()
            with self.fails("DER_INVAL", ValueError):
                queue.register([])


if __name__ == "__main__":
    unittest.main()
