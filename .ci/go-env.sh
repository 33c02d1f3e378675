#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints build/go.env: the shell lines that every go command of this tree needs.
#   PATH, GOTOOLCHAIN   where a go is that is as new as go.mod asks, when the one in PATH is not
#   CGO_CFLAGS          a hash of the library, once it is built, and its headers, so that go sees when they change
set -eu
cd "$(dirname "$0")/.."
. .ci/go-version.sh

# A go that an earlier build/go.env has put into PATH is a downloaded one, and is named again.
goroot=
case $(command -v go) in
*/golang.org/toolchain@*/bin/go) goroot=$(dirname "$(dirname "$(command -v go)")") ;;
*) have_go 1.21 || goroot=$(go_toolchain_dir) ;;
esac
if [ -z "$goroot" ]; then
	have_go "$GO_WANTED" || echo "export GOTOOLCHAIN=auto"
elif [ -x "$goroot/bin/go" ]; then
	echo "export PATH='$goroot/bin':\"\$PATH\" GOROOT='$goroot'"
else
	echo "there is no Go $GO_WANTED: run make deps" >&2
	exit 1
fi
[ -f build/lib/libtarn.a ] || exit 0
id=$(sha256sum build/lib/libtarn.a c/include/tarn/*.h | sha256sum | cut -c 1-15)
echo "export CGO_CFLAGS='-O2 -g -DTARN_LIB_ID=0x$id'"
