# Everything runs from .venv, which is built from the lock files: nothing has to be installed by hand but Python.

PYTHON ?= python3
UV_VERSION := 0.13.8
LOCKS := config/locks
BIN := .venv/bin
# Many tests wait for processes and sockets, so that three at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -n 3 --dist worksteal
# The slow ones wait for most of their time.
PATIENT := $(BIN)/python -m pytest -n 4 --dist worksteal
# Pure functions, and tests in one process without a server, a daemon or a database.
FAST := tests/arch tests/config tests/domain tests/log tests/providers tests/test_patterns.py tests/test_recurrence.py
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Tests start hundreds of processes: each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-fast test-slow recipes matrix chaos chaos-short slow-and-chaos static lies soak mutants check fmt lint types arch bench docs docs-events docs-config docs-metrics docs-spec docs-states docs-faults man lock build \
	audit image clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/runtime.stamp ## Run Tidewaiter against emulated providers; KEEP=1 leaves it running until Ctrl-C
	$(BIN)/tidewaiter demo $(if $(KEEP),--keep-running)

test: .venv/dev.stamp ## Run the tests: about five minutes on two cores
	$(PYTEST)

test-slow: .venv/dev.stamp ## Run the tests that each take a second or more, mostly of waiting
	$(PATIENT) -m "slow and not chaos"

test-fast: .venv/dev.stamp ## Run the tests that need no server and no daemon: less than a minute
	$(PYTEST) $(FAST)

# Environments of their own in .cache/recipes, from the package index: neither the locks nor CI know of them.
recipes: .venv/dev.stamp ## Run the recipes with the newest Airflow, Dagster and Prefect: NAME=airflow for one
	$(BIN)/python -m tests.recipes $(NAME)

matrix: .venv/dev.stamp ## Kill Tidewaiter and its peers at five moments: NAME=procrastinate MOMENTS=in_download for one
	$(BIN)/python -m tests.peers $(NAME) $(addprefix --moment ,$(MOMENTS))

lies: .venv/dev.stamp ## Run more mixes against a server that lies than the tests do: FIRST=100000 COUNT=20000
	$(BIN)/python -m tests.lying $(or $(FIRST),100000) $(or $(COUNT),20000)

mutants: .venv/dev.stamp ## Take each promise out in turn and see which test fails: AREA=leases NAMES=intent-not-awaited JOBS=2
	$(BIN)/python -m tests.mutants --unchanged --jobs $(or $(JOBS),2) $(addprefix --area ,$(AREA)) $(NAMES)

# What kills and floods, and some of the simulated hours and mixes of lies: CI has 25 minutes. `make chaos` has the many.
SHORT := TIDEWAITER_SEEDS=20 TIDEWAITER_FLEETS=1 TIDEWAITER_MIXES=500 TIDEWAITER_KILLS=3 TIDEWAITER_BLOWS=2 TIDEWAITER_CUTS=0.03

chaos-short: .venv/dev.stamp ## Run the attacks and long repetitions that CI runs: ten minutes at most
	$(SHORT) $(PYTEST) -m "chaos and not long"

# Together, because to collect the tests takes as long as fifty of them.
slow-and-chaos: .venv/dev.stamp
	$(SHORT) $(PATIENT) --durations 30 -m "(slow or chaos) and not long"

# Two at a time: each of them keeps one core busy.
static: .venv/dev.stamp
	$(MAKE) --no-print-directory --jobs 2 types docs lint arch

chaos: .venv/dev.stamp ## Run the same ten times as often, for an hour or more: SEEDS=2000 MIXES=30000 CUTS=1 KILLS=200
	TIDEWAITER_SEEDS=$(or $(SEEDS),2000) TIDEWAITER_MIXES=$(or $(MIXES),30000) TIDEWAITER_CUTS=$(or $(CUTS),1) \
		TIDEWAITER_KILLS=$(or $(KILLS),200) TIDEWAITER_BLOWS=$(or $(BLOWS),30) TIDEWAITER_FROZEN_S=26 TIDEWAITER_UPGRADE_CUTS=50 $(PYTEST) -m "chaos or hypothesis" --hypothesis-profile thorough --timeout 1200

soak: .venv/dev.stamp ## Run a daemon at full rate for an hour; its memory, descriptors and threads may grow by 5 %: SECONDS=3600
	$(BIN)/python -m tests.chaos.soak $(or $(SECONDS),3600)

check: static test slow-and-chaos ## Run everything that must pass before a change is merged, as CI does

fmt: .venv/dev.stamp ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

lint: .venv/dev.stamp ## Check style and formatting, and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/hadolint Dockerfile

types: .venv/dev.stamp ## Check types
	$(BIN)/mypy

arch: .venv/dev.stamp ## Check that imports only point down, and that no Python file names a provider
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.arch.names

bench: .venv/dev.stamp ## Run the benchmarks
	$(BIN)/python -m tests.bench

docs: .venv/dev.stamp ## Build the documentation in dist/site; a broken link is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --doctree-dir dist/doctrees docs dist/site

docs-events: .venv/runtime.stamp ## Write docs/events.md from the catalogue of log events
	$(BIN)/python -m tidewaiter.events > docs/events.md

docs-config: .venv/runtime.stamp ## Write docs/configuration.md and the sample configuration from the tables
	$(BIN)/python -m tidewaiter.config > docs/configuration.md
	$(BIN)/tidewaiter config init --provider symplify - > config/tidewaiter.example.toml

docs-metrics: .venv/runtime.stamp ## Write docs/metrics.md from the catalogue of metrics
	$(BIN)/python -m tidewaiter.metrics > docs/metrics.md

docs-spec: .venv/runtime.stamp ## Write docs/providers/reference.md from the tables of the spec language
	$(BIN)/python -m tidewaiter.providers.reference > docs/providers/reference.md

docs-states: .venv/runtime.stamp ## Write docs/states.md from the state table
	$(BIN)/python -m tidewaiter.domain.states_page > docs/states.md

docs-faults: .venv/runtime.stamp ## Write docs/faults.md from the catalogue of faults and the markers of the tests
	$(BIN)/python -m tests.fault_page > docs/faults.md

man: .venv/runtime.stamp ## Write the manual page from the help of the commands
	$(BIN)/python -m tidewaiter.cli.manual > docs/man/tidewaiter.1

# The same commit gives the same bytes: every time in the wheel and in the bill of materials is the commit's.
build: .venv/release.stamp ## Build the wheel and its bill of materials (CycloneDX) in dist/
	@export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1577836800) && set -x && \
	$(BIN)/python -m hatchling build --target wheel && \
	config/bill-of-materials.sh $(BIN)/cyclonedx-py dist/tidewaiter.cdx.json

audit: .venv/release.stamp ## Look up known vulnerabilities of the locked libraries in the OSV database
	PIP_AUDIT=$(BIN)/pip-audit config/audit.sh

image: ## Build the container image, with docker, podman or buildah
	config/deploy/build-image.sh

# Pins stay if they still fit; `make lock LOCK_ARGS=--upgrade` updates all of them.
# The development lock comes first and bounds the others, so that a version is the same in each.
lock: .venv/bin/pip ## Write the lock files from pyproject.toml
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && set -e && \
	$(BIN)/python -m venv "$$scratch" && \
	"$$scratch/bin/python" -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) && \
	compile() { \
		"$$scratch/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_ARGS) "$$@"; \
	} && \
	compile pyproject.toml --group dev --output-file $(LOCKS)/dev.txt && \
	compile pyproject.toml --extra object --extra aws --constraint $(LOCKS)/dev.txt --output-file $(LOCKS)/runtime.txt && \
	compile --group build --constraint $(LOCKS)/dev.txt --output-file $(LOCKS)/build.txt && \
	compile --group release --constraint $(LOCKS)/dev.txt --output-file $(LOCKS)/release.txt

clean: ## Remove the environment and everything that was built
	rm -rf .venv .cache dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find app migrations tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A candidate counts only when it runs: pyenv's shims exist for versions that are not installed.
.venv/bin/pip:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	echo "Tidewaiter needs Python 3.11 or newer, and $(PYTHON) is not: name one with 'make PYTHON=/path/to/python3 ...'." >&2; \
	exit 1

.venv/runtime.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/runtime.txt | .venv/bin/pip
	$(INSTALL) --require-hashes -r $(LOCKS)/build.txt -r $(LOCKS)/runtime.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/release.stamp: $(LOCKS)/release.txt .venv/runtime.stamp
	$(INSTALL) --require-hashes -r $(LOCKS)/release.txt
	@touch $@

.venv/dev.stamp: $(LOCKS)/dev.txt .venv/runtime.stamp
	$(INSTALL) --require-hashes -r $(LOCKS)/dev.txt
	@touch $@
