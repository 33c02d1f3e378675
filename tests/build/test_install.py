# SPDX-License-Identifier: Apache-2.0
"""What `make install` leaves is enough for a program outside the tree, by pkg-config alone, shared and static; and installing
under DESTDIR puts nothing anywhere else."""
import os
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CONSUMER = r"""
#include <stdio.h>
#include <string.h>
#include <tarn/tarn.h>

int main(int argc, char **argv)
{
	tarn_system *sys;
	tarn_pool   *pool;

	if (argc != 2 || tarn_system_open(argv[1], NULL, 0, &sys)) {
		fprintf(stderr, "%s\n", tarn_last_error());
		return 1;
	}
	printf("%s %s\n", tarn_version(), tarn_errname(tarn_pool_open(sys, "none", NULL, &pool, NULL)));
	return tarn_system_close(sys) != 0;
}
"""


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.tmp.cleanup)
        cls.dest = os.path.join(cls.tmp.name, "dest")
        plain = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        run("make", "-C", TOP, "install", "PREFIX=/opt/tarn", "DESTDIR=" + cls.dest, env=plain)
        cls.prefix = os.path.join(cls.dest, "opt/tarn")
        cls.source = os.path.join(cls.tmp.name, "consumer.c")
        with open(cls.source, "w", encoding="utf-8") as file:
            file.write(CONSUMER)

    def pkg_config(self, *flags):
        libdir = os.path.join(self.prefix, "lib")
        env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(libdir, "pkgconfig")}
        return run("pkg-config", f"--define-variable=prefix={self.prefix}", f"--define-variable=libdir={libdir}", *flags, "tarn",
                   env=env).split()

    def consume(self, program, flags, **env):
        path = os.path.join(self.tmp.name, program)
        run("gcc", "-std=c11", "-o", path, self.source, *flags, cwd=self.tmp.name)
        root = os.path.join(self.tmp.name, program + ".root")
        self.assertEqual(run(path, root, env={**os.environ, **env}), self.version() + " DER_NONEXIST\n")
        return path

    def version(self):
        return self.pkg_config("--modversion")[0]

    def test_shared(self):
        libdir = os.path.join(self.prefix, "lib")
        path = self.consume("shared", self.pkg_config("--cflags", "--libs"), LD_LIBRARY_PATH=libdir)
        self.assertIn("libtarn.so.0", run("readelf", "--dynamic", path))

    def test_static(self):
        flags = ["-l:libtarn.a" if flag == "-ltarn" else flag for flag in self.pkg_config("--cflags", "--libs", "--static")]
        path = self.consume("static", flags)
        self.assertNotIn("libtarn.so", run("readelf", "--dynamic", path))

    def test_programs(self):
        for program in ("tarn", "tarn-gateway"):
            self.assertTrue(os.access(os.path.join(self.prefix, "bin", program), os.X_OK), program)
        self.assertIn(self.version(), run(os.path.join(self.prefix, "bin/tarn"), "version"))

    def test_nothing_outside_the_prefix(self):
        self.assertEqual(os.listdir(self.dest), ["opt"])
        self.assertEqual(os.listdir(os.path.join(self.dest, "opt")), ["tarn"])


if __name__ == "__main__":
    unittest.main()
