# Everything a fresh Debian machine needs to run mailrecv and to test it; `make` alone lists the targets.

PYTHON ?= python3
PORT ?= 2525
FUZZ_SECONDS ?= 600
WHICH ?= system
BIN := .venv/bin

# A venv belongs to one interpreter and one folder: its stamp is named after both, so that another PYTHON and a copied
# tree get a new one.
STAMP := .venv/made-$(shell echo "$(PYTHON) $(CURDIR)" | cksum | cut -d' ' -f1)

# 'PROBE => PACKAGE...': what must be there, and the Debian packages that bring it.
PYTHON_PACKAGE := $(notdir $(PYTHON))
BUILD_NEEDS := \
	'$(PYTHON) -c "import ensurepip, venv" => $(PYTHON_PACKAGE)-venv' \
	'$(PYTHON) -c "import sysconfig; open(sysconfig.get_config_h_filename())" => $(PYTHON_PACKAGE)-dev' \
	'echo "int main(void) { return 0; }" | cc -x c -o /dev/null - => gcc libc6-dev' \
	'pkg-config --exists libsystemd => pkg-config libsystemd-dev'
TEST_NEEDS := \
	'bash -c ". /usr/share/bash-completion/bash_completion" => bash-completion' \
	'command -v btrfs && command -v mkfs.btrfs => btrfs-progs' \
	'command -v curl => curl' \
	'command -v debootstrap => debootstrap' \
	'command -v dnsmasq => dnsmasq-base' \
	'command -v fail2ban-regex => fail2ban' \
	'command -v formail => procmail' \
	'command -v groff && command -v man => groff-base man-db' \
	'command -v ip => iproute2' \
	'command -v mandoc => mandoc' \
	'command -v mkfs.ext4 => e2fsprogs' \
	'command -v logrotate => logrotate' \
	'command -v msmtp => msmtp' \
	'command -v mutt => mutt' \
	'command -v ps => procps' \
	'command -v strace => strace' \
	'command -v swaks => swaks' \
	'command -v systemd-nspawn => systemd-container' \
	'command -v systemd-analyze && command -v systemd-socket-activate => systemd' \
	'command -v xinetd => xinetd' \
	'command -v zsh => zsh' \
	'ls /lib/systemd/systemd-journal-remote => systemd-journal-remote' \
	'nc -h 2>&1 | grep OpenBSD => netcat-openbsd'
DOCS_NEEDS := \
	'command -v mandoc => mandoc'
BENCH_NEEDS := \
	'command -v findmnt && command -v unshare => mount util-linux' \
	'command -v systemd-socket-activate => systemd' \
	'command -v xargs => findutils'
DEB_NEEDS := \
	'dpkg-checkbuilddeps packaging/debian/control => build-essential debhelper dh-python libpcre2-dev python3-dev'

.PHONY: help venv run test test-system test-tools faults soak attacks senders fuzz reliability bench lint docs deb clean
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

venv: $(STAMP) ## make .venv, with mailrecv and all that its development needs (PYTHON=python3.12 chooses the Python)

$(STAMP): pyproject.toml .ci/constraints.txt
	.ci/system-packages $(BUILD_NEEDS)
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("mailrecv needs Python 3.11 or newer")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install -q -c .ci/constraints.txt pip setuptools
	$(BIN)/pip install -q -c .ci/constraints.txt --no-build-isolation -e '.[dev]'
	$(BIN)/python packaging/make-launcher $(BIN)/mailrecv
	@touch $@

run: venv ## serve on 127.0.0.1:2525 and deliver into ./var (PORT=2526 chooses the port)
	@mkdir -p var
	@sed -n '/^$$/q; s/2525/$(PORT)/g; s/^# \?//p' docs/examples/try.conf
	@exec $(BIN)/mailrecv listen -c docs/examples/try.conf 127.0.0.1:$(PORT)

test: venv test-tools lint deb ## check everything, with real mail clients, and the package in a booted Debian 12
	$(BIN)/pytest -m 'not trixie and not long'

test-system: venv test-tools deb ## check the package in booted Debians of all releases (WHICH=trixie for one of them)
	$(BIN)/pytest -m $(WHICH) tests/system

faults: ## fail every system call of a session, kill it at each, cut the power
soak: ## deliver thousands of messages at the same time, while others meddle; a gigabyte; every way to hold a connection
attacks: ## try to get in, to stay in, and to be taken for somebody else
senders: ## let Postfix and Exim deliver through mailrecv
faults soak attacks senders: venv test-tools
	nice $(BIN)/pytest tests/$@ --figures var/figures/$@.json

fuzz: venv ## feed the protocol and the configuration anything, for ten minutes (FUZZ_SECONDS=60 for less)
	$(BIN)/pip install -q -c .ci/constraints.txt --no-build-isolation -e '.[fuzz]'
	nice $(BIN)/python -m tests.fuzz.run $(FUZZ_SECONDS) var/figures/fuzz.json

reliability: venv test-tools ## all of these five, and their figures into docs/reliability.md; takes half an hour
	rm -rf var/figures
	$(MAKE) fuzz & fuzz=$$!; \
	$(MAKE) faults soak attacks senders; others=$$?; \
	wait $$fuzz && exit $$others
	$(BIN)/python -m docs.reliability

bench: venv $(if $(SYSTEMD),test-tools deb) ## measure speed beside aiosmtpd's and Postfix's into docs/performance.md, as root (QUICK=1 tries it)
	@.ci/system-packages $(BENCH_NEEDS)
	$(BIN)/pip install -q -c .ci/constraints.txt --no-build-isolation -e '.[bench]'
	$(BIN)/python packaging/make-launcher $(BIN)/mailrecv
	$(BIN)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick --into var/bench) \
		$(if $(FULL),--full) $(if $(SYSTEMD),--systemd)

test-tools: ## install the programs that the tests talk to
	@.ci/system-packages $(TEST_NEEDS)

lint: venv ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: venv ## renew the state diagram in docs/session.md, and from docs/man/ the pages that a forge shows
	@.ci/system-packages $(DOCS_NEEDS)
	$(BIN)/python -m docs.state_diagram
	$(BIN)/python -m docs.manual

deb: venv ## build the Debian package, for Debian 12 and later, into ./dist
	@.ci/system-packages $(DEB_NEEDS)
	@packaging/build-deb $(BIN)/python

clean: ## remove whatever make has made, ./var included
	rm -rf .venv var build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
