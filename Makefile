# chatd: make run starts a server to try, make check tests everything; see CONTRIBUTING.md.

PREFIX  ?= /usr/local
BUILD   ?= build
STATE   ?= run
PORT    ?= 8080
CC      ?= cc

PKG     := zlib libpq libssl libcrypto libjwt json-c libcrypt libcurl ncursesw
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
           -Wmissing-prototypes -Wformat=2 -Wundef -Wvla -Wwrite-strings -Werror
HARDEN  := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection
LINK    := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
OPTIM   ?= -O2 -g
FORTIFY ?= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
# The sanitizers bring their own checks in place of the fortified functions.
ifdef SANITIZE
FORTIFY := -U_FORTIFY_SOURCE
OPTIM   := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif
CFLAGS  += -std=gnu11 -D_GNU_SOURCE $(OPTIM) $(WARN) $(FORTIFY) $(HARDEN)

BROKER  := $(addprefix broker/,core pg helpers accounts delivery) broker
CHAT    := $(addprefix client/,core window) client
FOLDERS := lib conf ipc wire tls cli master session $(BROKER) auth signer exporter ctl $(CHAT)
SOURCES := $(wildcard src/*.c) $(foreach d,$(FOLDERS),$(wildcard src/$(d)/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o)
UNITS   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
objects  = $(foreach d,$(1),$(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/$(d)/*.c)))

# The documents that are part of the server: the page at /, of whose modules each stands after those
# that it imports; what describes the server to programs; and what becomes of them.
MODULES  := chatd.js $(addprefix page/,dom.js store.js list.js thread.js dialogs.js main.js)
DOCUMENTS := $(addprefix $(BUILD)/web/,index.html openapi.json asyncapi.json)
PAGE     := $(BUILD)/web/page_data.o

PROGRAMS := $(addprefix $(BUILD)/,chatd chatd-broker chatd-auth chatd-signer chatd-exporter chatctl)
# What everybody may run.
CLIENT   := $(BUILD)/chat

# What a folder may include is what stands here: the layers hold by construction.
SEES_lib     := lib
SEES_conf    := lib conf
SEES_ipc     := lib ipc
SEES_wire    := lib wire
SEES_tls     := tls
SEES_cli     := lib cli
SEES_master  := lib conf tls master
SEES_session := lib conf ipc wire tls session
SEES_broker  := lib conf ipc $(BROKER)
SEES_broker/core     := lib conf ipc broker/core
SEES_broker/pg       := lib conf ipc broker/core broker/pg
SEES_broker/helpers  := lib conf ipc broker/core broker/helpers
SEES_broker/accounts := lib conf ipc broker/core broker/pg broker/helpers broker/accounts
SEES_broker/delivery := lib conf ipc broker/core broker/pg broker/delivery
SEES_auth    := lib conf ipc auth
SEES_signer  := lib conf ipc tls signer
SEES_exporter := lib conf wire exporter
# chatctl hashes passwords as an auth worker does.
SEES_ctl     := lib conf ipc cli auth ctl
# chat knows the server by its protocol; of wire it has the JSON. Its window knows no command.
SEES_client  := lib wire cli $(CHAT)
SEES_client/core     := lib wire client/core
SEES_client/window   := lib wire client/core client/window
# src/chatd.c puts the master and its sessions together into one executable.
SEES_.       := lib conf master session

.PHONY: all run check check-web pictures check-deb check-faults faults fuzz fuzzers analyze analysis bench clean install uninstall deb unit
all: $(PROGRAMS) $(CLIENT)

# V=1 shows the commands.
ifndef V
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

$(BUILD)/chatd: $(BUILD)/chatd.o $(call objects,lib conf ipc wire tls master session) $(PAGE)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -ljson-c -lssl -lcrypto -lz

$(BUILD)/chatd-broker: $(call objects,lib conf ipc $(BROKER))
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -lpq -ljwt -lcrypto

$(BUILD)/chatd-auth: $(call objects,lib conf ipc auth)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -lcrypt

$(BUILD)/chatd-signer: $(call objects,lib conf ipc tls signer)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -lcrypto

HTTP := $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/wire/http*.c))
$(BUILD)/chatd-exporter: $(call objects,lib conf exporter) $(HTTP)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^

$(BUILD)/chatctl: $(call objects,lib conf ipc cli ctl) $(BUILD)/auth/bcrypt.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -lpq -lcrypt -lcrypto

$(BUILD)/chat: $(call objects,lib cli $(CHAT)) $(BUILD)/wire/json.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -ljson-c -lcurl -lncursesw -ltinfo

folder   = $(patsubst %/,%,$(dir $(1)))
includes = $(addprefix -Isrc/,$(SEES_$(call folder,$(1)))) \
           $(if $(filter broker broker/% ctl,$(call folder,$(1))),$$(pkg-config --cflags libpq libjwt))
$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) $(call includes,$*.c) -MMD -MP -c -o $@ $<

$(BUILD)/web/index.html: web/bundle web/index.html web/style.css $(addprefix web/,$(MODULES)) Makefile
	@mkdir -p $(@D)
	$(call say,PAGE,$@)
	$(Q)web/bundle $(MODULES) >$@.$$$$ && mv $@.$$$$ $@

# One line, without the blanks before each.
$(BUILD)/web/%.json: web/%.json Makefile
	@mkdir -p $(@D)
	$(Q)sed 's/^ *//' $< | tr -d '\n' | sed '$$a\' >$@.$$$$ && mv $@.$$$$ $@

$(BUILD)/web/page_data.c: web/embed $(DOCUMENTS)
	$(Q)web/embed $(DOCUMENTS) >$@.$$$$ && mv $@.$$$$ $@

$(PAGE): $(BUILD)/web/page_data.c src/session/page_data.h
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Isrc/session -c -o $@ $<

# A unit test links the object under test and what lies below it, never a whole program.
UNIT_OBJECTS = $(call objects,lib conf ipc wire tls) $(BUILD)/master/addresses.o \
               $(BUILD)/auth/bcrypt.o $(BUILD)/broker/core/turns.o $(BUILD)/broker/helpers/waitlist.o \
               $(addprefix $(BUILD)/broker/accounts/,limits.o token.o token_keys.o) \
               $(BUILD)/signer/content.o $(BUILD)/client/core/show.o \
               $(addprefix $(BUILD)/client/window/,cells.o line.o)
$(BUILD)/unit/%: tests/unit/%.c tests/unit/test.h $(UNIT_OBJECTS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/unit $(addprefix -Isrc/,lib conf ipc wire tls master auth broker/core broker/helpers broker/accounts signer client/window) \
	    -o $@ $< $(UNIT_OBJECTS) $(LDFLAGS) $(LINK) -ljson-c -lcrypto -lcrypt -ljwt -lz

# The broker without PostgreSQL: all of it but the connections and those who look at them, and on a
# clock of its own.
DELIVERY = $(filter-out %/clock.o %/main.o %/control.o %/metrics.o %/trial.o %/db.o %/pool.o %/link.o,$(call objects,lib conf ipc $(BROKER)))
$(BUILD)/unit/test_delivery: $(wildcard tests/unit/delivery/*) $(DELIVERY)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) $(addprefix -Isrc/,lib conf ipc $(BROKER)) $$(pkg-config --cflags libpq libjwt) \
	    -o $@ $(filter %.c,$^) $(DELIVERY) $(LDFLAGS) $(LINK) -lpq -ljwt -lcrypto

# The server's own HTTP and WebSocket code behind an echo: what conformance suites are run against.
$(BUILD)/ws_echo: tests/ws_echo.c $(call objects,lib) $(HTTP) $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/wire/ws*.c))
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Isrc/lib -Isrc/wire -o $@ $^ $(LDFLAGS) $(LINK) -lcrypto -lz

tests/ws_echo: $(BUILD)/ws_echo
	$(Q)cp $< $@

# Tries what the roles must not do, with the very objects that forbid it.
PROBE_OBJECTS = $(call objects,lib conf) $(BUILD)/session/session_sandbox.o \
                $(BUILD)/broker/broker_sandbox.o $(BUILD)/auth/auth_sandbox.o \
                $(BUILD)/signer/signer_sandbox.o $(BUILD)/exporter/exporter_sandbox.o
$(BUILD)/unit/probe: tests/probe/probe.c $(PROBE_OBJECTS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) $(addprefix -Isrc/,lib conf session broker auth signer exporter) \
	    -o $@ $< $(PROBE_OBJECTS) $(LDFLAGS) $(LINK)

# A fuzzer, tests/fuzz/fuzz_NAME.c, takes out of one archive the objects that it fuzzes, and what
# these need. FUZZ_BUILD makes all of them; see CONTRIBUTING.md.
FUZZERS    := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzzers/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BUILD := BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
$(BUILD)/fuzzers/chatd.a: $(filter-out %/main.o,$(call objects,lib conf ipc wire tls session $(BROKER))) $(PAGE)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fuzzers/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(BUILD)/fuzzers/chatd.a
	$(call say,FUZZ,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -fsanitize=fuzzer -Itests/fuzz \
	    $(addprefix -Isrc/,lib conf ipc wire tls session $(BROKER)) $$(pkg-config --cflags libpq libjwt) \
	    -o $@ $< $(BUILD)/fuzzers/chatd.a $(LDFLAGS) $(LINK) -ljson-c -lssl -lcrypto -lpq -ljwt -lz

fuzzers: $(FUZZERS)

# TIME: seconds each; TARGET: only this one.
fuzz:
	@tests/tools/install check
	@$(MAKE) --no-print-directory $(FUZZ_BUILD)
	@TIME="$(TIME)" exec tests/fuzz/run $(TARGET)

# Each file of src is analysed with the flags that it is built with, as soon as it or a header has
# changed. gcc's analyzer has its default warnings on, but one: version 14 takes the descriptors 0 to
# 2, from dup2(), for leaks.
ANALYSED := $(SOURCES:src/%.c=$(BUILD)/analysis/%.gcc) $(SOURCES:src/%.c=$(BUILD)/analysis/%.tidy)
HEADERS  := $(wildcard src/*/*.h src/*/*/*.h)
$(BUILD)/analysis/%.gcc: src/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(call say,GCC,$<)
	$(Q)gcc $(CFLAGS) $(CPPFLAGS) $(call includes,$*.c) -fanalyzer -Wno-analyzer-fd-leak -c -o $@ $<

$(BUILD)/analysis/%.tidy: src/%.c $(HEADERS) .clang-tidy Makefile
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $< -- $(CFLAGS) $(CPPFLAGS) $(call includes,$*.c) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

$(BUILD)/analysis/cppcheck: $(SOURCES) $(HEADERS) tests/analysis/cppcheck.suppressions Makefile
	@mkdir -p $(@D)
	$(call say,CHECK,src)
	$(Q)cppcheck --quiet --std=c11 -D_GNU_SOURCE -D__x86_64__ --enable=warning,style,performance,portability \
	    --suppressions-list=tests/analysis/cppcheck.suppressions --inline-suppr --error-exitcode=1 \
	    --include="$$(echo '#include <sys/queue.h>' | $(CC) -E -x c - | sed -n 's/^# 1 "\(.*queue\.h\)".*/\1/p')" \
	    $(addprefix -Isrc/,$(FOLDERS)) src
	@touch $@

analyze:
	@tests/tools/install check
	@tests/analysis/shell
	@$(MAKE) --no-print-directory -j"$$(nproc)" analysis

analysis: $(ANALYSED) $(BUILD)/analysis/cppcheck

# The bench: a load generator, what it is measured against, and what tests/guard.bats counts in. The
# generator shares nothing with src; the second has the priority of an auth worker, and wire is under
# test in the last.
LOAD := $(wildcard tests/bench/load/*.c)
$(BUILD)/bench/load: $(LOAD) tests/bench/load/load.h Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -o $@ $(LOAD) $(LDFLAGS) $(LINK) -lm

$(BUILD)/bench/crypt: tests/bench/crypt.c $(BUILD)/auth/priority.o $(call objects,lib)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Isrc/auth -o $@ $^ $(LDFLAGS) $(LINK) -lcrypt

$(BUILD)/bench/parse: tests/bench/parse.c $(call objects,lib wire)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Isrc/lib -Isrc/wire -o $@ $^ $(LDFLAGS) $(LINK) -ljson-c -lcrypto -lz

TOOLS := $(addprefix $(BUILD)/bench/,load crypt parse)

# All programs of the tests.
unit: $(UNITS) $(BUILD)/unit/test_delivery $(BUILD)/unit/probe $(BUILD)/unit/crypts.so $(BUILD)/ws_echo $(TOOLS)

# Preloaded into programs that know nothing of it: no sanitizer.
PRELOADED := -std=gnu11 -D_GNU_SOURCE -O2 -g -fPIC $(WARN) -shared
$(BUILD)/faults/shim.so: tests/faults/shim.c Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(PRELOADED) -o $@ $<

$(BUILD)/unit/crypts.so: tests/probe/crypts.c Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(PRELOADED) -o $@ $<

faults: $(BUILD)/faults/shim.so

run:
	@tests/tools/install run
	@$(MAKE) --no-print-directory all
	@BUILD="$(BUILD)" STATE="$(STATE)" PORT="$(PORT)" exec tests/tools/run

check:
	@tests/tools/install check
	@MAKE="$(MAKE)" exec tests/tools/check

# The library for pages in Node.js, and the page in browsers; see CONTRIBUTING.md. One file at a time:
# a browser takes all that two processors have.
check-web:
	@tests/tools/install web
	@tests/tools/web
	@MAKE="$(MAKE)" ONLY=plain JOBS=1 FILES="$(wildcard tests/web/*.bats)" exec tests/tools/check

# Those of README, from real runs.
pictures:
	@tests/tools/install web
	@tests/tools/install bench
	@tests/tools/web
	@$(MAKE) --no-print-directory all unit
	@BUILD="$(abspath $(BUILD))" exec tests/tools/pictures

# What an hour's use would not show; see CONTRIBUTING.md.
SEEDS        ?= 1 2 3 4 5 6
SECONDS_EACH ?= 300
check-faults:
	@tests/tools/install check
	@$(MAKE) --no-print-directory all faults
	@BUILD="$(BUILD)" exec tests/faults/run --seeds "$(SEEDS)" --seconds "$(SECONDS_EACH)"

# How fast chatd is, beside the usual way to do the same and the fast way; see CONTRIBUTING.md. BENCH
# names the modes.
BENCH   ?=
SYSTEMS ?= chatd,baseline,batching
bench:
	@tests/tools/install bench
	@$(MAKE) --no-print-directory all $(TOOLS)
	@BUILD="$(BUILD)" exec tests/bench/run --systems "$(SYSTEMS)" $(if $(QUICK),--quick) \
	    $(addprefix --set ,$(SIZES)) $(BENCH)

# Where each kind of file is installed; packaging/install has the list.
sysconfdir   ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
sbindir      ?= $(PREFIX)/sbin
bindir       ?= $(PREFIX)/bin
datadir      ?= $(PREFIX)/share
mandir       ?= $(datadir)/man
docdir       ?= $(datadir)/doc/chatd
unitdir      ?= $(PREFIX)/lib/systemd/system
sysusersdir  ?= $(PREFIX)/lib/sysusers.d
tmpfilesdir  ?= $(PREFIX)/lib/tmpfiles.d
bashcompdir  ?= $(datadir)/bash-completion/completions
zshcompdir   ?= $(datadir)/zsh/site-functions
PLACES := DESTDIR sysconfdir sbindir bindir datadir mandir docdir unitdir sysusersdir tmpfilesdir bashcompdir zshcompdir
place = @env $(foreach v,$(PLACES),$(v)='$($(v))') packaging/install

install: all
	$(place) $(PROGRAMS) $(CLIENT)

uninstall:
	$(place) --remove $(PROGRAMS) $(CLIENT)

# The package for the Debian that this is: build/deb/chatd_*.deb.
deb:
	@tests/tools/install deb
	@packaging/deb

# Builds it and tries it on a fresh Debian 12 and 13, as root; see CONTRIBUTING.md.
check-deb:
	@SUITES="$(SUITES)" exec tests/tools/check-deb

clean:
	rm -rf $(BUILD)

-include $(OBJECTS:.o=.d)
