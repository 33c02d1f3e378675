#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a pool, a container and an object over gRPC; puts, gets and lists.

    python3 -m grpc_tools.protoc -Iproto --python_out=stubs --grpc_python_out=stubs proto/tarn/v1/*.proto
    PYTHONPATH=stubs hello.py ENDPOINT              hello.py unix:$HOME/.local/share/tarn/tarn.sock

Nothing of Tarn is needed but proto/, and of Python grpcio and grpcio-tools.
"""
import sys

import grpc
from tarn.v1 import container_pb2, container_pb2_grpc, kv_pb2, kv_pb2_grpc, object_pb2, object_pb2_grpc, pool_pb2, pool_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
pools = pool_pb2_grpc.PoolServiceStub(channel)
containers = container_pb2_grpc.ContainerServiceStub(channel)
objects = object_pb2_grpc.ObjectServiceStub(channel)
kv = kv_pb2_grpc.KeyValueServiceStub(channel)

pools.CreatePool(pool_pb2.CreatePoolRequest(label="tank", size=64 << 20))
containers.CreateContainer(container_pb2.CreateContainerRequest(pool="tank", label="neo"))
objects.CreateObject(object_pb2.CreateObjectRequest(container="tank/neo", name="stadium"))

stadium = "tank/neo/stadium"
kv.Put(kv_pb2.PutRequest(object=stadium, key=b"Barcelona", value=b"Camp Nou"))  # durable when it returns
kv.Put(kv_pb2.PutRequest(object=stadium, key=b"Dortmund", value=b"Westfalenstadion"))
print("Barcelona plays at", kv.Get(kv_pb2.GetRequest(object=stadium, key=b"Barcelona")).value.decode())
for batch in kv.Scan(kv_pb2.ScanRequest(object=stadium)):
    for entry in batch.entries:
        print(entry.key.decode(), "=", entry.value.decode())
