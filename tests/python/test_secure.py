# SPDX-License-Identifier: Apache-2.0
"""Dictionaries over TLS, with a certificate and with a token, and what is refused."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402
from rig import GatewayTest, environment  # noqa: E402

TARN = rig.PROGRAM.parent / "tarn"


class Secured(rig.Gateway):
    """A gateway that takes certificates and tokens."""

    def start(self):
        self.dir = os.path.join(self.folder.name, "certs")
        if not os.path.exists(self.dir):
            self.tarn("cert", "ca", "--dir", self.dir)
            self.tarn("cert", "server", "127.0.0.1", "--dir", self.dir)
            self.tarn("token", "keygen", "--key", self.path("token.key"), "--public", self.path("token.pub"))
        super().start("--tls-cert", self.path("127.0.0.1.pem"), "--tls-key", self.path("127.0.0.1.key"), "--tls-client-ca", self.path("ca.pem"),
                      "--token-keys", self.path("token.pub"))

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def tarn(*args):
        return subprocess.run([TARN, *args], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def token(self, role):
        return self.tarn("token", "sign", "bob", "--role", role, "--key", self.path("token.key"))


class Secure(GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Secured()
        cls.addClassCleanup(cls.gateway.close)

    def secured(self, **settings):
        return environment(**{"TARN_TLS_CA": self.gateway.path("ca.pem"), **settings})

    def store(self):
        cont = self.open(endpoint=self.gateway.tcp)
        d = cont.dict(self.id(), {"Barcelona": "Camp Nou"})
        self.assertEqual(d["Barcelona"], b"Camp Nou")

    def test_certificate(self):
        self.gateway.tarn("cert", "client", "alice", "--role", "writer", "--dir", self.gateway.dir)
        with self.secured(TARN_TLS_CERT=self.gateway.path("alice.pem"), TARN_TLS_KEY=self.gateway.path("alice.key")):
            self.store()

    def test_token(self):
        with self.secured(TARN_TOKEN=self.gateway.token("writer")):
            self.store()

    def test_token_file(self):
        path = self.gateway.path("bob.token")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.gateway.token("writer") + "\n")
        with self.secured(TARN_TOKEN_FILE=path):
            self.store()

    def test_reader(self):
        with self.secured(TARN_TOKEN=self.gateway.token("reader")), self.fails("DER_NO_PERM", "writer"):
            self.store()

    def test_refused(self):
        for name, settings in (("DER_NO_CERT", {}), ("DER_BAD_CERT", {"TARN_TOKEN": "x"}), ("DER_INVAL", {"TARN_TLS_CERT": "x"}),
                               ("DER_INVAL", {"TARN_TLS_CA": "/none"}), ("DER_INVAL", {"TARN_TOKEN_FILE": "/none"}),
                               ("DER_INVAL", {"TARN_TOKEN": "x", "TARN_TOKEN_FILE": "y"})):
            with self.subTest(settings), self.secured(**settings), self.fails(name):
                self.open(endpoint=self.gateway.tcp)

    def test_token_in_the_clear(self):
        with environment(TARN_TOKEN="x"), self.fails("DER_INVAL", "TLS"):
            self.open(endpoint="192.0.2.1:7447")


if __name__ == "__main__":
    unittest.main()
