# DistComp's two commands for a new user: `make run` (the main job on example/task_with_timeout) and `make test` (all tests).
#
#   make build     release binaries in .build/release      make lint      formatting and warnings
#   make bench     the performance suite                   make format    rewrite the sources in the house style
#   make install   into DESTDIR/PREFIX (default /usr)      make deb       a Debian package in .build/package
#   make peers     the same beside other systems           make fuzz      libFuzzer on all that reads from outside
#   make chaos     100,000 tasks while all is killed       make clean     remove what was built

PREFIX ?= /usr
FUZZ_SECONDS ?= 600
FUZZ_RUNS ?= 300000
DESTDIR ?=
SWIFT ?= swift
CC ?= cc

RELEASE := .build/release
DEBUG := .build/debug
# lld: the default linker warns of a C function in the static Foundation that nothing here calls. now: no writable table of
# functions is left in a daemon that is root.
RELEASE_FLAGS := -c release --static-swift-stdlib -Xswiftc -use-ld=lld -Xlinker -z -Xlinker now
# What is installed and packaged. The system tests package the debug build, which is there already.
PRODUCTS ?= $(RELEASE)
PACKAGE_DIRECTORY ?= .build/package
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
# musl starts in a tenth of glibc's time. It brings no kernel headers and no libcap, so those of the system are named.
SMALL_CC = $(if $(shell command -v musl-gcc),musl-gcc -idirafter /usr/include -idirafter /usr/include/$(shell gcc -print-multiarch),$(CC)) \
  -std=c11 -O2 -Wall -Wextra -Werror -static -Wl,-z,noseparate-code
# Into the directory that is named.
define build-small
$(SMALL_CC) Sources/distcomp-launch/main.c $(shell $(CC) -print-file-name=libcap.a) -o $(1)/distcomp-launch
$(SMALL_CC) Sources/distcomp-bench/clock/clock.c -o $(1)/distcomp-bench-clock
endef

# The libraries of the command line that become part of it: what the linker finds here it does not look for elsewhere.
define link-static
mkdir -p .build/static && for library in sqlite3 zstd; do \
  ln -sf "$$($(CC) -print-file-name=lib$$library.a)" .build/static/ || exit; done
endef

# What each job needs, by the names of the Debian family.
BUILD_PACKAGES := libcap-dev libssl-dev libsqlite3-dev libzstd-dev gcc libc6-dev musl-tools
RUN_PACKAGES := $(BUILD_PACKAGES) redis-server python3
PACKAGE_PACKAGES := dpkg-dev python3
TEST_PACKAGES := $(RUN_PACKAGES) openssl $(PACKAGE_PACKAGES) qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio kmod e2fsprogs \
  iproute2 procps systemd dbus tmux debootstrap chromium chromium-driver slurm-wlm munge prometheus

.PHONY: run test build bench peers install deb format lint clean check-swift build-needs run-needs test-needs package-needs \
  debug unit-tests browser-tests system-tests chaos chaos-short fuzz fuzz-short FORCE

run: run-needs build
	@echo
	@echo "distcomp run example/task_with_timeout    (three of its tasks fail on purpose)"
	@$(RELEASE)/distcomp run example/task_with_timeout; status=$$?; \
	  [ $$status -le 1 ] || exit $$status

build: build-needs
	@$(SWIFT) build $(RELEASE_FLAGS)
	@$(call build-small,$(RELEASE))

debug: build-needs
	@$(SWIFT) build --build-tests
	@$(call build-small,$(DEBUG))

test: test-needs lint unit-tests browser-tests fuzz-short chaos-short system-tests
	@cat .build/unsteady-tests

unit-tests: debug
	@Tests/run-unit $(SWIFT) .build/unsteady-tests

# The pages in a real browser. PICTURES=docs/pictures makes the pictures of the documentation anew.
browser-tests: debug
	@Tests/Browser/run --products $(DEBUG) $(if $(PICTURES),--screenshots $(PICTURES))

system-tests: debug
	@UNSTEADY=.build/unsteady-tests Tests/System/run --products $(DEBUG)

# Kills nodes, Redis and connections while tasks run, and looks for what was lost; see "Fault injection" in docs/REDIS.md.
chaos: run-needs build
	@$(RELEASE)/distcomp-chaos $(CHAOS_OPTIONS)

chaos-short: debug
	@$(DEBUG)/distcomp-chaos --nodes 3 --tasks 3000

# libFuzzer on everything that reads what comes from outside. What makes it fail is left in .build/fuzz/crash-*.
fuzz: .build/fuzz/fuzzing
	@cd .build/fuzz && SWIFT_BACKTRACE=enable=no ./fuzzing -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 found $(CURDIR)/Tests/Fuzz/Corpus

# The same inputs each time.
fuzz-short: .build/fuzz/fuzzing
	@rm -rf .build/fuzz/found-short && mkdir .build/fuzz/found-short
	@cd .build/fuzz && SWIFT_BACKTRACE=enable=no ./fuzzing -runs=$(FUZZ_RUNS) -seed=1 -max_len=512 -verbosity=0 found-short \
	  $(CURDIR)/Tests/Fuzz/Corpus

.build/fuzz/fuzzing: build-needs FORCE
	@DISTCOMP_FUZZ=1 $(SWIFT) build --disable-index-store --build-path .build/fuzz --product Fuzzing -Xswiftc -sanitize=fuzzer -Xswiftc -O
	@mkdir -p .build/fuzz/found
	@echo > .build/fuzz/empty.swift
	@$(SWIFT)c -sanitize=fuzzer -parse-as-library .build/fuzz/empty.swift -o $@ \
	  -Xlinker --whole-archive .build/fuzz/debug/libFuzzing.a -Xlinker --no-whole-archive -lssl -lcrypto
FORCE:

lint: check-swift
	@$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift

format: check-swift
	@$(SWIFT) format --in-place --recursive --parallel Sources Tests Package.swift

bench: run-needs build
	@$(RELEASE)/distcomp-bench all

# Other systems with the same tasks, in turn with ours. Fetches them by pip and apt, and removes them again.
peers: run-needs build
	@python3 Sources/distcomp-bench/peers/peers.py --products $(RELEASE) $(PEERS_OPTIONS)

install: $(if $(filter $(RELEASE),$(PRODUCTS)),build)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/distcomp
	install -s -m 755 $(PRODUCTS)/distcomp $(DESTDIR)$(PREFIX)/bin/
	install -s -m 755 $(PRODUCTS)/distcompd $(DESTDIR)$(PREFIX)/sbin/
	install -s -m 755 $(PRODUCTS)/distcomp-launch $(DESTDIR)$(PREFIX)/lib/distcomp/
	install -d $(DESTDIR)/etc/distcomp
	test -e $(DESTDIR)/etc/distcomp/conf.json || install -m 640 conf.json $(DESTDIR)/etc/distcomp/
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/share/distcomp/hooks packaging/hooks/*
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in distcompd distcomp-web; do sed 's|/usr/\(s\?bin\)/|$(PREFIX)/\1/|' systemd/$$unit.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service || exit; done
	install -D -m 644 systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/distcomp.conf
	install -D -m 644 systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/distcomp.conf
	packaging/manual $(PRODUCTS) .build/manual
	for page in .build/manual/*; do section=$${page##*.}; install -d $(DESTDIR)$(PREFIX)/share/man/man$$section && \
	  gzip -9n < $$page > $(DESTDIR)$(PREFIX)/share/man/man$$section/$${page##*/}.gz || exit; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(ZSH_COMPLETIONS) \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(PRODUCTS)/distcomp --generate-completion-script bash | sed '1{/^#!/d}' > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/distcomp
	$(PRODUCTS)/distcomp --generate-completion-script zsh > $(DESTDIR)$(ZSH_COMPLETIONS)/_distcomp
	$(PRODUCTS)/distcomp --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/distcomp.fish

deb: package-needs
	@rm -rf $(PACKAGE_DIRECTORY)/root
	@umask 022; $(MAKE) --no-print-directory install DESTDIR=$(PACKAGE_DIRECTORY)/root PREFIX=/usr \
	  ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions
	@packaging/build-deb $(PACKAGE_DIRECTORY)

clean:
	rm -rf .build .distcomp

check-swift:
	@command -v $(SWIFT) >/dev/null || { \
	  echo "Swift 6.2 or newer is needed to build DistComp: https://www.swift.org/install/linux" >&2; exit 2; }

build-needs: check-swift
	@$(call need,$(BUILD_PACKAGES))
	@$(call link-static)

run-needs: check-swift
	@$(call need,$(RUN_PACKAGES))

test-needs: check-swift
	@$(call need,$(TEST_PACKAGES))

package-needs: check-swift
	@$(call need,$(PACKAGE_PACKAGES))

# Installs the packages that are missing when root on a Debian family system; otherwise names them and stops.
# Of prometheus only the programs are wanted: where its service is not known yet it is masked, so that none runs, now or after a boot.
define need
missing=""; for package in $(1); do \
  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; done; \
if [ -z "$$missing" ]; then :; \
elif ! command -v apt-get >/dev/null; then \
  echo "DistComp needs what Debian calls:$$missing. Install your system's packages of that kind, then run make again." >&2; exit 2; \
elif [ "$$(id -u)" -ne 0 ]; then \
  echo "DistComp needs these packages: sudo apt-get install --no-install-recommends$$missing" >&2; exit 2; \
else echo "Installing$$missing"; mkdir -p .build; \
  case "$$missing " in *" prometheus "*) unit=/etc/systemd/system/prometheus.service; \
    [ -e $$unit ] || [ -L $$unit ] || { mkdir -p $${unit%/*} && ln -s /dev/null $$unit; };; esac; \
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } \
    >.build/apt.log 2>&1 || { tail -5 .build/apt.log >&2; exit 2; }; fi
endef
