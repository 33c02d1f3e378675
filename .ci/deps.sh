#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing to build and test Tarn: Debian packages by name, and Go. Changes nothing when nothing is missing.
# deps.sh browser: also the browser in which the gateway's page is tested.
# deps.sh clients: also Node, Java, Maven and Rust, for `make test-clients`: each only where its program is missing.
# deps.sh bench: also what it is compared with in `make bench`, `make bench-dev` and `tarn bench gateway --peers`. Where an init runs,
# Debian starts the servers among it, which the benchmark has no need of: it starts its own.
set -eu
cd "$(dirname "$0")/.."
. .ci/go-version.sh

packages="
gcc g++ clang make pkg-config binutils
liburing-dev uuid-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libxxhash-dev libcmocka-dev
python3 python3-venv ca-certificates curl
clang-format cppcheck shellcheck"
[ "${1:-}" != browser ] || packages="$packages chromium"
[ "${1:-}" != bench ] || packages="$packages librocksdb-dev liblmdb-dev fio etcd-server redis-server"

missing_packages() {
	for p in $packages; do
		echo "$p"
	done | sort >"$tmp/wanted"
	dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u >"$tmp/there"
	comm -23 "$tmp/wanted" "$tmp/there"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "deps: not root, and there is no sudo: run as root: $*" >&2
		return 1
	fi
}

apt_install() {
	echo "deps: installing $*"
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# A Go that is new enough, or new enough to fetch what go.mod asks for by itself, or one that is fetched here with Debian's: as a
# module, checked against the checksum database. Files of a module lose their executable bit.
install_go() {
	have_go 1.21 && return
	find_old_go >/dev/null || apt_install golang-go
	have_go 1.21 && return
	dir=$(go_toolchain_dir)
	[ -x "$dir/bin/go" ] && return
	echo "deps: fetching Go $GO_WANTED"
	(cd "$tmp" && GOFLAGS=-modcacherw "$(find_old_go)" mod download "golang.org/toolchain@$(echo "$dir" | sed 's/.*@//')")
	chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/*
	"$dir/bin/go" version
}

# CPython's tests of mappings, which tests/python also runs on Tarn's dictionaries. Debian has them in a package of their own.
install_python_tests() {
	python3 -c 'import test.mapping_tests' 2>/dev/null ||
		apt_install "libpython$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-testsuite" ||
		echo "deps: this Python comes without test.mapping_tests: what needs it is skipped"
}

# Programs rather than packages: many have these from elsewhere than Debian. Debian 12 has a Rust that is new enough beside its own.
install_clients() {
	clients=
	command -v node >/dev/null || clients="$clients nodejs"
	command -v npm >/dev/null || clients="$clients npm"
	command -v javac >/dev/null || clients="$clients default-jdk-headless"
	command -v mvn >/dev/null || clients="$clients maven"
	have_rust 1.85 || clients="$clients $(rust_package)"
	# shellcheck disable=SC2086  # one word a package
	[ -z "$clients" ] || apt_install $clients
}

have_rust() {
	command -v cargo >/dev/null && printf '%s\n' "$1" "$(cargo --version | cut -d' ' -f2)" | sort -V -C
}

rust_package() {
	case $(apt-cache policy cargo | sed -n 's/ *Candidate: //p') in
	0.* | "") echo cargo-web ;;
	*) echo cargo ;;
	esac
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! command -v dpkg-query >/dev/null; then
	echo "deps: this is not Debian: install what these packages hold, and Go $GO_WANTED: $(echo "$packages" | tr '\n' ' ')"
	exit 0
fi
missing=$(missing_packages)
# shellcheck disable=SC2086  # one word a package
[ -z "$missing" ] || apt_install $missing
install_python_tests
install_go
[ "${1:-}" != clients ] || install_clients
echo "deps: all there. Beside Debian's packages the build fetches Go modules, and grpcio for Python into build/venv."
