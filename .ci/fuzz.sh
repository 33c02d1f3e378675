#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# .ci/fuzz.sh "TARGET..." SECONDS: builds the fuzz targets of c/fuzz and runs each of them, one after the other. New inputs that reach
# further go to build/fuzz/corpus/TARGET, what fails to build/fuzz/TARGET-*; replay it with build/fuzz/TARGET FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=$1 seconds=$2
compiler=${FUZZ_CC:-clang}
if ! echo 'int LLVMFuzzerTestOneInput(const char *at, unsigned long n) { return !at && n; }' |
	"$compiler" -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null; then
	echo "make fuzz needs clang with libFuzzer, and there is none: apt-get install clang libclang-rt-dev, or FUZZ_CC=clang-14" >&2
	exit 1
fi
flags=(-std=c11 -D_GNU_SOURCE -Ic/include -O1 -g -w -fno-omit-frame-pointer -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all)

# All of base, device and store but the checksums, which each target brings itself.
mkdir -p build/fuzz/obj
for source in c/src/base/*.c c/src/device/*.c c/src/store/*.c; do
	[ "$source" = c/src/base/hash.c ] && continue
	"$compiler" "${flags[@]}" -fsanitize=fuzzer-no-link -c "$source" -o "build/fuzz/obj/${source//\//_}.o"
done
rm -f build/fuzz/lib.a && ar rcs build/fuzz/lib.a build/fuzz/obj/*.o

failed=0
for target in $targets; do
	"$compiler" "${flags[@]}" -fsanitize=fuzzer -o "build/fuzz/$target" "c/fuzz/fuzz_$target.c" build/fuzz/lib.a -luring -luuid -lxxhash -lpthread
	mkdir -p "build/fuzz/corpus/$target"
	log=build/fuzz/$target.log
	if nice "build/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=32768 \
		-artifact_prefix="build/fuzz/$target-" "build/fuzz/corpus/$target" "c/fuzz/corpus/$target" >"$log" 2>&1; then
		echo "fuzz $target: $(grep '^Done' "$log")"
	else
		tail -40 "$log"
		echo "fuzz $target: FAILED, see $log"
		failed=1
	fi
done
exit $failed
