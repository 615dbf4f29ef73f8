# Builds luaqueduct, tests it and installs it. `make help` lists the targets.
#
# A build is a variant in a folder of its own: plain (build/), debug, asan,
# tsan, allocfail, clang and fuzz (build/<variant>/). Objects stand in <folder>/obj, what
# only the specs load in <folder>/spec. Sources are listed by hand, so that
# adding a file is a visible act.

VARIANT ?= plain
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
OUT := $(BUILD)$(if $(filter-out plain,$(VARIANT)),/$(VARIANT))

# ---- what it needs from Debian 12: each named once -------------------------

JSON_LIB := yajl
PG_LIB := libpq
BUILD_DEPS := gcc libc6-dev pkg-config libuv1-dev liblua5.4-dev \
    lib$(JSON_LIB)-dev $(PG_LIB)-dev libssl-dev zlib1g-dev $(if $(SYSTEM_LLHTTP),,node-llhttp)
TEST_DEPS = clang libclang-rt-dev clang-format curl lua-busted lua-check \
    lua-socket lua5.4 luarocks pgbouncer postgresql-15 strace systemd chromium \
    python3-websockets $(NODE_DEPS)
BENCH_DEPS = wrk libnginx-mod-http-lua lua-cjson lua-socket lua5.4 erlang-base \
    golang-go golang-github-jackc-pgx-v4-dev postgresql-15 strace \
    $(NODE_DEPS)
# Node may be here from elsewhere, and then npm with it.
NODE_DEPS = $(if $(shell command -v node 2>/dev/null),,nodejs) \
    $(if $(shell command -v npm 2>/dev/null),,npm)

# llhttp: the system's library where there is one, else its C sources.
SYSTEM_LLHTTP := $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes)
LLHTTP_SRC_DIR := /usr/share/llhttp
LLHTTP_INC_DIR := /usr/share/include/llhttp

# ---- sources ---------------------------------------------------------------

BASE_SRC := $(addprefix core/base/, broken.c err.c mem.c buf.c arena.c utf8.c \
    number.c address.c)
# What of room `http` matches routes: plain Lua can load it.
ROUTE_SRC := $(addprefix core/http/, method.c url.c pattern.c syntax.c tree.c \
    route.c)
HTTP_SRC := $(ROUTE_SRC) $(addprefix core/http/, request.c members.c forwarded.c parse.c \
    response.c ws_frame.c ws_deflate.c ws_decoder.c ws_handshake.c)
LOOP_SRC := $(addprefix core/loop/, timers.c wheel.c loop.c mailbox.c thread.c)
# What of room `log` starts no thread.
LOG_PURE_SRC := $(addprefix core/log/, level.c record.c cut.c escape.c \
    render.c queue.c log.c sink.c say.c)
LOG_SRC := $(LOG_PURE_SRC) core/log/writer.c
HUB_SRC := $(addprefix core/hub/, batch.c inbox.c topics.c names.c outbox.c hub.c)
PG_SRC := $(addprefix core/pg/, sql.c statement.c query.c pieces.c url.c \
    lookup.c cancel.c watch.c opening.c plain.c steps.c giveup.c pgconn.c \
    ops.c line.c tidy.c pool.c keeper.c remote.c version.c)
# What of room `net` has no socket.
NET_PURE_SRC := core/net/framing.c
NET_SRC := $(NET_PURE_SRC) $(addprefix core/net/, net.c listener.c conn.c exchange.c \
    access.c transport.c wire.c dial.c session.c audience.c encoding.c \
    tcp.c websocket.c)
# What of room `lua` needs no task and no worker: plain Lua can load it.
LUA_PURE_SRC := $(addprefix core/lua/, json.c json_decode.c keypath.c bufbox.c \
    pack.c error.c dump.c fields.c lib_fields.c lib_folder.c lib_json.c lib_pack.c lib_router.c lib_url.c lib_core.c)
LUA_SRC := $(LUA_PURE_SRC) $(addprefix core/lua/, alloc.c interrupt.c trace.c vm.c \
    task.c app.c code.c lib_source.c reply.c dispatch.c lib_task.c lib_coroutine.c lib_request.c client.c \
    headers.c pairs.c body.c lib_stream.c lib_log.c lib_instance.c subscription.c call_wire.c calls.c answers.c lib_hub.c lib_service.c \
    duplex.c lib_tcp.c args.c publish.c connection.c connection_spec.c lib_connection.c listening.c lib_websocket.c \
    pgtype.c pgarray.c pgvalue.c dbquery.c dbsession.c dbstream.c dbcopy.c dbnotes.c lib_db.c libs.c)
# What of room `run` starts no thread.
RUN_PURE_SRC := $(addprefix core/run/, option_table.c option_value.c \
    options.c option_help.c migrate_args.c cpus.c listen_url.c tcp_socket.c \
    sockets.c keep.c ask.c paths.c)
RUN_SRC := $(RUN_PURE_SRC) $(addprefix core/run/, initialize.c spread.c worker.c \
    ending.c roster.c relief.c clients.c pools.c ports.c doors.c front.c \
    watchdog.c crew.c generation.c services.c succession.c supervisor.c news.c \
    notify.c activation.c descriptors.c guard.c step.c routes.c migrate.c main.c)
LLHTTP_SRC := $(if $(SYSTEM_LLHTTP),,api.c http.c llhttp.c)
# Shows the thread sanitizer what libuv and Lua hide from it.
TSAN_SRC := $(if $(filter tsan,$(VARIANT)),\
    spec/support/tsan_close.c spec/support/tsan_jump.c)
# Stands in front of base/mem.h: allocations fail as a spec has planned.
ALLOCFAIL_SRC := $(if $(filter allocfail,$(VARIANT)),spec/support/alloc_fail.c)

# luaqueduct.core for plain Lua: no thread, no socket, no loop.
MODULE_SRC := $(BASE_SRC) $(ROUTE_SRC) core/log/cut.c core/log/escape.c \
    $(LUA_PURE_SRC)
CORE_SRC := $(BASE_SRC) $(HTTP_SRC) $(LOOP_SRC) $(LOG_SRC) $(HUB_SRC) $(NET_SRC) \
    $(PG_SRC) $(LUA_SRC) $(RUN_SRC)
SPEC_LIB_SRC := $(addprefix spec/c/, lib_http.c lib_ws.c lib_forwarded.c lib_run.c \
    lib_log.c lib_proc.c)
SPEC_SO_SRC := $(BASE_SRC) $(HTTP_SRC) $(LOG_PURE_SRC) $(NET_PURE_SRC) $(LUA_PURE_SRC) $(RUN_PURE_SRC) \
    $(SPEC_LIB_SRC)
C_TESTS := base timers wheel loop mailbox log hub alloc ports
LOAD_SRC := $(addprefix spec/c/, load.c load_plans.c load_garbage.c load_pulse.c \
    load_busy.c load_steady.c load_soak.c)
# Each is spec/fuzz/fuzz_<name>.c and links all that is pure.
FUZZ_TARGETS := head body forwarded router url json pack ws ws_handshake framing
FUZZ_SRC := $(addprefix spec/fuzz/, http_oracle.c reading.c pattern_oracle.c \
    route_oracle.c json_oracle.c lua_state.c pack_oracle.c ws_oracle.c)
FUZZ_PURE_SRC := $(BASE_SRC) $(HTTP_SRC) $(NET_PURE_SRC) $(addprefix core/lua/, alloc.c json.c \
    json_decode.c keypath.c pack.c)

obj = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
LLHTTP_OBJ := $(patsubst %.c,$(OUT)/obj/llhttp/%.o,$(LLHTTP_SRC))

# ---- flags -----------------------------------------------------------------

ifeq ($(origin CC),default)
CC := $(if $(filter tsan clang fuzz,$(VARIANT)),clang,gcc)
endif

comma := ,
# The flag, when this compiler for this machine knows it.
if_known = $(shell $(CC) -Werror $(1) -E -x c /dev/null >/dev/null 2>&1 && echo '$(1)')

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
    -Wmissing-prototypes -Wvla -Werror
# Link-time optimisation takes an eighth off a request's user time. What gcc
# does else to clear a hundred bytes (rep stos) takes longer than a loop.
FLAGS_plain := -O3 -g -flto=auto -fno-plt \
    $(call if_known,-mmemset-strategy=unrolled_loop:256:noalign$(comma)libcall:-1:noalign)
FLAGS_clang := -O2 -g
FLAGS_debug := -O0 -g -DLQ_DEBUG
FLAGS_asan := -O1 -g -DLQ_DEBUG -fno-omit-frame-pointer \
    -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -g -DLQ_DEBUG -fno-omit-frame-pointer -fsanitize=thread
FLAGS_allocfail := $(FLAGS_asan)
FLAGS_fuzz := -O1 -g -DLQ_DEBUG -fno-omit-frame-pointer \
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

LDFLAGS_allocfail := $(foreach name,alloc zalloc realloc aligned strndup,\
    -Wl$(comma)--wrap=lq_mem_$(name))

# The first name that pkg-config knows; Lua's differs between systems.
LUA_PC := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua,\
    $(shell pkg-config --exists $(name) 2>/dev/null && echo $(name))))
# One name a line for pkg-config: a library that is absent stops the build.
PACKAGES := $(or $(LUA_PC),lua5.4) libuv $(JSON_LIB) $(PG_LIB) libcrypto zlib \
    $(if $(SYSTEM_LLHTTP),libllhttp)
# Asked once, when first used: `make deps` runs before pkg-config is there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(patsubst -I%,-isystem %,$$(shell \
    pkg-config --cflags $$(PACKAGES))))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell \
    pkg-config --libs $$(PACKAGES)))$(PKG_LIBS)

# What LuaRocks is told to compile with, but for what it says by itself.
ROCK_CFLAGS =
# -fPIC: the objects of the program are those of the specs' shared object.
BASE_CFLAGS = -std=c11 -fPIC -fno-semantic-interposition -pthread -MMD -MP \
    -D_GNU_SOURCE -Icore $(PKG_CFLAGS) \
    $(if $(SYSTEM_LLHTTP),,-isystem $(LLHTTP_INC_DIR)) \
    $(FLAGS_$(VARIANT)) $(CFLAGS) $(filter-out -O% -fPIC,$(ROCK_CFLAGS))
BASE_LDFLAGS = -pthread $(FLAGS_$(VARIANT)) $(LDFLAGS)
LIBS = $(PKG_LIBS) -lm -ldl
# For what an interpreter loads: lua_* comes from there.
MODULE_LIBS = $(filter-out -llua%,$(LIBS))

# One short line a step; `make V=1` shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

# ---- build -----------------------------------------------------------------

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SUFFIXES:

##   make               builds build/luaqueduct and luaqueduct.core (-O2)
.PHONY: all build
all build: $(OUT)/luaqueduct $(OUT)/lib/luaqueduct/core.so

##   make debug         builds build/debug: -O0, assertions of every kind
##   make asan          builds build/asan: address and undefined sanitizers
##   make tsan          builds build/tsan: thread sanitizer
##   make allocfail     builds build/allocfail: as asan, and allocations can fail
.PHONY: debug asan tsan allocfail clang
debug asan tsan allocfail clang:
	@$(MAKE) --no-print-directory VARIANT=$@ build

##   make core-so       builds what the specs load into plain Lua
.PHONY: core-so spec-build
core-so: $(OUT)/spec/core.so
spec-build: build $(OUT)/spec/core.so $(OUT)/spec/malloc_count.so $(OUT)/spec/load \
    $(OUT)/spec/breaker.so $(OUT)/spec/clock_shift.so \
    $(OUT)/spec/names.so $(C_TESTS:%=$(OUT)/spec/%_test)

$(OUT)/luaqueduct: $(call obj,$(CORE_SRC) $(TSAN_SRC) $(ALLOCFAIL_SRC)) $(LLHTTP_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_LDFLAGS) $(LDFLAGS_$(VARIANT)) -o $@ $^ $(LIBS)

$(OUT)/lib/luaqueduct/core.so: core/lua/exports.map $(call obj,$(MODULE_SRC))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -shared $(BASE_LDFLAGS) -Wl,--as-needed \
	    -Wl,--version-script=$< -o $@ $(filter %.o,$^) $(MODULE_LIBS)

$(OUT)/spec/core.so: $(call obj,$(SPEC_SO_SRC)) $(LLHTTP_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -shared $(BASE_LDFLAGS) -o $@ $^ $(MODULE_LIBS)

$(OUT)/spec/%_test: $(OUT)/obj/spec/c/%_test.o \
    $(call obj,$(BASE_SRC) $(LOOP_SRC) $(LOG_SRC) $(HUB_SRC) core/lua/alloc.c \
    $(addprefix core/run/, listen_url.c tcp_socket.c sockets.c keep.c \
        ask.c ports.c) $(TSAN_SRC))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_LDFLAGS) -o $@ $^ $(LIBS)

# Clients by the thousand, for the specs of storms.
$(OUT)/spec/load: $(call obj,$(LOAD_SRC))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_LDFLAGS) -o $@ $^

# VARIANT=fuzz only.
$(OUT)/fuzz_%: $(OUT)/obj/spec/fuzz/fuzz_%.o \
    $(call obj,$(FUZZ_SRC) $(FUZZ_PURE_SRC)) $(LLHTTP_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# A C module that breaks the worker it is loaded into.
$(OUT)/spec/breaker.so: $(call obj,spec/support/breaker.c)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -shared $(BASE_LDFLAGS) -o $@ $^

# They stand in for malloc itself, the clock and the resolver: no sanitizer, no variant.
$(OUT)/spec/malloc_count.so $(OUT)/spec/clock_shift.so $(OUT)/spec/names.so: \
    $(OUT)/spec/%.so: spec/support/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -shared $(WARNINGS) -o $@ $<

$(OUT)/obj/llhttp/%.o: $(LLHTTP_SRC_DIR)/%.c $(OUT)/obj/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) -w -c -o $@ $<

$(OUT)/obj/%.o: %.c $(OUT)/obj/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE_CFLAGS) $(WARNINGS) -c -o $@ $<

# Other flags than last time: everything is compiled again.
$(OUT)/obj/flags: force
	@mkdir -p $(@D)
	@echo '$(CC) $(BASE_CFLAGS) $(WARNINGS)' | cmp -s - $@ || \
	    echo '$(CC) $(BASE_CFLAGS) $(WARNINGS)' > $@

.SECONDARY:
.PHONY: force
force:

-include $(patsubst %.o,%.d,$(call obj,$(sort $(CORE_SRC) $(SPEC_LIB_SRC) \
    $(LOAD_SRC) $(ALLOCFAIL_SRC) spec/support/breaker.c $(FUZZ_SRC) \
    $(FUZZ_TARGETS:%=spec/fuzz/fuzz_%.c) \
    $(C_TESTS:%=spec/c/%_test.c))))

# ---- run -------------------------------------------------------------------

##   make demo          installs, builds and serves examples/hello.lua
.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory -j$(JOBS) build
	$(OUT)/luaqueduct serve examples/hello.lua -j 4

# ---- test ------------------------------------------------------------------

BUSTED := lua5.4 /usr/bin/busted --ignore-lua -o spec/support/ci.lua
LUA_FILES := $(wildcard lua spec examples)
C_FILES = $(wildcard core/*/*.[ch] spec/c/*.[ch] spec/fuzz/*.[ch] \
    spec/support/*.c spec/bench/*/*.c)

##   make test          everything: two compilers, lint, plain, asan, tsan, fuzz
.PHONY: test test-all
test: test-deps
	@$(MAKE) --no-print-directory test-all
test-all:
	@$(MAKE) --no-print-directory -j$(JOBS) spec-build
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=clang spec-build
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=debug build
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=allocfail build
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=asan spec-build
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=tsan build \
	    $(BUILD)/tsan/spec/breaker.so $(C_TESTS:%=$(BUILD)/tsan/spec/%_test)
	@$(MAKE) --no-print-directory fuzz-build browser clients
	@failed=0; \
	for run in style spec-plain spec-sanitized fuzz-short; do \
	    $(MAKE) --no-print-directory $$run || failed=1; \
	done; \
	exit $$failed

##   make test-fast     the plain build and its specs only
.PHONY: test-fast
test-fast: spec-build debug allocfail browser clients
	@$(MAKE) --no-print-directory spec-plain

##   make browser       what drives Debian's Chromium in the specs, from npm
##   make clients       a WebSocket client for the specs, from npm
.PHONY: browser clients
browser clients: %: $(BUILD)/%/node_modules/.installed
$(BUILD)/%/node_modules/.installed: spec/%/package-lock.json
	@mkdir -p $(BUILD)/$*
	$(call say,NPM)
	$(Q)cp spec/$*/package.json $< $(BUILD)/$*
	$(Q)cd $(BUILD)/$* && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 \
	    npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Sanitizers of this age lose their way in a widely randomised address space.
FIXED := $(shell setarch -R true 2>/dev/null && echo setarch -R)

# The single runs; what they need must have been built.
.PHONY: spec-plain spec-asan spec-tsan spec-sanitized
spec-plain:
	@echo "== specs, plain"
	@LQ_BUILD=$(BUILD) $(BUSTED) --exclude-tags=soak spec

# A spec tagged #once reads sources or objects: once is enough.
spec-asan:
	@echo "== specs, address and undefined sanitizers"
	@LQ_BUILD=$(BUILD)/asan ASAN_OPTIONS=detect_leaks=1 \
	    UBSAN_OPTIONS=print_stacktrace=1 \
	    LD_PRELOAD=$$(gcc -print-file-name=libasan.so) \
	    $(FIXED) $(BUSTED) --exclude-tags=once,soak spec

# The server and the C tests are instrumented, not the specs' interpreter.
spec-tsan:
	@echo "== specs with more than one thread, thread sanitizer"
	@LQ_BUILD=$(BUILD)/tsan LQ_CORE=$(BUILD)/spec/core.so \
	    TSAN_OPTIONS="suppressions=$(CURDIR)/spec/support/tsan.supp atexit_sleep_ms=100" \
	    $(FIXED) $(BUSTED) --exclude-tags=once,soak $(wildcard spec/system) spec/c

# They wait more than they work: side by side they take little longer than one.
spec-sanitized:
	@failed=0; log=$(BUILD)/asan/specs.log; \
	$(MAKE) --no-print-directory spec-asan >$$log 2>&1 & asan=$$!; \
	$(MAKE) --no-print-directory spec-tsan || failed=1; \
	wait $$asan || failed=1; \
	cat $$log; \
	exit $$failed

##   make fuzz          10 minutes of every fuzz target; FUZZ_SECONDS=60: shorter
##   make fuzz-short    the few thousand runs of each that `make test` does
FUZZ_SECONDS ?= 600
.PHONY: fuzz fuzz-short fuzz-build
fuzz fuzz-short: how = $(if $(filter fuzz,$@),$(FUZZ_SECONDS),short)
fuzz fuzz-short: fuzz-build
	@echo "== fuzz targets, $(how)$(if $(filter fuzz,$@), s each)"
	@$(FIXED) lua5.4 spec/fuzz/run.lua $(BUILD)/fuzz $(how) $(FUZZ_TARGETS)
fuzz-build:
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=fuzz \
	    $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)

##   make soak          everything in the plain build, counts 100 times as large;
##                      figures are held to the goals, so: on a quiet machine
.PHONY: soak
soak: test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) spec-build debug allocfail browser clients
	@failed=0; LQ_BUILD=$(BUILD) LQ_SCALE=100 LQ_VERBOSE=1 $(BUSTED) spec || failed=1; \
	$(MAKE) --no-print-directory soak-faults || failed=1; \
	exit $$failed

##   make soak-faults   10 minutes of load with faults at random, and counts;
##                      SOAK_SECONDS=60: shorter, SOAK_SEED=1: the same again
SOAK_SECONDS ?= 600
SOAK_SEED ?=
.PHONY: soak-faults
soak-faults: spec-build
	@echo "== load with faults, $(SOAK_SECONDS) s"
	@LQ_BUILD=$(BUILD) lua5.4 spec/soak/run.lua $(SOAK_SECONDS) $(SOAK_SEED)

##   make lint          luacheck, clang-format, layers, no mutable statics
.PHONY: lint style
lint: debug
	@$(MAKE) --no-print-directory style
	@LQ_BUILD=$(BUILD) $(BUSTED) spec/docs/layers_spec.lua

style:
	@echo "== luacheck, clang-format"
	@luacheck --quiet --no-color $(LUA_FILES)
	@clang-format --dry-run -Werror $(C_FILES)

##   make format        lays out the C sources
.PHONY: format
format:
	clang-format -i $(C_FILES)

# ---- benchmark -------------------------------------------------------------

BENCH_PROGRAMS := raw prototype hold async clients echo database

##   make bench         compares with other servers (spec/bench/README.md)
.PHONY: bench bench-build
bench:
	@$(call install_missing,$(BUILD_DEPS) $(BENCH_DEPS))
	@$(MAKE) --no-print-directory -j$(JOBS) bench-build
	@ulimit -S -n 20000 2>/dev/null; LQ_BUILD=$(OUT) lua5.4 spec/bench/run.lua

bench-build: build $(OUT)/spec/core.so $(OUT)/spec/log_test $(OUT)/spec/load $(OUT)/spec/breaker.so $(BENCH_PROGRAMS:%=$(OUT)/bench/%) \
    $(OUT)/bench/database_pgx \
    $(OUT)/bench/node_modules/.installed

$(OUT)/bench/%: $(OUT)/obj/spec/bench/subjects/%.o $(LLHTTP_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_LDFLAGS) -o $@ $^ $(LIBS)

# Go's modules are Debian's packages.
$(OUT)/bench/database_pgx: spec/bench/subjects/database.go
	@mkdir -p $(@D)
	$(call say,GO)
	$(Q)GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$(abspath $(@D))/.go \
	    go build -o $@ $<

$(OUT)/bench/node_modules/.installed: spec/bench/subjects/package-lock.json
	@mkdir -p $(@D)
	$(call say,NPM)
	$(Q)cp spec/bench/subjects/package.json $< $(OUT)/bench
	$(Q)cd $(OUT)/bench && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# ---- install ---------------------------------------------------------------

# The program looks for both folders from its own, in this layout; LuaRocks
# names others, and puts what it finds there into this layout.
BINDIR = $(PREFIX)/bin
LUADIR = $(PREFIX)/share/lua/5.4
LIBDIR = $(PREFIX)/lib/lua/5.4

##   make install       copies program, Lua files and luaqueduct.core to
##                      $(DESTDIR)$(PREFIX)
.PHONY: install
install: build
	install -D -m 755 $(OUT)/luaqueduct '$(DESTDIR)$(BINDIR)/luaqueduct'
	install -D -m 755 $(OUT)/lib/luaqueduct/core.so \
	    '$(DESTDIR)$(LIBDIR)/luaqueduct/core.so'
	find lua/luaqueduct -name '*.lua' -printf '%P\n' | while read -r file; do \
	    install -D -m 644 "lua/luaqueduct/$$file" \
	        '$(DESTDIR)$(LUADIR)/luaqueduct/'"$$file" || exit 1; \
	done

##   make deps          installs what a build needs from Debian, if missing
##   make test-deps     the same for the tests
.PHONY: deps test-deps
deps:
	@$(call install_missing,$(BUILD_DEPS))
test-deps:
	@$(call install_missing,$(BUILD_DEPS) $(TEST_DEPS))

# Nothing happens when all of $(1) is there. A list of packages that is old
# or absent is fetched when an install has failed without it.
define install_missing
if ! command -v dpkg-query >/dev/null; then \
    echo "No dpkg here; needed are the equivalents of: $(strip $(1))" >&2; \
    exit 0; \
fi; \
have=" $$(dpkg-query -W -f '$${db:Status-Abbrev}$${Package}\n' $(1) \
    2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ')"; \
missing=; \
for package in $(1); do \
    case "$$have" in *" $$package "*) ;; *) \
        missing="$$missing $$package" ;; esac; \
done; \
[ -n "$$missing" ] || exit 0; \
[ "$$(id -u)" = 0 ] && root= || root=sudo; \
apt() { $$root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$$@" \
    </dev/null; }; \
echo "Installing$$missing"; \
apt install --no-install-recommends $$missing || \
    { apt update && apt install --no-install-recommends $$missing; }
endef

##   make clean         removes build/
.PHONY: clean
clean:
	rm -rf $(BUILD)

##   make help          prints this
.PHONY: help
help:
	@echo "luaqueduct: an HTTP server runtime for Lua 5.4"
	@sed -n 's/^##//p' $(firstword $(MAKEFILE_LIST))

# For specs and scripts: make -s print-CORE_SRC
print-%:
	@echo $($*)
