# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Which Go this tree wants (go.mod says), which one there is, and where the one lives that deps.sh downloads. To be sourced at the
# top of the tree.

GO_WANTED=$(awk '$1 == "toolchain" { t = substr($2, 3) } $1 == "go" { g = $2 } END { print t ? t : g }' go.mod)

# have_go VERSION: a go in PATH is at least that new by itself.
have_go() {
	found=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
	printf '%s\n%s\n' "$1" "${found#go}" | sort -C -V
}

# The toolchain that a Go too old to fetch one by itself (before 1.21) downloads as a module: in the module cache, where a newer Go
# would have put it.
go_toolchain_dir() {
	old=$(find_old_go) || return 1
	machine=$("$old" env GOOS).$("$old" env GOARCH)
	echo "$("$old" env GOMODCACHE)/golang.org/toolchain@v0.0.1-go$GO_WANTED.$(echo "$machine" | tr . -)"
}

# Any go at all: the one in PATH, or Debian's.
find_old_go() {
	command -v go || { [ -x /usr/lib/go/bin/go ] && echo /usr/lib/go/bin/go; }
}
