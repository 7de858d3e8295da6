# congvan: `make demo` starts a small province on this machine, `make test` runs the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= demo
BENCH ?= ../shared/bench
ROOMS := config policy mailserver exchange webmail congvan

.PHONY: large help docs install install-dev debian demo test check lint lock build-check

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## everything the program needs, into .venv, from the hashed lock

$(VENV)/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e .
	touch $@

docs: install ## writes docs/rules.md, docs/rfc.md and docs/pitfalls.md anew
	cd / && $(CURDIR)/$(BIN)/congvan rules list --markdown > $(CURDIR)/docs/rules.md
	$(BIN)/python -m tests.rfc_table
	$(BIN)/python -m tests.pitfalls_table

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes -r requirements-dev.lock
	touch $@

debian: ## the Debian packages that the tests use as foreign programs
	@bash tests/debian.sh

demo: install ## a small province: web, IMAP and SMTP on loopback (Ctrl-C ends it)
	$(BIN)/congvan demo --dir $(DIR)

test: debian install-dev ## all tests, a process a core
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: install-dev lint build-check ## lint, types, import contracts, lock, wheel

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/lock_check.py

build-check: ## builds the wheel, installs it outside the tree and starts it from /
	bash tests/wheel_check.sh

.PHONY: fuzz-signatures bench-crypto wycheproof thunderbird
fuzz-signatures: install-dev ## SECONDS_OF_FUZZ=600: coverage-guided fuzzing of CMS, PDF and edXML signatures
	for target in cms envelope edxml pdf; do \
	  $(BIN)/python -m tests.fuzz.signatures $$target -max_total_time=$(or $(SECONDS_OF_FUZZ),600) || exit 1; done

bench-crypto: install-dev ## signing, sealing, verifying beside the bare OpenSSL operations of the same run
	$(BIN)/python -m tests.bench.crypto

wycheproof: install-dev ## VECTORS=…/testvectors_v1: Project Wycheproof against what opens and verifies here
	CONGVAN_WYCHEPROOF=$(VECTORS) $(BIN)/python -m pytest tests/exchange/sealing/test_wycheproof.py

thunderbird: install-dev ## Debian's thunderbird shows our letters as signed and opens the encrypted one (Marionette, headless)
	command -v thunderbird >/dev/null || apt-get install -y -qq --no-install-recommends thunderbird
	$(BIN)/python -m tests.clients.thunderbird

.PHONY: clients
clients: install-dev thunderbird ## Debian's offlineimap3, fetchmail and thunderbird with real jobs against a started demo
	command -v offlineimap >/dev/null && command -v fetchmail >/dev/null || apt-get install -y -qq --no-install-recommends offlineimap3 fetchmail
	$(BIN)/python -m tests.clients.mail_programs

lock: install-dev ## writes the locks anew
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements-dev.lock

large: install-dev ## a file of 2 GB sealed and opened in 256 MB of address space
	CONGVAN_SEALED_MB=2048 $(BIN)/python -m pytest tests/exchange/sealing/test_sealed_file.py -k larger

.PHONY: bench bench-idle bench-memory bench-target bench-target-stop

bench-target: install ## DIR=…: an installation of 2,000 accounts with default safety, detached, for the load driver
	$(BIN)/python -m tests.bench.target up $(DIR)

bench-target-stop: install ## DIR=…: ends it
	$(BIN)/python -m tests.bench.target down $(DIR)

bench: install ## DIR=… (OPTIONS="--only ingest --rounds 1"): beside Postfix and Dovecot, by the load driver in BENCH=
	bash tests/bench/run.sh $(DIR) $(BENCH) $(OPTIONS)

.PHONY: bench-dkim
bench-dkim: debian install-dev ## DIR=… (OPTIONS="--rounds 1 --scale 0.3"): mail in with DKIM verified on both sides (OpenDKIM beside Postfix), letters signed ahead
	$(BIN)/python -m tests.bench.dkim $(DIR) $(BENCH) $(OPTIONS)

bench-memory: install ## DIR=…: memory of the mail process while 64 connections send 25 MiB each to a bench-target
	$(BIN)/python -m tests.bench.memory $(DIR)

bench-idle: install ## DIR=… (CONNECTIONS=10000): memory of each idling IMAP connection to a bench-target, and how fast it hears of a letter
	$(BIN)/python -m tests.bench.idle $(DIR) $(or $(CONNECTIONS),10000)

.PHONY: fuzz
fuzz: install-dev fuzz-signatures ## SECONDS_OF_FUZZ=600: coverage-guided fuzzing of IMAP in every state and of the message scanner; what it finds stays in CORPUS=
	$(BIN)/python -m tests.mailserver.imap.fuzz -max_total_time=$(or $(SECONDS_OF_FUZZ),600) $(or $(CORPUS),/tmp/congvan-fuzz)-imap
	$(BIN)/python -m tests.mailserver.message.fuzz -max_total_time=$(or $(SECONDS_OF_FUZZ),600) $(or $(CORPUS),/tmp/congvan-fuzz)

.PHONY: crash test-cluster

crash: debian install-dev ## long (KILLS=200 STEPS=40): hundreds of kill -9 under load and at each step of delivery, spreading, compaction, purging
	CONGVAN_CRASH_KILLS=$(or $(KILLS),200) CONGVAN_CRASH_STEPS=$(or $(STEPS),40) $(BIN)/python -m pytest --timeout=14400 -rP tests/crash

test-cluster: debian install-dev ## two nodes on one PostgreSQL and one S3 store, one killed under load
	CONGVAN_CLUSTER_LETTERS=2000 $(BIN)/python -m pytest --timeout=1800 tests/cluster

.PHONY: bench-signing
bench-signing: install-dev ## what signing costs beside bare OpenSSL, in CPU time
	$(BIN)/python -m tests.bench.signing
