#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""openapi.py IN OUT: writes the OpenAPI description that the gateway serves, of what protoc-gen-openapiv2 generated from proto/.

It says what that plugin cannot know: how keys stand in addresses, that a value may be a body by itself, and how callers are known.
"""
import json
import sys

ABOUT = """Pools, containers, key-value objects, snapshots: the unary RPCs of tarn.v1, and scans.

Bytes in JSON are base64. In addresses keys are percent-encoded text. An answer of Scan is lines of JSON, each {"result": ...} or, at the
end, {"error": ...}. An error is a google.rpc.Status, whose ErrorInfo has the name (DER_NONEXIST) and the number of the error."""


def address(parameter):
    """Keys in addresses are text, not base64."""
    if parameter["in"] in ("path", "query") and parameter.get("format") == "byte":
        del parameter["format"]
        parameter["description"] += " Percent-encoded: any bytes."


def operation(call):
    for parameter in call.get("parameters", []):
        address(parameter)
    name = call["operationId"]
    if name == "KeyValueService_Get":
        call["produces"] = ["application/json", "application/octet-stream"]
    if name == "KeyValueService_Put":
        call["consumes"] = ["application/json", "application/octet-stream"]
    if "streaming" in call["responses"]["200"]["description"]:
        call["produces"] = ["application/x-ndjson"]


def main(source, target):
    with open(source, encoding="utf-8") as file:
        api = json.load(file)
    api["info"] = {"title": "Tarn", "description": ABOUT, "version": "v1"}
    api["securityDefinitions"] = {"token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer TOKEN"}}
    api["security"] = [{"token": []}]
    for path in api["paths"].values():
        for call in path.values():
            operation(call)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(api, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
