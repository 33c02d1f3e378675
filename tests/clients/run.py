#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the conformance vectors and the examples of every language against one gateway: run.py [LANGUAGE...], all without arguments.

Everything is real: build/bin/tarn makes the certificates and the tokens, build/bin/tarn-gateway serves with TLS on a free port of the
loopback, and the clients are built as their own READMEs say, from what their package registries have. What is built, and what each program
printed, is in build/clients. The last line is "N passed, N failed"; the exit status is 1 when anything failed or a toolchain is missing.
"""
from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from typing import Callable, Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "clients"
VECTORS = TOP / "clients" / "vectors"
TARN, GATEWAY = TOP / "build/bin/tarn", TOP / "build/bin/tarn-gateway"
BUILD_S = 1800  # of one command: the first build downloads and compiles everything
RUN_S = 300
STREAM_BYTES = 64 << 20
PARTS = ("put and get", "scan", "stream", "watch", "error")
ROLES = ("admin", "writer", "reader")

# What is expected of a printed part. Its sentence is of the language's own; the figures are not.
WANTED = {"put and get": r"Barcelona plays at Camp Nou", "scan": r"10000 keys in order", "error": r"NOT_FOUND DER_NONEXIST \(-1005\)",
          "watch": r"4 changes in order"}


@dataclasses.dataclass
class Language:
    """How the clients of a language are built and run. An example of None: it has none here."""
    name: str
    tools: dict[str, tuple[list[str], tuple[int, ...]]]  # how each says its version, and the oldest that will do
    build: Callable[[], list[list[str]]]
    vectors: list[str]
    example: list[str] | None
    env: dict[str, str] = dataclasses.field(default_factory=dict)


# ---- the languages ----

def go_build() -> list[list[str]]:
    return [["sh", "-c", ". build/go.env && CGO_ENABLED=0 go build -buildvcs=false -o build/clients/go/vectors ./clients/vectors/go"]]


def node_build() -> list[list[str]]:
    """npm puts what it installs beside package.json: it works on a copy."""
    shutil.copytree(TOP / "clients/node", OUT / "node", dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "dist", "proto", "gen"))
    npm = ["npm", "--prefix", str(OUT / "node")]
    return [[*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], [*npm, "run", "--silent", "build"]]


def java_build() -> list[list[str]]:
    return [["mvn", "-q", "-B", "-ntp", "-T1", "-f", "clients/java", f"-Dtarn.target={OUT / 'java'}", "package"]]


def rust_build() -> list[list[str]]:
    return [["cargo", "build", "-q", "-j1", "--locked", "--manifest-path", "clients/rust/Cargo.toml", "--target-dir", str(OUT / "rust")]]


def java(program: str) -> list[str]:
    return ["java", "-cp", f"{OUT / 'java/tarn-example.jar'}:{OUT / 'java/lib'}/*", f"org.tarn.example.{program}"]


def languages() -> list[Language]:
    python = str(TOP / "build/venv/bin/python")
    node, rust = OUT / "node/dist", OUT / "rust/debug"
    return [
        Language("go", {}, go_build, [str(OUT / "go/vectors")], None),
        Language("python", {}, lambda: [], [python, str(VECTORS / "python/vectors.py")], None),
        Language("node", {"node": (["node", "--version"], (18,)), "npm": (["npm", "--version"], (9,))}, node_build,
                 ["node", str(node / "vectors.js")], ["node", str(node / "example.js")], {"TARN_PROTO": str(TOP / "proto")}),
        Language("java", {"java": (["javac", "--version"], (17,)), "maven": (["mvn", "--version"], (3, 8))}, java_build, java("Vectors"), java("Example")),
        Language("rust", {"cargo": (["cargo", "--version"], (1, 85))}, rust_build, [str(rust / "vectors")], [str(rust / "example")]),
    ]


def missing(language: Language) -> list[str]:
    """The tools that are not there, or too old."""
    bad = []
    for tool, (command, oldest) in language.tools.items():
        found = version(command)
        if found is None:
            bad.append(f"{tool} is not there")
        elif found < oldest:
            bad.append(f"{tool} is {dotted(found)}, and must be {dotted(oldest)} or newer")
    return bad


def version(command: list[str]) -> tuple[int, ...] | None:
    try:
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)*", re.sub(r"\x1b\[[\d;]*m", "", text))
    return tuple(int(part) for part in found[0].split(".")) if found else None


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


# ---- the gateway ----

class Secured:
    """A gateway that takes tokens over TLS, with the pool tank, and in it a container for each language."""

    def __init__(self, folder: pathlib.Path, labels: list[str]) -> None:
        self.folder, self.certs, self.tokens = folder, folder / "certs", folder / "tokens"
        self.tokens.mkdir()
        self.tarn("cert", "ca", "--dir", self.certs)
        self.tarn("cert", "server", "127.0.0.1", "--dir", self.certs)
        self.tarn("token", "keygen", "--key", folder / "token.key", "--public", folder / "token.pub")
        for role in ROLES:
            (self.tokens / role).write_text(self.tarn("token", "sign", role, "--role", role, "--key", folder / "token.key"), encoding="ascii")
        self.start()
        self.tarn("pool", "create", "tank", "--size", "1G")
        for label in labels:
            self.tarn("cont", "create", f"tank/{label}")

    def start(self) -> None:
        command: list[str | os.PathLike[str]] = [
            GATEWAY, "--root", self.folder / "root", "--listen", "127.0.0.1:0", "--tls-cert", self.certs / "127.0.0.1.pem", "--tls-key", self.certs / "127.0.0.1.key",
            "--token-keys", self.folder / "token.pub"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        first = self.process.stderr.readline()
        threading.Thread(target=self.process.stderr.read, daemon=True).start()  # so that the gateway never waits for a reader
        try:
            self.address = json.loads(first)["listen"]
        except ValueError:
            sys.exit(f"test-clients: the gateway does not start: {first}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def env(self, role: str = "admin") -> dict[str, str]:
        """What a program needs to know of the gateway."""
        if not hasattr(self, "address"):
            return {}
        return {"TARN_ENDPOINT": self.address, "TARN_TLS_CA": str(self.certs / "ca.pem"), "TARN_TOKEN_FILE": str(self.tokens / role)}

    def tarn(self, *args: object) -> str:
        done = subprocess.run([TARN, *map(str, args)], env={**clean_env(), **self.env()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode:
            sys.exit(f"test-clients: tarn {' '.join(map(str, args))}: {done.stderr}")
        return done.stdout


def clean_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TARN_")}


# ---- running ----

@dataclasses.dataclass
class Outcome:
    """What came of a language: a line for each thing that failed."""
    passed: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    vectors: str = "-"
    example: str = "-"


def run(language: Language, what: str, command: list[str], env: dict[str, str], limit_s: int = RUN_S) -> tuple[int, str]:
    """Exit status and output; the output is kept in build/clients/LANGUAGE-WHAT.log."""
    try:
        done = subprocess.run(command, cwd=TOP, env={**clean_env(), **language.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=limit_s, check=False)
        status, text = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        status, text = 124, (error.stdout or b"").decode(errors="replace") + f"\nended after {limit_s} seconds\n"
    (OUT / f"{language.name}-{what}.log").write_text(text, encoding="utf-8")
    return status, text


def build(language: Language) -> str | None:
    """Why it cannot be built, or nothing."""
    for command in language.build():
        status, text = run(language, "build", command, {}, BUILD_S)
        if status:
            return f"{' '.join(command[:2])}...: exit {status}\n{text[-3000:]}"
    return None


def names(path: pathlib.Path) -> list[str]:
    return [vector["name"] for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]]


def check_vectors(language: Language, gateway: Secured, outcome: Outcome) -> None:
    """Those that are right are all ok, and those that are wrong are all not ok."""
    right = sorted(path for path in VECTORS.glob("*.json") if path.name != "wrong.json")
    env = {**gateway.env(), "TARN_TOKENS": str(gateway.tokens), "TARN_CONTAINER": f"tank/{language.name}", "TARN_UUID": str(uuid.uuid4())}
    _, text = run(language, "vectors", [*language.vectors, *map(str, right)], env)
    wanted = [name for path in right for name in names(path)]
    passed = [name for name in wanted if f"ok {name}" in text.splitlines()]
    outcome.passed += len(passed)
    outcome.vectors = f"{len(passed)} of {len(wanted)}"
    said = {line.split(":")[0]: line for line in text.splitlines()}
    outcome.failures += [said.get(f"not ok {name}", f"{name}: it was not run\n{text[-2000:]}") for name in wanted if name not in passed]
    _, text = run(language, "wrong", [*language.vectors, str(VECTORS / "wrong.json")], env)
    for name in names(VECTORS / "wrong.json"):
        found = any(line.startswith(f"not ok {name}:") for line in text.splitlines())
        outcome.passed += found
        outcome.failures += [] if found else [f"the wrong vector {name!r} was not found to be wrong"]


def stream_hash() -> str:
    """SHA-256 of what the examples stream: byte j of mebibyte i is (i + j) % 251."""
    line = bytes(range(251)) * ((1 << 20) // 251 + 3)
    digest = hashlib.sha256()
    for i in range(STREAM_BYTES >> 20):
        digest.update(line[i % 251:][:1 << 20])
    return digest.hexdigest()


def check_example(language: Language, gateway: Secured, outcome: Outcome) -> None:
    assert language.example
    status, text = run(language, "example", [*language.example, f"tank/{language.name}"], gateway.env("writer"))
    said = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    wanted = {**WANTED, "stream": f"{STREAM_BYTES} bytes, sha256 {stream_hash()}"}
    good = [part for part in PARTS if re.search(wanted[part], said.get(part, ""))]
    outcome.passed += len(good)
    outcome.example = f"{len(good)} of {len(PARTS)}"
    outcome.failures += [f"the example's part {part!r} said {said.get(part)!r}, wanted {wanted[part]!r}" for part in PARTS if part not in good]
    if status:
        outcome.failures.append(f"the example ended with status {status}\n{text[-2000:]}")


def outcomes(chosen: list[Language], gateway: Secured) -> Iterator[tuple[Language, Outcome]]:
    for language in chosen:
        outcome = Outcome()
        print(f"test-clients: {language.name}", flush=True)
        if lacking := missing(language):
            outcome.failures.append(f"{', and '.join(lacking)}: '.ci/deps.sh clients' installs it on Debian")
        elif why := build(language):
            outcome.failures.append(f"it cannot be built: {why}")
        else:
            check_vectors(language, gateway, outcome)
            if language.example:
                check_example(language, gateway, outcome)
        yield language, outcome


def main(wanted: list[str]) -> int:
    known = languages()
    if unknown := set(wanted) - {language.name for language in known}:
        sys.exit(f"test-clients: no clients in {', '.join(sorted(unknown))}; there are {', '.join(language.name for language in known)}")
    chosen = [language for language in known if not wanted or language.name in wanted]
    OUT.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the gateway ends too
    with tempfile.TemporaryDirectory() as folder:
        gateway = Secured(pathlib.Path(folder), [language.name for language in chosen])
        try:
            done = list(outcomes(chosen, gateway))
        finally:
            gateway.stop()
    return report(done)


def report(done: list[tuple[Language, Outcome]]) -> int:
    """Prints the table and what failed; the exit status."""
    print(f"\n{'':<8} {'vectors':<10} example")
    for language, outcome in done:
        print(f"{language.name:<8} {outcome.vectors:<10} {outcome.example}")
    for language, outcome in done:
        for failure in outcome.failures:
            print(f"FAILED {language.name}: {failure}")
    failed = sum(len(outcome.failures) for _, outcome in done)
    print(f"{sum(outcome.passed for _, outcome in done)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
