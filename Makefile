# SPDX-License-Identifier: Apache-2.0
# Tarn's build. `make` alone says what there is to make; everything it makes goes to build/.
#
#   build/gen       C generated from proto/tarn/store/v1        build/{release,asan,tsan,preempt}  objects and C test programs
#   build/lib       libtarn.a, libtarn.so                       build/bin                  tarn, tarn-gateway, example-*
#   build/go.env    what a `go` command needs to know (see the rule), read by every go command below
#   build/tools     buf and the protoc plugins                  build/venv                 Python with grpcio, mypy
#   build/log       what each test suite printed               build/bench                data of make bench; build/bench.svg its plot
#   build/clients   clients in other languages, as make test-clients builds them
#   build/bench-go  data of make bench-go; build/bench-go.svg its plot
#
# `make lib DEPS=` builds the C library without looking for packages.

VERSION := $(shell awk '/define TARN_VERSION_M|define TARN_VERSION_P/ { printf "%s%s", dot, $$3; dot = "." }' c/include/tarn/types.h)
SONAME  := libtarn.so.$(firstword $(subst ., ,$(VERSION)))
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS  ?= -O2 -g
WERROR  ?= -Werror
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DEPS    ?= build/deps.ok
SEED    ?= 1
N       ?= 20000
MAKEFLAGS += --no-builtin-rules -j$(shell nproc 2>/dev/null || echo 2)
Q       := $(if $(V),,@)

# What the C library is made of, and the flags that all of it shares.
LIBS     := -luring -luuid -lprotobuf-c -lxxhash -lpthread
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -Ic/include -Ibuild/gen
BASE     := -std=c11 -fPIC -fvisibility=hidden -MMD -MP
release_FLAGS := $(CFLAGS)
# -w: sanitizers make gcc warn of what is not there; the release objects are where warnings count.
asan_FLAGS    := -w -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
tsan_FLAGS    := -w -O1 -g -fno-omit-frame-pointer -fsanitize=thread
# Threads stop anywhere (c/test/preempt.c).
preempt_FLAGS := -w -O2 -g -fsanitize-coverage=trace-pc
preempt_WITH  := build/preempt/test/preempt.o
VARIANTS      := release asan tsan preempt
# Tests that make allocations fail take those of the library over when they are linked.
test_sweep_LINK := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=mmap,--wrap=mremap,--wrap=free
test_api_dev_memory_LINK := $(test_sweep_LINK)

HEADERS  := $(wildcard c/include/tarn/*.h)
PROTOS   := $(wildcard proto/tarn/store/v1/*.proto)
GEN_C    := $(PROTOS:proto/%.proto=build/gen/%.pb-c.c)
SRCS     := $(sort $(shell find c/src -name '*.c'))
TESTS    := $(basename $(notdir $(wildcard c/test/test_*.c)))
EXAMPLES := $(basename $(notdir $(wildcard c/examples/*.c)))
PROGRAMS := build/bin/tarn build/bin/tarn-gateway $(EXAMPLES:%=build/bin/example-%)
LIBRARY  := build/lib/libtarn.a build/lib/libtarn.so
CRASH    := $(basename $(notdir $(wildcard c/test/crash*.c)))
FUZZ     := $(patsubst c/fuzz/fuzz_%.c,%,$(wildcard c/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
TERMS ?= 1000
KILLS ?= 200
ROTATIONS ?= 200
HISTORIES ?= 400
NVME_TESTS := test_nvme test_nvme_zones test_nvme_decode test_api_dev test_api_dev_queue
NVME_VARIANT ?= release
PREEMPTED := test_async test_defer test_filter test_history test_late test_seek_threads test_store_threads
TEST_PROGRAMS := $(foreach v,release asan tsan,$(TESTS:%=build/$(v)/test/%)) $(PREEMPTED:%=build/preempt/test/%) build/release/test/crash build/asan/test/crash
GO       := . build/go.env && go

.PHONY: help deps deps-browser all lib proto proto-accept run demo test test-c test-go test-asan test-tsan test-preempt test-race test-crash test-clients test-nvme fuzz soak prove-memory prove-tests fmt check bench bench-dev bench-go bench-cgo bench-overload test-bench-go install clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

deps: ## install what is missing to build and test (Debian packages by name, with sudo when not root)
	@.ci/deps.sh

deps-browser: ## install Debian's chromium, in which the gateway's status page is tested; without it that test is skipped
	@.ci/deps.sh browser

all: lib $(PROGRAMS) ## build the library, the programs and the examples

lib: $(LIBRARY) build/lib/tarn.pc ## build libtarn, shared and static

run: all ## create a pool if there is none, start the gateway, say what to try next
	@.ci/run.sh

demo: all ## the tour of the README, from an empty directory to a copy of /usr/include, on its own
	@.ci/demo.sh

test: all $(TEST_PROGRAMS) build/venv/ok ## run every test; the last line counts what passed and failed
	@tests/run

test-c: $(TESTS:%=build/release/test/%) ## the C tests
	@tests/run c

test-go: all build/venv/ok ## the Go tests
	@tests/run go

test-asan: $(TESTS:%=build/asan/test/%) build/asan/test/crash ## the C tests under the address and undefined-behaviour sanitizers
	@tests/run asan

test-tsan: $(TESTS:%=build/tsan/test/%) ## the C tests under the thread sanitizer
	@tests/run tsan

test-preempt: $(PREEMPTED:%=build/preempt/test/%) ## the C tests with many threads, which stop between any two basic blocks: EVERY=400 of them, MS=60000 for each of test_seek_threads
	@tests/run preempt

test-race: all ## the Go tests under the race detector
	@tests/run race

test-crash: build/release/test/crash ## power cuts on a simulated disk: SEED=1 N=20000
	build/release/test/crash $(SEED) $(N)

test-clients: build/bin/tarn build/bin/tarn-gateway build/venv/ok ## conformance vectors through Go, Python, Node, Java and Rust, and their examples (.ci/deps.sh clients): LANGUAGES="node rust"
	@build/venv/bin/python tests/clients/run.py $(LANGUAGES)

test-nvme: $(NVME_TESTS:%=build/$(NVME_VARIANT)/test/%) ## the device tests on emulated NVMe in a virtual machine: NVME_VARIANT=asan, SUITES="generic zoned"
	@VARIANT=$(NVME_VARIANT) tests/nvme/run.py $(SUITES)

fuzz: build/go.env ## libFuzzer on everything that is read from a disk, Go's on all that a gateway is sent: FUZZ_SECONDS=60 for each target
	@.ci/fuzz.sh "$(FUZZ)" $(FUZZ_SECONDS); c=$$?; .ci/fuzz-go.sh $(FUZZ_SECONDS) && exit $$c

soak: all ## what make test does a few times, by the hundred: TERMS=1000 KILLS=200 ROTATIONS=200 HISTORIES=400
	$(Q)$(GO) test -count=1 -v -timeout 6h -run 'TestSiege$$' ./tests/kill -terms $(TERMS) -kills $(KILLS)
	$(Q)$(GO) test -count=1 -v -timeout 6h ./tests/linear -rounds $(HISTORIES)
	$(Q)$(GO) test -count=1 -v -timeout 6h -run 'TestRotations$$' ./cmd/gateway/internal/server -rotations $(ROTATIONS)

# ---- the library ----

build/deps.ok: .ci/deps.sh go.mod
	$(Q).ci/deps.sh && mkdir -p build && touch $@

build/gen/%.pb-c.c build/gen/%.pb-c.h: proto/%.proto | $(DEPS)
	@mkdir -p build/gen
	$(Q)protoc-c -Iproto --c_out=build/gen $<

# How things are compiled, and what of: other flags compile everything again, and a source that is gone is gone from the libraries.
build/flags: HOW = $(CC) $(BASE) $(WARN) $(CPPFLAGS) $(foreach v,$(VARIANTS),$($(v)_FLAGS)) $(LDFLAGS)
build/sources: HOW = $(SRCS) $(GEN_C)
build/flags build/sources: FORCE
	@mkdir -p build; echo '$(HOW)' | cmp -s - $@ || echo '$(HOW)' > $@

# One set of objects for each variant: release (PIC, for both libraries), asan, tsan.
define variant_rules
$(1)_OBJS := $(SRCS:c/src/%.c=build/$(1)/obj/%.o) $(GEN_C:build/gen/%.c=build/$(1)/gen/%.o)

build/$(1)/obj/%.o: c/src/%.c build/flags | $(GEN_C) $(DEPS)
	@mkdir -p $$(@D); echo "CC    $$@"
	$(Q)$(CC) $(BASE) $(WARN) $(CPPFLAGS) $$($(1)_FLAGS) -c -o $$@ $$<

build/$(1)/gen/%.o: build/gen/%.c build/flags
	@mkdir -p $$(@D); echo "CC    $$@"
	$(Q)$(CC) $(BASE) $(CPPFLAGS) $$($(1)_FLAGS) -c -o $$@ $$<

# Tests and crash programs link the static library, so they may use internal headers.
build/$(1)/test/%.o: c/test/%.c build/flags | $(GEN_C) $(DEPS)
	@mkdir -p $$(@D); echo "CC    $$@"
	$(Q)$(CC) $(BASE) $(WARN) $(CPPFLAGS) $$($(1)_FLAGS) -c -o $$@ $$<

build/$(1)/libtarn.a: $$($(1)_OBJS) build/sources
	@echo "AR    $$@"
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$($(1)_OBJS)

build/$(1)/test/test_%: build/$(1)/test/test_%.o $$($(1)_WITH) build/$(1)/libtarn.a
	@echo "LINK  $$@"
	$(Q)$(CC) $$($(1)_FLAGS) $(LDFLAGS) $$($$(@F)_LINK) -o $$@ $$^ -lcmocka $$(LIBS)

build/$(1)/test/crash: $(CRASH:%=build/$(1)/test/%.o) $$($(1)_WITH) build/$(1)/libtarn.a
	@echo "LINK  $$@"
	$(Q)$(CC) $$($(1)_FLAGS) $(LDFLAGS) -o $$@ $$^ $(LIBS)
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))
$(VARIANTS:%=build/%/test/test_bench): LIBS += -lm

# The library that is installed and that Go links is one object, whose inner names are hidden from the linker too.
build/lib/libtarn.a: $(release_OBJS) build/sources
	@mkdir -p $(@D); echo "AR    $@"
	$(Q)$(LD) -r -o build/release/tarn.o $(release_OBJS) && objcopy --localize-hidden build/release/tarn.o
	$(Q)rm -f $@ && $(AR) rcs $@ build/release/tarn.o

build/lib/libtarn.so.$(VERSION): $(release_OBJS) c/libtarn.map build/sources
	@mkdir -p $(@D); echo "LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=c/libtarn.map -Wl,-z,defs -o $@ $(release_OBJS) $(LIBS)

build/lib/libtarn.so: build/lib/libtarn.so.$(VERSION)
	$(Q)ln -sf $(<F) build/lib/$(SONAME) && ln -sf $(SONAME) $@

# Of PREFIX and LIBDIR, which may differ from one call to the next.
build/lib/tarn.pc: FORCE c/tarn.pc.in
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' c/tarn.pc.in > $@

build/bin/example-%: c/examples/%.c build/lib/libtarn.a build/flags
	@mkdir -p $(@D); echo "LINK  $@"
	$(Q)$(CC) -std=c11 $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF build/release/example-$*.d $(LDFLAGS) -o $@ $< build/lib/libtarn.a $(LIBS)

-include $(shell find build/release build/asan build/tsan build/preempt -name '*.d' 2>/dev/null)

# ---- Go ----

# go does not see that the library or its headers changed: it would keep an old binary and print an old test result as cached. So
# CGO_CFLAGS carries a hash of them. For go by hand: `. build/go.env` first. The file changes only when what it says does.
build/go.env: FORCE build/lib/libtarn.a | $(DEPS)
	$(Q).ci/go-env.sh > $@.new
	$(Q)if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

build/bin/tarn: FORCE build/go.env
	$(Q)$(GO) build -buildvcs=false -o $@ ./cmd/tarn

build/bin/tarn-gateway: FORCE build/go.env
	$(Q).ci/rules.sh
	$(Q)$(GO) build -buildvcs=false -o $@ ./cmd/gateway

FORCE:

# ---- tools ----

# buf and the plugins are built from source, pinned; protoc-gen-go is of the protobuf version in go.mod, and those of grpc-gateway of its.
BUF     := github.com/bufbuild/buf/cmd/buf@v1.57.2
TOOL_GO := eval "$$(.ci/go-env.sh)" && go
GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0
GATEWAY := github.com/grpc-ecosystem/grpc-gateway/v2
GO_HTTP := $(addsuffix @$(shell awk '$$1 == "$(GATEWAY)" { print $$2 }' go.mod),$(GATEWAY)/protoc-gen-grpc-gateway $(GATEWAY)/protoc-gen-openapiv2)
VULN    := golang.org/x/vuln/cmd/govulncheck@v1.7.0

build/tools/ok: go.mod Makefile | $(DEPS)
	@mkdir -p $(@D); echo "TOOLS buf, protoc-gen-go, -go-grpc, -grpc-gateway, -openapiv2 (the first time this takes minutes)"
	$(Q)$(TOOL_GO) build -o $(@D)/ google.golang.org/protobuf/cmd/protoc-gen-go
	$(Q)export GOBIN=$(CURDIR)/$(@D); $(TOOL_GO) install $(GO_GRPC) && go install $(GO_HTTP) && go install $(BUF)
	@touch $@

build/venv/ok: tests/python/requirements.txt | $(DEPS)
	@echo "VENV  $(@D)"
	$(Q)python3 -m venv build/venv && build/venv/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

proto: build/tools/ok build/venv/ok ## regenerate go/api/v1, the routes of HTTP and the Python stubs from proto/, the Python bindings from the C headers
	eval "$$(.ci/go-env.sh)" && PATH=$(CURDIR)/build/tools:$$PATH buf generate
	python3 .ci/openapi.py build/openapi.swagger.json cmd/gateway/internal/web/openapi.json
	.ci/python-stubs.sh clients/python
	python3 clients/python/gen/generate.py

proto-accept: build/tools/ok ## take the contract in proto/ as what later changes must not break (a release does)
	PATH=$(CURDIR)/build/tools:$$PATH buf build -o proto/tarn.v1.binpb --path proto/tarn/v1

# Both work on files of some GiB, or for most of an hour, and need nothing but the library.
build/release/test/prove_memory: build/release/test/prove_memory.o build/release/libtarn.a
	@echo "LINK  $@"
	$(Q)$(CC) $(release_FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

prove-memory: build/release/test/prove_memory ## 20 million records, kill -9 and a sparse pool of 100 GiB within a budget of 256 MiB: ARGS="DIR RECORDS BUDGET_MIB SEED"
	@mkdir -p build/prove && $< $(or $(ARGS),build/prove)

ENGINE_TESTS := log record space node node_bad value store store_check store_rot media async defer spill relaxed watch store_threads seek_threads log_crash sweep

ENGINE_TESTS += store_map api_full api_batch finger ahead rows filter defer_damage
prove-tests: $(ENGINE_TESTS:%=build/release/test/test_%) build/release/test/crash build/preempt/test/test_seek_threads ## plant each bug of c/test/planted into the engine: which test catches it? BUGS="log-flush-skipped", BUGS=--full
	@CC="$(CC)" CFLAGS="$(release_FLAGS)" LIBS="$(LIBS)" WRAP="$(test_sweep_LINK)" tests/planted/run.py $(BUGS)

fmt: ## format C and Go
	find c -name '*.[ch]' -exec clang-format -i {} +
	$(GO) fmt ./...

build/tools/govulncheck: Makefile | $(DEPS)
	@mkdir -p $(@D); echo "TOOLS govulncheck"
	$(Q)export GOBIN=$(CURDIR)/$(@D); $(TOOL_GO) install $(VULN)
	@touch $@

check: all build/tools/ok build/tools/govulncheck build/venv/ok ## formatters, linters, go vet, govulncheck, buf lint, stale generated code
	@.ci/check.sh

# RocksDB and LMDB are needed for this only.
BENCH_DEPS := $(if $(DEPS),build/bench-deps.ok)
BENCH_OBJS := $(patsubst c/bench/%,build/release/bench/%.o,$(wildcard c/bench/*.c c/bench/*.cc))
BENCH_LIBS := -lrocksdb -llmdb -luring -lm -lpthread
CXX_WARN   := $(filter-out -Wstrict-prototypes,$(WARN))

build/bench-deps.ok: .ci/deps.sh | $(DEPS)
	$(Q).ci/deps.sh bench && mkdir -p build && touch $@

build/release/bench/%.c.o: c/bench/%.c build/flags | $(BENCH_DEPS)
	@mkdir -p $(@D); echo "CC    $@"
	$(Q)$(CC) -std=c11 -MMD -MP $(WARN) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

build/release/bench/%.cc.o: c/bench/%.cc build/flags | $(BENCH_DEPS)
	@mkdir -p $(@D); echo "CXX   $@"
	$(Q)$(CXX) -std=c++20 -MMD -MP $(CXX_WARN) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

build/release/bench/bench: $(BENCH_OBJS) build/lib/libtarn.a
	@echo "LINK  $@"
	$(Q)$(CXX) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(BENCH_LIBS)

bench: build/release/bench/bench ## Tarn beside RocksDB and LMDB: ARGS="-s L", ARGS=-h (docs/benchmarks.md)
	@build/release/bench/bench -p build/bench.svg $(ARGS)

build/release/bench/dev: c/bench/dev/dev.c build/lib/libtarn.a build/flags | $(BENCH_DEPS)
	@mkdir -p $(@D); echo "LINK  $@"
	$(Q)$(CC) -std=c11 $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< build/lib/libtarn.a $(LIBS)

bench-dev: build/release/bench/dev build/bin/tarn ## device I/O beside fio: ARGS="-r 5 -o json", ARGS=-h
	@tests/bench-dev $(ARGS)

# A module of its own, so that bbolt, Badger and Pebble are not dependencies of Tarn. The first time they are downloaded and built.
BENCH_GO := . ../../build/go.env && go

build/bin/bench-go: FORCE build/go.env
	$(Q)cd tests/bench-go && $(BENCH_GO) build -buildvcs=false -o ../../$@ .

bench-go: build/bin/bench-go ## Tarn's Go package beside bbolt, Badger and Pebble: ARGS="-rows 'get-*'", ARGS=-h (docs/benchmarks.md)
	@build/bin/bench-go -p build/bench-go.svg $(ARGS)

test-bench-go: build/go.env ## each row of make bench-go on each engine for a moment, and the tests of its harness
	$(Q)cd tests/bench-go && $(BENCH_GO) vet ./... && go test -count=1 ./...

build/release/bench/calls: c/bench/calls/calls.c build/lib/libtarn.a build/flags
	@mkdir -p $(@D); echo "LINK  $@"
	$(Q)$(CC) -std=c11 $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF build/release/bench/calls.d $(LDFLAGS) -o $@ $< build/lib/libtarn.a $(LIBS)

build/bin/overload: FORCE build/go.env
	$(Q)$(GO) build -buildvcs=false -o $@ ./tests/overload

bench-overload: build/bin/overload build/bin/tarn-gateway ## a gateway under more than it can carry, and under attack: ARGS="-parts attacks", ARGS=-h (docs/benchmarks.md)
	@build/bin/overload $(ARGS)

build/bin/bench-cgo: FORCE build/go.env
	$(Q)$(GO) build -buildvcs=false -o $@ ./tests/bench-cgo

bench-cgo: build/release/bench/calls build/bin/bench-cgo ## what a call from Go costs more than in C when the cache answers it: ARGS=-h (docs/benchmarks.md)
	@build/bin/bench-cgo $(ARGS)

install: all ## install under PREFIX=/usr/local (and DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include/tarn $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 755 build/bin/tarn build/bin/tarn-gateway $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(HEADERS) $(DESTDIR)$(PREFIX)/include/tarn
	install -m 644 build/lib/libtarn.a $(DESTDIR)$(LIBDIR)
	install -m 755 build/lib/libtarn.so.$(VERSION) $(DESTDIR)$(LIBDIR)
	ln -sf libtarn.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libtarn.so
	install -m 644 build/lib/tarn.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

clean: ## remove build/
	rm -rf build
