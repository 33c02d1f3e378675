#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs conformance vectors over the Python stubs: vectors.py FILE.json... (README.md beside it says what a file holds).

A line for each vector, "ok NAME" or "not ok NAME: why", and the exit status 1 when one is not ok. The gateway and who calls come from
TARN_ENDPOINT, TARN_TLS_CA and TARN_TOKENS, the container to work in from TARN_CONTAINER, a new UUID from TARN_UUID.
"""
from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import sys
from typing import Any

import grpc
from google.protobuf import json_format, symbol_database
from google.rpc import error_details_pb2, status_pb2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
from tarn.v1 import admin_pb2_grpc, container_pb2_grpc, kv_pb2_grpc, object_pb2_grpc, pool_pb2_grpc, snapshot_pb2_grpc  # noqa: E402
from tarn.v1 import admin_pb2, container_pb2, kv_pb2, object_pb2, pool_pb2, snapshot_pb2  # noqa: E402

TIMEOUT_S = 20
MODULES = {"AdminService": (admin_pb2, admin_pb2_grpc), "PoolService": (pool_pb2, pool_pb2_grpc), "ContainerService": (container_pb2, container_pb2_grpc),
           "ObjectService": (object_pb2, object_pb2_grpc), "KeyValueService": (kv_pb2, kv_pb2_grpc), "SnapshotService": (snapshot_pb2, snapshot_pb2_grpc)}


class Failed(Exception):
    """A step that did not do what its vector says."""


def filled(value: Any, names: dict[str, str]) -> Any:
    """A copy of a JSON value in which ${name} is replaced, and each form of bytes is base64."""
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: names[found[1]], value)
    if not isinstance(value, dict):
        return value
    data = as_bytes(value, names)
    if data is not None:
        return base64.b64encode(data).decode()
    return {key: filled(item, names) for key, item in value.items()}


def as_bytes(value: dict[str, Any], names: dict[str, str]) -> bytes | None:
    if "$text" in value:
        return filled(value["$text"], names).encode()
    if "$hex" in value:
        return bytes.fromhex(value["$hex"])
    if "$fill" in value:
        return bytes([value["$fill"]]) * value["size"]
    return None


def without(value: Any, ignored: list[str]) -> Any:
    """A copy without the fields of these names, at any depth."""
    if isinstance(value, list):
        return [without(item, ignored) for item in value]
    if isinstance(value, dict):
        return {key: without(item, ignored) for key, item in value.items() if key not in ignored}
    return value


def canonical(message_class: Any, value: Any) -> Any:
    """The JSON as protobuf itself would write it; refuses a field that the message has not."""
    return json_format.MessageToDict(json_format.ParseDict(value, message_class()))


def at(value: Any, path: str) -> str:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)


class Runner:
    def __init__(self, channel: grpc.Channel, tokens: pathlib.Path, container: str) -> None:
        self.channel, self.tokens, self.container = channel, tokens, container

    def credential(self, role: str) -> list[tuple[str, str]]:
        if role == "nobody":
            return []
        token = "forged" if role == "forged" else (self.tokens / role).read_text(encoding="ascii").strip()
        return [("authorization", f"Bearer {token}")]

    def call(self, step: dict[str, Any], names: dict[str, str]) -> list[Any]:
        """The messages of the answer, as JSON."""
        service, method = step["call"].split("/")
        module, module_grpc = MODULES[service]
        kind = module.DESCRIPTOR.services_by_name[service].methods_by_name[method]
        request_class = symbol_database.Default().GetSymbol(kind.input_type.full_name)
        requests = [json_format.ParseDict(filled(each, names), request_class()) for each in step.get("requests", [step.get("request", {})])]
        send = getattr(getattr(module_grpc, service + "Stub")(self.channel), method)
        answer = send(iter(requests) if kind.client_streaming else requests[0], timeout=TIMEOUT_S, metadata=self.credential(step.get("as", "admin")))
        return [json_format.MessageToDict(each) for each in (answer if kind.server_streaming else [answer])]

    def answer_class(self, step: dict[str, Any]) -> Any:
        service, method = step["call"].split("/")
        name = MODULES[service][0].DESCRIPTOR.services_by_name[service].methods_by_name[method].output_type.full_name
        return symbol_database.Default().GetSymbol(name)

    def step(self, step: dict[str, Any], names: dict[str, str], ignored: list[str]) -> None:
        try:
            answers = self.call(step, names)
        except grpc.RpcError as error:
            check_error(error, step, names)
            return
        if "error" in step:
            raise Failed(f"it succeeded, and should have failed with {step['error']['reason']}")
        if "answer" in step or "answers" in step:
            wanted = [canonical(self.answer_class(step), filled(each, names)) for each in step.get("answers", [step.get("answer")])]
            if without(answers, ignored) != without(wanted, ignored):
                raise Failed(f"answered {brief(answers)}, wanted {brief(wanted)}")
        for name, path in step.get("save", {}).items():
            names[name] = at(answers[0], path)

    def vector(self, vector: dict[str, Any], ignored: list[str]) -> str | None:
        """Why it failed, or nothing."""
        pool, _, cont = self.container.partition("/")
        names = {"pool": pool, "label": cont, "cont": self.container, "uuid": os.environ["TARN_UUID"]}
        for number, step in enumerate(vector["steps"], 1):
            try:
                self.step(step, names, ignored)
            except Exception as error:  # pylint: disable=broad-except  # whatever a step does, the next vector runs
                return f"step {number}, {step['call']}: {error}"
        return None


def brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 400 else text[:400] + "..."


def check_error(error: grpc.RpcError, step: dict[str, Any], names: dict[str, str]) -> None:
    trailers = dict(error.trailing_metadata() or ())
    found: dict[str, Any] = {"code": error.code().name}
    for detail in status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            found |= {"reason": info.reason, "domain": info.domain, "rc": info.metadata.get("rc"), "metadata": dict(info.metadata)}
    if "error" not in step:
        raise Failed(f"failed: {found} {error.details()}")
    wanted = {"domain": "tarn", "metadata": {}, **filled(step["error"], names)}
    metadata = {name: found.get("metadata", {}).get(name) for name in wanted["metadata"]}
    if {**found, "metadata": metadata} != wanted:
        raise Failed(f"failed with {found}, wanted {wanted}: {error.details()}")


def main(files: list[str]) -> int:
    with open(os.environ["TARN_TLS_CA"], "rb") as file:
        transport = grpc.ssl_channel_credentials(file.read())
    bad = 0
    with grpc.secure_channel(os.environ["TARN_ENDPOINT"], transport) as channel:
        runner = Runner(channel, pathlib.Path(os.environ["TARN_TOKENS"]), os.environ["TARN_CONTAINER"])
        for path in files:
            document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
            for vector in document["vectors"]:
                why = runner.vector(vector, document["ignore"])
                print(f"not ok {vector['name']}: {why}" if why else f"ok {vector['name']}", flush=True)
                bad += why is not None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
