# One environment for everything, made on demand. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest

PEERS = orthanc orthanc-dicomweb dcmtk dicom3tools strace

.PHONY: demo test check bench bench-load bench-deidentify bench-memory bench-ledger soak peers format pages clean

# The main job on the embedded archive; the result is in ./demo.
demo: $(VENV)/.installed
	$(BIN)/pacsferry demo

# All tests, three processes at a time: they wait a good deal. ARGS adds options, for example ARGS="tests/core -k ledger".
test: $(VENV)/.installed-dev
	$(PYTEST) -n 3 --dist loadgroup $(ARGS)

# Linters, types, layers, generated pages, the documentation as a site with every link followed.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/pages.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Rewrites the pages that are generated from code.
pages: $(VENV)/.installed-dev
	$(BIN)/python tools/pages.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Speed and memory against peers in the same run; needs `make peers`. Each half has options of its own.
bench: bench-load bench-deidentify bench-ledger

bench-load: $(VENV)/.installed-dev
	$(BIN)/python tools/bench.py $(ARGS)

bench-deidentify: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python tools/bench_deidentify.py $(DEIDENTIFY_ARGS)

bench-ledger: $(VENV)/.installed-dev
	$(BIN)/python tools/bench_ledger.py $(LEDGER_ARGS)

# Commands killed by chance in bad weather, minutes of it, and every crash point; needs `make peers`.
soak: $(VENV)/.installed-dev
	$(BIN)/python tools/soak.py $(ARGS)
	PACSFERRY_SOAK=1 $(PYTEST) tests/chaos

# Memory for one very large object and for very many small ones; takes minutes and needs 8 GB.
bench-memory: $(VENV)/.installed-dev
	$(BIN)/python tools/bench_large.py
	$(BIN)/python tools/bench_many.py

# The real servers and tools that tests and benchmarks talk to (Debian, Ubuntu).
peers:
	@if [ "$$(id -u)" = 0 ]; then as=; else as=sudo; fi; \
	$$as apt-get update -q && DEBIAN_FRONTEND=noninteractive $$as apt-get install -q -y --no-install-recommends $(PEERS)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	|| { rm -rf $(VENV); echo "The venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
