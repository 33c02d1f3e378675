#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make demo` does when all is built: the tour of the README through a gateway, in a directory of its own that is removed
# afterwards. Prints each command before what it says; ends at the first that fails.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/build/bin:$PATH
input=${1:-/usr/include}
tmp=$(mktemp -d)
gateway=
trap 'stop; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
export TARN_ROOT="$tmp/root"

stop() {
	[ -n "$gateway" ] || return 0
	kill "$gateway"
	wait "$gateway"
	gateway=
}

say() {
	echo
	echo "\$ $*"
	"$@"
}

mkdir -p "$TARN_ROOT"
echo "\$ tarn-gateway --root $TARN_ROOT &"
tarn-gateway --root "$TARN_ROOT" --listen 127.0.0.1:0 >"$tmp/gateway.log" 2>&1 &
gateway=$!
tries=0
until [ -S "$TARN_ROOT/tarn.sock" ]; do
	tries=$((tries + 1))
	if [ $tries = 100 ] || ! kill -0 $gateway 2>/dev/null; then
		cat "$tmp/gateway.log"
		exit 1
	fi
	sleep 0.1
done

say tarn pool create tank --size 1G
say tarn cont create tank neo --type KV
say tarn kv put tank/neo/stadium Barcelona "Camp Nou"
say tarn kv get tank/neo/stadium Barcelona
echo
say tarn kv list tank/neo/stadium
say tarn import tank/neo/headers "$input"
say tarn export tank/neo/headers "$tmp/copy"
say diff -r "$input" "$tmp/copy"
echo "The copy is equal: $(find "$tmp/copy" -type f | wc -l) files."

echo
echo "# the same pool, without the gateway"
stop
say tarn pool info tank
say tarn kv get tank/neo/stadium Barcelona
echo
