# SPDX-License-Identifier: Apache-2.0
"""Pools, containers, key-value objects and the key-value device, in this process."""
import os
import pathlib
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from raw_case import PACKAGE, RawCase, raw, seeded  # noqa: E402

POOL = 64 << 20


class Store(RawCase):
    """A pool "tank" with a container "neo"."""

    def setUp(self):
        super().setUp()
        self.system = raw.System(self.folder / "root")
        self.addCleanup(self.system.close)
        self.assertIsInstance(self.system.create_pool("tank", POOL), uuid.UUID)
        self.pool = self.system.open_pool("tank")
        self.addCleanup(self.pool.close)
        self.pool.create_container("neo")
        self.cont = self.pool.open_container("neo")
        self.addCleanup(self.cont.close)

    def kv(self, name="stadium", **options):
        kv = self.cont.open_kv(name, **options)
        self.addCleanup(kv.close)
        return kv


class Pools(Store):
    def test_what_there_is(self):
        self.assertEqual(self.system.root, str(self.folder / "root"))
        self.assertEqual((self.system.pools(), self.pool.containers(), self.cont.objects()), (["tank"], ["neo"], []))
        self.assertGreater(self.pool.info.free_bytes, POOL // 2)
        for i in range(300):  # more than one batch of a listing
            self.cont.open_kv(f"o{i:03}").close()
        self.assertEqual(self.cont.objects(), [f"o{i:03}" for i in range(300)])
        self.cont.destroy_object("o000")
        self.assertEqual(len(self.cont.objects()), 299)
        for i in range(20):
            self.pool.create_container(f"c{i:02}")
        self.assertEqual(self.pool.containers(), [f"c{i:02}" for i in range(20)] + ["neo"])

    def test_on_a_device(self):
        raw.Device.open(f"file:{self.folder}/disk", create=POOL).close()
        with raw.System(self.folder / "other", [str(self.folder / "disk")]) as system:
            system.create_pool("far", device=str(self.folder / "disk"))
            with system.open_pool("far") as pool:
                self.assertEqual(pool.info.path.decode(), str(self.folder / "disk"))
            with self.fails("DER_EXIST", FileExistsError):
                system.create_pool("far", device=str(self.folder / "disk"))
            system.destroy_pool("far")
            self.assertEqual(system.pools(), [])

    def test_refusals(self):
        with self.fails("DER_NONEXIST", FileNotFoundError):
            self.system.open_pool("none")
        with self.fails("DER_EXIST", FileExistsError):
            self.system.create_pool("tank", POOL)
        with self.fails("DER_CONT_NONEXIST", FileNotFoundError):
            self.pool.open_container("none")
        with self.fails("DER_NONEXIST", FileNotFoundError):
            self.cont.open_kv("none", create=False)
        with self.fails("DER_BUSY"):
            self.pool.close()
        self.assertEqual(self.pool.containers(), ["neo"])  # it is still open
        with self.fails("DER_BUSY"):
            self.pool.destroy_container("neo", force=True)


class KeyValues(Store):
    def test_dictionary_verbs(self):
        kv = self.kv()
        self.assertIsNone(kv.get(b"key"))
        self.assertEqual(kv.get(b"key", 7), 7)
        kv.put(b"key", b"value")
        kv.put(b"empty", b"")
        kv.put(bytearray(b"key"), memoryview(b"other"))
        self.assertEqual((kv.get(b"key"), kv.get(b"empty"), len(kv)), (b"other", b"", 2))
        kv.delete(b"key")
        kv.delete(b"key")
        self.assertEqual((kv.get(b"key"), list(kv.keys())), (None, [b"empty"]))
        with self.fails("DER_EXIST", FileExistsError):
            kv.put(b"empty", b"x", cond=raw.api.TARN_COND_INSERT)
        with self.fails("DER_NONEXIST", FileNotFoundError):
            kv.delete(b"none", cond=raw.api.TARN_COND_UPDATE)

    def test_sizes(self):
        kv, rng = self.kv(), seeded()
        for size in (0, 1, 4095, 4096, 4097, 65537, 3 << 20):
            value = rng.randbytes(size)
            kv.put(b"v", value)
            self.assertEqual(kv.get(b"v"), value)

    def test_random_against_a_dictionary(self):
        kv, rng, model = self.kv(), seeded(), {}
        for _ in range(600):
            key = b"%d" % rng.randrange(100)
            if rng.random() < 0.7:
                model[key] = rng.randbytes(rng.randrange(200))
                kv.put(key, model[key])
            else:
                model.pop(key, None)
                kv.delete(key)
        self.assertEqual({key: kv.get(key) for key in kv.keys()}, model)
        self.assertEqual(list(kv.keys(b"1")), sorted(key for key in model if key.startswith(b"1")))

    def test_long_listing(self):
        kv = self.kv()
        keys = [b"k%05d" % i + b"x" * 300 for i in range(1500)]  # more than one batch holds
        for key in keys:
            kv.put(key, b"")
        self.assertEqual(list(kv.keys()), keys)
        self.assertEqual(len(kv), 1500)

    def test_bad_input(self):
        kv = self.kv()
        with self.fails("DER_INVAL", ValueError):
            kv.put(b"", b"v")
        with self.fails("DER_KEY2BIG", ValueError):
            kv.put(b"k" * (raw.api.TARN_KEY_MAX + 1), b"v")
        for call in (lambda: kv.put("text", b""), lambda: kv.put(b"k", None), lambda: kv.get(7)):
            with self.assertRaises(TypeError):
                call()
        with self.cont.open_kv("stadium", readonly=True) as readonly, self.fails("DER_EP_RO", PermissionError):
            readonly.put(b"k", b"v")


class KeyValueDevices(Store):
    def device(self):
        dev = self.cont.open_kv_device()
        self.addCleanup(dev.close)
        return dev

    def test_the_command_set(self):
        dev = self.device()
        self.assertEqual((dev.info.key_max, dev.info.key_count), (16, 0))
        dev.store(b"k", b"value")
        self.assertEqual((dev.retrieve(b"k"), dev.exist(b"k"), dev.exist(b"none"), dev.info.key_count), (b"value", True, False, 1))
        with self.fails("DER_EXIST", FileExistsError):
            dev.store(b"k", b"", add=True)
        with self.fails("DER_NONEXIST", FileNotFoundError):
            dev.store(b"none", b"", update=True)
        dev.store(b"k", b"x" * 10000, update=True)
        room = bytearray(4)
        self.assertEqual((dev.retrieve_into(b"k", room), room), (10000, b"xxxx"))
        self.assertEqual(dev.retrieve(b"k"), b"x" * 10000)
        dev.delete(b"k")
        with self.fails("DER_NONEXIST", FileNotFoundError):
            dev.delete(b"k")
        with self.fails("DER_NONEXIST", FileNotFoundError):
            dev.retrieve(b"k")

    def test_keys(self):
        dev, rng = self.device(), seeded()
        keys = sorted({rng.randbytes(rng.randint(1, 16)) for _ in range(700)})
        for key in keys:
            dev.store(key, key)
        self.assertEqual(list(dev.keys()), keys)
        self.assertEqual(list(dev.keys(keys[100])), keys[100:])
        self.assertEqual(list(dev.keys(b"\xff" * 16)), [key for key in keys if key >= b"\xff" * 16])

    def test_bad_input(self):
        dev = self.device()
        with self.fails("DER_KEY2BIG", ValueError):
            dev.store(b"k" * 17, b"")
        with self.fails("DER_INVAL", ValueError):
            dev.store(b"", b"")
        with self.fails("DER_INVAL", ValueError):
            dev.store(b"k", b"", update=True, add=True)


class Again(RawCase):
    def test_another_process_sees_it(self):
        code = ("import sys\nfrom tarn import raw\n"
                "with raw.System(sys.argv[1]) as s, s.open_pool('tank') as p, p.open_container('neo') as c, c.open_kv('stadium') as kv:\n"
                "    print(kv.get(b'Barcelona').decode())")
        with raw.System(self.folder / "root") as system:
            system.create_pool("tank", POOL)
            with system.open_pool("tank") as pool:
                pool.create_container("neo")
                with pool.open_container("neo") as cont, cont.open_kv("stadium") as kv:
                    kv.put(b"Barcelona", b"Camp Nou")
        said = subprocess.run([sys.executable, "-W", "error", "-c", code, self.folder / "root"], check=True, stdout=subprocess.PIPE,
                              text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, timeout=60).stdout
        self.assertEqual(said, "Camp Nou\n")


if __name__ == "__main__":
    unittest.main()
