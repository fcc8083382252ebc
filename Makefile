# ligase.  `make demo` shows it at work and `make test` proves it; on a fresh
# Debian 12 both install what is missing first.  Nothing here needs a compiler
# just to be read, so set-up can run before there is one.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CLANG   ?= clang

LUA_INCLUDE ?= /usr/include/lua5.4
PG_INCLUDE  ?= /usr/include/postgresql

MAKEFLAGS += --no-print-directory
JOBS      := $(shell nproc 2>/dev/null || echo 2)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Werror
CFLAGS   ?= -O2 -g
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# Debian's headers are not ours to warn about, hence -isystem. Without fused products the
# same numbers come out on every machine (host/sets.h).
COMPILE := -std=c11 -ffp-contract=off -D_GNU_SOURCE $(WARNINGS) -isystem $(LUA_INCLUDE) -isystem $(PG_INCLUDE) -MMD -MP
# -E: C modules for Lua (lua-cjson, lua-lpeg) find the Lua API in this process.
LINK    := -Wl,-E -llua5.4 -lpq -lcurl -lcsv -lsqlite3 -lmicrohttpd -ledit -lz -lcrypto -lm

SOURCES := $(sort $(wildcard host/*.c))
OBJECTS := $(SOURCES:%.c=build/%.o)
ASAN    := $(SOURCES:%.c=build/asan/%.o)
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/*.c)))
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/%.o,$(filter-out host/main.c,$(SOURCES)))
C_FILES := $(sort $(wildcard host/*.c host/*.h tests/*/*.c))

all: build/ligase

# --- the executable ---------------------------------------------------------

build/ligase: $(OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LINK)

build/asan/ligase: $(ASAN)
	$(CC) -O1 -g $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LINK)

build/host/%.o: host/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(COMPILE) $(CFLAGS) -c -o $@ $<

build/asan/host/%.o: host/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(COMPILE) -O1 -g $(SANITIZE) -c -o $@ $<

build/fuzz/host/%.o: host/%.c Makefile
	@mkdir -p $(@D)
	$(CLANG) $(COMPILE) -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link -c -o $@ $<

build/fuzz/tests/fuzz/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(CLANG) $(COMPILE) -Ihost -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link -c -o $@ $<

build/fuzz/%: build/fuzz/tests/fuzz/%.o $(FUZZ_OBJECTS)
	$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LINK)

-include $(wildcard build/host/*.d build/asan/host/*.d build/fuzz/host/*.d build/fuzz/tests/fuzz/*.d)

# --- set-up: Debian packages ------------------------------------------------

PACKAGES_BUILD := gcc libc6-dev liblua5.4-dev libpq-dev libcurl4-openssl-dev libcsv-dev libmicrohttpd-dev libsqlite3-dev \
                  libedit-dev libssl-dev zlib1g-dev
PACKAGES_RUN   := ca-certificates lua-cjson lua-lpeg lua-argparse postgresql
PACKAGES_TEST  := lua-busted openssl python3 gnuplot-nox
PACKAGES_CHECK := lua-check clang-format
PACKAGES_FUZZ  := clang libclang-rt-dev

setup:
	@.ci/packages $(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_TEST)

setup-check: setup
	@.ci/packages $(PACKAGES_CHECK)

setup-fuzz: setup
	@.ci/packages $(PACKAGES_FUZZ)

# --- proof ------------------------------------------------------------------
# FILES= narrows a run to some specs, FILTER= to tests whose name matches a Lua
# pattern: make test FILES=tests/host/csv_spec.lua FILTER=quote

SELECTION = $(if $(FILTER),--filter '$(FILTER)') $(FILES)

test: setup
	@$(MAKE) -j$(JOBS) build/ligase
	@build/ligase tests/run.lua --jobs $(JOBS) $(SELECTION)

asan: setup
	@$(MAKE) -j$(JOBS) build/asan/ligase
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=86 \
	  UBSAN_OPTIONS=print_stacktrace=1 LIGASE_HOME='$(CURDIR)' \
	  build/asan/ligase tests/run.lua --jobs $(JOBS) --exclude-tags slow $(SELECTION)

check: setup-check
	@$(MAKE) -j$(JOBS) build/ligase
	@failed=0; \
	run() { "$$@" || failed=1; }; \
	run luacheck --quiet --no-color lua recipes migrations tests; \
	run clang-format --dry-run -Werror $(C_FILES); \
	run build/ligase tests/docs_check.lua; \
	exit $$failed

# Each target starts from the corpus that earlier runs grew under build/ and from
# real files, when they lie beside the project.
FUZZ_SECONDS ?= 60
FUZZ_SEEDS   := $(wildcard tests/fuzz/corpus ../shared/data/nasty)

fuzz: setup-fuzz
	@$(MAKE) -j$(JOBS) $(FUZZERS)
	@set -e; for fuzzer in $(FUZZERS); do \
	  corpus=build/fuzz/corpus/$$(basename $$fuzzer); mkdir -p $$corpus; \
	  echo "$$fuzzer: $(FUZZ_SECONDS) s"; \
	  $$fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
	    -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/ $$corpus $(FUZZ_SEEDS); \
	done

# ONLY=csv,memory runs some of the parts; they are named in docs/benchmarks.md.
bench: setup
	@$(MAKE) -j$(JOBS) build/ligase
	@build/ligase tests/bench/bench.lua $(if $(ONLY),--only $(ONLY)) $(BENCH)

# --- a look around ----------------------------------------------------------

EXAMPLES := ../../docs/examples

# Two files meet in one question: what changed, and the levels behind it.
define EFFECTS
SELECT e.feature, round(e.log2_fold_change::numeric, 2) AS log2_fold_change, e.adjusted_p_value,
       round(avg(v.value) FILTER (WHERE v.sample LIKE 'control%')::numeric, 2) AS control,
       round(avg(v.value) FILTER (WHERE v.sample LIKE 'treated%')::numeric, 2) AS treated
FROM effects AS e JOIN measurement_values AS v USING (feature_key)
WHERE e.adjusted_p_value < 0.002 AND v.dataset = 'plasma_lipids'
GROUP BY 1, 2, 3, e.log2_fold_change ORDER BY e.log2_fold_change DESC
endef
export EFFECTS

# The demo keeps its own workspace (.ligase marks it) and its own Postgres, whatever
# the environment says.
demo: setup
	@$(MAKE) -j$(JOBS) build/ligase
	@mkdir -p build/demo/.ligase; cd build/demo; \
	unset LIGASE_WORKSPACE POSTGRES_URL POSTGRES_HOST POSTGRES_PORT POSTGRES_DB POSTGRES_USER POSTGRES_PASSWORD; \
	step() { \
	  printf '\n$$ ligase'; \
	  for word in "$$@"; do case $$word in *' '*) word="\"$$word\"";; esac; printf ' %s' "$$word"; done; \
	  printf '\n'; ../ligase "$$@"; \
	}; \
	set -e; \
	step ingest --omics lipidomics --organism human $(EXAMPLES)/plasma_lipids.csv; \
	step ingest --omics lipidomics --organism human $(EXAMPLES)/treated_vs_control.csv; \
	step datasets; \
	step sql "$$EFFECTS"; \
	step signature load --feature-type lipid $(EXAMPLES)/ceramide_shift.tsv; \
	step score treated_vs_control; \
	step rehearse --datasets 8; \
	printf '%s\n' "" \
	  "That was a private Postgres in build/demo. Go on with:" \
	  "  cd build/demo" \
	  "  ../ligase show plasma_lipids       what was read, column by column" \
	  "  ../ligase export plasma_lipids     the file again, value for value" \
	  "  ../ligase why 'PC 34:1'            which cells were read as it, by which rule" \
	  "  ../ligase feature 'PC 34:1'        where it occurs, with values and effects" \
	  "  ../ligase why treated_vs_control --signature 'ceramide shift'    the score, down to the cells" \
	  "  ../ligase inspect YOUR_FILE        what would be understood of your own data" \
	  "  ../ligase db psql                  look around in SQL" \
	  "  ../ligase ingest YOUR_FILE.csv     your own data" \
	  "  ../ligase rehearse --keep          a stand-in for Notion, to try the dual write with" \
	  "  ../ligase db stop                  stop the private Postgres"

# --- the rest ---------------------------------------------------------------

install: build/ligase
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/ligase'
	install -m 755 build/ligase '$(DESTDIR)$(PREFIX)/bin/ligase'
	tar -cf - --owner=0 --group=0 --mode='u=rwX,go=rX' lua recipes migrations tests/standins | \
	  tar -xf - --no-same-owner -C '$(DESTDIR)$(PREFIX)/share/ligase'

format:
	clang-format -i $(C_FILES)

clean:
	@if [ -x build/ligase ] && [ -d build/demo ]; then \
	  cd build/demo && ../ligase db stop >/dev/null 2>&1 || true; fi
	rm -rf build

.PHONY: all setup setup-check setup-fuzz demo test check asan fuzz bench install format clean
.DELETE_ON_ERROR:
.SECONDARY:
