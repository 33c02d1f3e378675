#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# .ci/fuzz-go.sh SECONDS: runs every Go fuzz target of the tree, one after the other. New inputs that reach further go to Go's build
# cache; an input that fails is written to testdata/fuzz beside its test, which replays it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
. build/go.env
mkdir -p build/fuzz
# Pools of the gateway's targets are in memory, where that can be; the workers, which go ends with a signal, leave them there.
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
failed=0
while IFS=: read -r file name; do
	log=build/fuzz/go-$(basename "$(dirname "$file")")-$name.log
	if nice go test -run '^$' -fuzz "^$name\$" -fuzztime "$1s" -fuzzminimizetime 5s "./$(dirname "$file")" >"$log" 2>&1; then
		echo "fuzz $(dirname "$file") $name: $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
	else
		tail -40 "$log"
		echo "fuzz $(dirname "$file") $name: FAILED, see $log"
		failed=1
	fi
done < <(grep -rEo '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' go cmd | sed 's/func //' | sort)
exit $failed
