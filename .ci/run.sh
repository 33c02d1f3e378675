#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make run` does when all is built: a pool in a file when there is none, the gateway, and what to try next. The pools are where
# `tarn` looks without being told: $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/build/bin
root=${TARN_ROOT:-${XDG_DATA_HOME:-$HOME/.local/share}/tarn}

if ! { [ -d "$root" ] && "$bin/tarn" --root "$root" pool list -o json | grep -q '"label"'; }; then
	echo "There is no pool in $root yet: creating one, pond, in a file."
	"$bin/tarn" --root "$root" pool create pond --size 1G
fi

cat <<TEXT

Starting the gateway on the pools in $root. Stop it with Ctrl-C. In a second terminal:

    export PATH="$bin:\$PATH"${TARN_ROOT:+ TARN_ROOT="$root"}
    tarn pool create tank --size 1G
    tarn cont create tank neo --type KV
    tarn kv put  tank/neo/stadium Barcelona "Camp Nou"
    tarn kv get  tank/neo/stadium Barcelona
    tarn kv list tank/neo/stadium
    tarn import  tank/neo/headers /usr/include
    tarn export  tank/neo/headers ./copy && diff -r /usr/include ./copy

TEXT
exec "$bin/tarn-gateway" --root "$root"
