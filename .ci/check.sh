#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make check` runs: formatters, linters and stale generated code. All of it runs; the exit status is 1 when one found something.
# shellcheck disable=SC2317  # functions are called by check()
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=/dev/null
. build/go.env
PATH=$PWD/build/tools:$PATH
bad=0

check() {
	name=$1
	shift
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		echo "ok    $name"
	else
		echo "BAD   $name"
		echo "$out" | head -40 | sed 's/^/      /'
		bad=1
	fi
}

# Versions of clang-format differ; the tree is formatted with Debian 12's.
c_format() {
	case $(clang-format --version) in
	*"version 14."*) find c -name "*.[ch]" -exec clang-format --dry-run --Werror {} + 2>&1 | sed -n 's/^\([^:]*\):.*error:.*/\1: make fmt/p' | sort -u ;;
	*) echo "      (clang-format is not version 14: C formatting is not checked)" >&3 ;;
	esac
}

c_warnings() {
	find c/src c/examples c/fuzz -name '*.c' -print0 | xargs -0 -P 2 -n 8 clang -std=c11 -D_GNU_SOURCE -Ic/include -Ibuild/gen -fsyntax-only \
		-Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
}

c_lint() {
	cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,performance,portability --inline-suppr -j 2 \
		--suppress=normalCheckLevelMaxBranches --suppress=legacyUninitvar -Ic/include c/src
}

spdx() {
	find c go cmd proto clients tests .ci Makefile buf.yaml -type d \( -name node_modules -o -name target \) -prune -o \( -name '*.[ch]' -o -name '*.go' -o -name '*.proto' -o -name '*.py' \
		-o -name '*.sh' -o -name Makefile -o -name '*.yaml' -o -name '*.ts' -o -name '*.java' -o -name '*.rs' \) ! -name '*.pb.go' ! -name '*.pb.gw.go' ! -name '*_pb2*.py' -type f -print |
		while read -r file; do
			head -3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file: no SPDX line"
		done
}

# Generated code in the tree is what its sources generate.
generated() {
	tmp=$(mktemp -d) && buf generate -o "$tmp" 2>&1 && diff -r "$tmp/go/api/v1" go/api/v1 &&
		diff -r "$tmp/cmd/gateway/internal/web/routes" cmd/gateway/internal/web/routes &&
		python3 .ci/openapi.py "$tmp/build/openapi.swagger.json" "$tmp/openapi.json" && diff "$tmp/openapi.json" cmd/gateway/internal/web/openapi.json &&
		.ci/python-stubs.sh "$tmp" &&
		diff -r -x __init__.py -x __pycache__ "$tmp/tarn/v1" clients/python/tarn/v1
	status=$?
	rm -rf "$tmp"
	return "$status"
}

go_plain() { # what must build without cgo
	CGO_ENABLED=0 go build ./go/client/... ./go/errno/... ./go/system/... ./go/api/...
}

python_types() {
	(cd clients/python && ../../build/venv/bin/python -m mypy --no-error-summary --cache-dir ../../build/mypy)
}

# What is known of the modules and the standard library that the programs call. It asks vuln.go.dev: when that cannot be reached nothing
# is known, and this says so instead of "ok".
known_defects() {
	out=$(govulncheck ./... 2>&1)
	case $?:$out in
	0:*) echo "ok    govulncheck" ;;
	[!3]:*vuln.go.dev*)
		echo "SKIP  govulncheck: known defects of what the programs call were NOT looked for, as vuln.go.dev cannot be reached"
		echo "$out" | tail -2 | sed 's/^/      /'
		;;
	*)
		echo "BAD   govulncheck"
		echo "$out" | head -40 | sed 's/^/      /'
		bad=1
		;;
	esac
}

exec 3>&1
check "C format" c_format
check "C warnings (clang)" c_warnings
check "C lint (cppcheck)" c_lint
check "Go format" gofmt -l go cmd tests clients/vectors
check "go vet" go vet ./...
check "Go without cgo" go_plain
known_defects
check "buf lint" buf lint
check "buf breaking" buf breaking --against proto/tarn.v1.binpb
check "Python types (mypy --strict)" python_types
check "generated code is fresh" generated
check "Python bindings are fresh" python3 clients/python/gen/generate.py --check
check "shell" shellcheck .ci/*.sh .ci/run
check "SPDX lines" spdx
exit $bad
