# make demo    start the page (creates .venv and installs into it when needed)
# make test    run the tests
# make lint    formatting, lint and types
# make check   lint and test: what has to pass before a commit
# make bench   time and memory on this machine
#
# Another Python: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# setuptools warns about every editable install; that is what this is.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: $(VENV)/.installed
	@echo "==> quoth serve"
	@$(BIN)/quoth serve

test: $(VENV)/.installed-test
	@echo "==> pytest"
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed-test
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> mypy"
	@$(BIN)/mypy

check: lint test

bench: $(VENV)/.installed
	@echo "==> tests/bench.py"
	@$(BIN)/python tests/bench.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Quoth needs Python 3.11 or newer as $(PYTHON); another one can be named: make demo PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot create environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "==> creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# setuptools comes first, pinned like the rest, so that the build fetches nothing of its own.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> installing Quoth and what it needs (some minutes the first time)"
	@$(PIP) install -c constraints.txt setuptools
	@$(PIP) install -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "==> installing what tests and checks need"
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[test,train]'
	@touch $@
