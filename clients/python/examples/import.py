#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Imports a directory into a Tarn object over gRPC (path -> bytes), reads it all back and compares byte for byte.

    import.py ENDPOINT POOL CONTAINER OBJECT DIR        import.py unix:/tmp/root/tarn.sock tank neo headers /usr/include

All that it knows of Tarn is proto/: the stubs are generated from it when they are missing or old. It needs grpcio and grpcio-tools.
Container and object are made when they are missing. Exit status: 0 when everything is the same, 1 when not, 2 on usage.
"""
import hashlib
import os
import pathlib
import sys

import grpc

TOP = pathlib.Path(__file__).resolve().parents[3]
BATCH_BYTES = 512 << 10  # of values in one BatchPut
BATCH_KEYS = 1000
CHUNK = (32 << 10) - 64  # of a stream


def make_stubs(protos, out):
    """Generates the Python stubs of protos/tarn/v1 into out, unless they are there and newer, and makes them importable."""
    sources = sorted(protos.glob("tarn/v1/*.proto"))
    stamp = out / "made"
    if not stamp.exists() or stamp.stat().st_mtime < max(p.stat().st_mtime for p in sources):
        import grpc_tools.protoc  # only needed here
        known = pathlib.Path(grpc_tools.__file__).parent / "_proto"  # google/protobuf/*.proto
        out.mkdir(parents=True, exist_ok=True)
        status = grpc_tools.protoc.main(["protoc", f"-I{protos}", f"-I{known}", f"--python_out={out}", f"--grpc_python_out={out}",
                                         *map(str, sources)])
        if status:
            sys.exit(f"import.py: protoc failed with status {status}")
        stamp.touch()
    sys.path.insert(0, str(out))


make_stubs(TOP / "proto", pathlib.Path(os.environ.get("TARN_STUBS") or TOP / "build" / "python"))
from tarn.v1 import container_pb2, container_pb2_grpc, kv_pb2, kv_pb2_grpc, object_pb2, object_pb2_grpc  # noqa: E402


class Progress:
    """One line on stderr, when that is a terminal."""

    def __init__(self, what, total):
        self.what, self.total, self.done = what, total, 0

    def add(self, n):
        self.done += n
        if sys.stderr.isatty():
            end = "\n" if self.done >= self.total else ""
            print(f"\r{self.what} {self.done}/{self.total} files", end=end, file=sys.stderr, flush=True)


def existing(call, *args):
    """Makes something, and is content when it is there already."""
    try:
        call(*args)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.ALREADY_EXISTS:
            raise


def files_of(root):
    """Every file below root that can be read, in order, as (key, path). Links to files count as files."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                found.append((os.fsencode(os.path.relpath(path, root)), path))
    return sorted(found)


def batches(files, limit):
    """Files of at most limit bytes, in lists that one call can carry."""
    batch, size = [], 0
    for key, path in files:
        length = os.path.getsize(path)
        if length > limit:
            continue
        if batch and (size + length > BATCH_BYTES or len(batch) == BATCH_KEYS):
            yield batch
            batch, size = [], 0
        batch.append((key, path))
        size += length
    if batch:
        yield batch


def put_messages(name, key, path):
    """The messages of a PutStream: header, data, commit."""
    digest = hashlib.sha256()
    yield kv_pb2.PutStreamRequest(header=kv_pb2.PutStreamHeader(
        object=name, key=key, size=os.path.getsize(path), checksum_type=kv_pb2.CHECKSUM_TYPE_SHA256))
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
            yield kv_pb2.PutStreamRequest(data=data)
    yield kv_pb2.PutStreamRequest(commit=kv_pb2.PutStreamCommit(checksum=digest.digest()))


def put_all(kv, name, files, limit):
    progress = Progress("imported", len(files))
    for batch in batches(files, limit):
        entries = [kv_pb2.PutEntry(key=key, value=pathlib.Path(path).read_bytes()) for key, path in batch]
        for result, (_, path) in zip(kv.BatchPut(kv_pb2.BatchPutRequest(object=name, entries=entries)).results, batch):
            if result.HasField("error"):
                sys.exit(f"import.py: {path}: {result.error.message} ({result.error.reason})")
        progress.add(len(batch))
    for key, path in files:
        if os.path.getsize(path) > limit:
            kv.PutStream(put_messages(name, key, path))
            progress.add(1)


def get_stream(kv, name, key):
    """A value of any size, checked."""
    digest, value, whole = hashlib.sha256(), bytearray(), False
    for message in kv.GetStream(kv_pb2.GetStreamRequest(object=name, key=key, checksum_type=kv_pb2.CHECKSUM_TYPE_SHA256)):
        value += message.data
        digest.update(message.data)
        whole = message.HasField("trailer") and message.trailer.checksum == digest.digest()
    if not whole:
        sys.exit(f"import.py: {os.fsdecode(key)}: the stream ended early or its checksum is wrong")
    return bytes(value)


def get_batch(kv, name, keys):
    """The values of keys, None where there is none. What finds no room in an answer is asked for again, by a stream when it is large."""
    values = {}
    while keys:
        again = []
        for key, result in zip(keys, kv.BatchGet(kv_pb2.BatchGetRequest(object=name, keys=keys)).results):
            if result.WhichOneof("result") == "value":
                values[key] = result.value
            elif result.error.reason == "DER_TRUNC":
                again.append(key)
            elif result.error.reason == "DER_REC2BIG":
                values[key] = get_stream(kv, name, key)
            else:
                values[key] = None
        keys = again
    return values


def differences(kv, name, files):
    """The paths whose value is not the bytes of the file."""
    progress, wrong = Progress("compared", len(files)), []
    for first in range(0, len(files), BATCH_KEYS):
        part = files[first:first + BATCH_KEYS]
        values = get_batch(kv, name, [key for key, _ in part])
        wrong += [path for key, path in part if values[key] != pathlib.Path(path).read_bytes()]
        progress.add(len(part))
    return wrong


def main(args):
    if len(args) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    endpoint, pool, container, name, root = args
    files = files_of(root)
    if not files:
        print(f"import.py: {root} holds no files", file=sys.stderr)
        return 2
    with grpc.insecure_channel(endpoint) as channel:
        where = f"{pool}/{container}"
        existing(container_pb2_grpc.ContainerServiceStub(channel).CreateContainer,
                 container_pb2.CreateContainerRequest(pool=pool, label=container, type=container_pb2.CONTAINER_TYPE_KV))
        existing(object_pb2_grpc.ObjectServiceStub(channel).CreateObject,
                 object_pb2.CreateObjectRequest(container=where, name=name))
        kv = kv_pb2_grpc.KeyValueServiceStub(channel)
        put_all(kv, f"{where}/{name}", files, 1 << 20)
        wrong = differences(kv, f"{where}/{name}", files)
    for path in wrong:
        print(f"import.py: {path} differs", file=sys.stderr)
    total = sum(os.path.getsize(path) for _, path in files)
    print(f"{len(files)} files, {total} bytes, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except grpc.RpcError as failed:
        sys.exit(f"import.py: {failed.code().name}: {failed.details()}")
