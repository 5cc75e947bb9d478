# make demo      see it work, without any account or server
# make test      everything a change must pass: lint, types, layers, tests
# make lint      the first three of them
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
SOURCES := $(shell find src -type f ! -name '*.pyc' 2>/dev/null)

.PHONY: demo test lint soak bench e2e clean

demo: $(VENV)/.for-use
	$(BIN)/tracecraft demo

test: lint $(PEER)/.made
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.for-work
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src tests soak benchmarks
	$(BIN)/lint-imports

soak: $(VENV)/.for-work $(PEER)/.made
	$(BIN)/python -m soak.run $(SOAK_ARGS) -- $(PYTEST_ARGS)

bench: $(VENV)/.for-work $(PEER)/.made $(BENCH)/.made
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

e2e: $(VENV)/.for-work
	$(BIN)/python -m pytest tests/e2e
	$(BIN)/python -m tests.e2e.run

clean:
	rm -rf $(VENV) $(PEER) $(BENCH) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
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
