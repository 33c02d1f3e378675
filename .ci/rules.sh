#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when an RPC of proto/tarn/v1 does not say who may call it, with "option (access) = ACCESS_...;", and what an access control list
# must give its caller, with "option (permission) = PERMISSION_...;".
set -eu
cd "$(dirname "$0")/.."
missing=$(awk '
	function done() {
		if (rpc != "" && !access) print FILENAME ": " rpc " has no option (access)"
		if (rpc != "" && !permission) print FILENAME ": " rpc " has no option (permission)"
		rpc = ""
		access = permission = 0
	}
	/^  rpc /                                       { done(); rpc = $2; sub(/\(.*/, "", rpc) }
	/option \(access\) = ACCESS_[A-TV-Z]/           { access = 1 }
	/option \(permission\) = PERMISSION_[A-TV-Z]/   { permission = 1 }
	/^}/                                            { done() }' proto/tarn/v1/*.proto)
[ -z "$missing" ] || { echo "$missing" >&2; exit 1; }
