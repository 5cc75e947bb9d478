# make demo      see it work, without any account or server
# make test      everything a change must pass: lint, types, layers, tests
# make lint      the first three of them
# make exports   exported runs, read by the programs they are for
# make soak      the long runs
# make bench     speed beside 0.2.5, what waiting costs, growing projects, mirrored sessions; into docs/performance.md
# make e2e       the page of a replay in a headless Chromium: what it asks for, how smooth it is, pictures of it
# make clean     remove what these made
#
# Another Python than python3:  make test PYTHON=python3.12
# Options for pytest:           make test PYTEST_ARGS="-n 4 tests/support"
# Some of the benchmarks:       make bench BENCH_ARGS="speed waiters"
# Some of the long runs:        make soak SOAK_ARGS="linear races"

PYTHON ?= python3
PYTEST_ARGS ?= -n 2
BENCH_ARGS ?=
SOAK_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PEER := .venv-peer
BENCH := .venv-bench
TRACKERS := .venv-trackers
HARBOR := .venv-harbor
SOURCES := $(shell find src -type f ! -name '*.pyc' 2>/dev/null)

.PHONY: demo test lint exports soak bench e2e clean

demo: $(VENV)/.for-use
	$(BIN)/tracecraft demo

test: lint $(PEER)/.made
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.for-work
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src tests soak benchmarks
	$(BIN)/lint-imports

exports: $(VENV)/.for-work $(HARBOR)/.made $(TRACKERS)/.made
	TRACECRAFT_TEST_HARBOR=$(CURDIR)/$(HARBOR)/bin/python TRACECRAFT_TEST_MLFLOW=$(CURDIR)/$(TRACKERS)/bin/python \
		$(BIN)/python -m pytest tests/runs/test_export_consumers.py

soak: $(VENV)/.for-work $(PEER)/.made
	$(BIN)/python -m soak.run $(SOAK_ARGS) -- $(PYTEST_ARGS)

bench: $(VENV)/.for-work $(PEER)/.made $(BENCH)/.made $(TRACKERS)/.made
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

e2e: $(VENV)/.for-work
	$(BIN)/python -m pytest tests/e2e
	$(BIN)/python -m tests.e2e.run

clean:
	rm -rf $(VENV) $(PEER) $(BENCH) $(TRACKERS) $(HARBOR) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment, with the package installed either as users get it or as it is worked on: each way undoes the other.

$(VENV)/.for-use: $(VENV)/.made pyproject.toml $(SOURCES)
	rm -f $(VENV)/.for-work
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	touch $@

$(VENV)/.for-work: $(VENV)/.made pyproject.toml
	rm -f $(VENV)/.for-use
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# The published program that the tests in tests/interop work beside, in an environment of its own.

export TRACECRAFT_TEST_PEER ?= $(CURDIR)/$(PEER)/bin/tracecraft

$(PEER)/.made:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check tracecraft-ai==0.2.5
	touch $@

# Ours as users have it, for the benchmarks: installed, not as it is worked on.

$(BENCH)/.made: pyproject.toml $(SOURCES)
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check .
	touch $@

# Other trackers of runs, to be measured beside, and to be given what is exported: 700 MB.

$(TRACKERS)/.made:
	$(PYTHON) -m venv $(TRACKERS)
	$(TRACKERS)/bin/python -m pip install --quiet --disable-pip-version-check mlflow==3.17.2 trackio==0.43.0
	touch $@

# The validator of trajectories, which wants a newer Python than ours need be: one of these, or NEWER_PYTHON=...

NEWER_PYTHON ?= $(firstword $(foreach python,$(PYTHON) python3.14 python3.13 python3.12 \
	$(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python3), \
	$(shell $(python) -c 'import sys; sys.version_info < (3, 12) or print("$(python)")' 2>/dev/null)))

$(HARBOR)/.made:
	@test -n "$(NEWER_PYTHON)" || \
		{ echo "Python 3.12 or newer is needed: make exports NEWER_PYTHON=/path/to/python3"; exit 1; }
	$(NEWER_PYTHON) -m venv $(HARBOR)
	$(HARBOR)/bin/python -m pip install --quiet --disable-pip-version-check harbor==0.26.0
	touch $@
