#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python-stubs.sh DIR: generates the Python stubs of proto/tarn/v1 into DIR/tarn/v1, with the protoc that grpcio-tools brings, which
# tests/python/requirements.txt pins. The output depends on proto/ and on that version alone.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
build/venv/bin/python -m grpc_tools.protoc -Iproto --python_out="$1" --pyi_out="$1" --grpc_python_out="$1" proto/tarn/v1/*.proto
