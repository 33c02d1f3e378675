#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when an RPC of proto/tarn/v1 does not say who may call it, with "option (access) = ACCESS_...;".
set -eu
cd "$(dirname "$0")/.."
missing=$(awk '
	function done() { if (rpc != "") print FILENAME ": " rpc " has no option (access)"; rpc = "" }
	/^  rpc /                                { done(); rpc = $2; sub(/\(.*/, "", rpc) }
	/option \(access\) = ACCESS_[A-TV-Z]/    { rpc = "" }
	/^}/                                     { done() }' proto/tarn/v1/*.proto)
[ -z "$missing" ] || { echo "$missing" >&2; exit 1; }
