# make demo   the first minute: the embedded model hears a command, calls a function, reads a display
# make test   every check: lint, types, tests
# Both work in a fresh clone and need only Python 3.11+ and make, no root.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := edge export quant benchmarks tests

.PHONY: demo test lint types unit format constraints clean

demo: .venv/demo.stamp
	$(BIN)/python -m benchmarks.demo

test: lint types unit

lint: .venv/test.stamp
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: .venv/test.stamp
	$(BIN)/mypy

unit: .venv/test.stamp
	$(BIN)/python -m pytest $(ARGS)

format: .venv/test.stamp
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

constraints:
	sed -n '/^#/p' constraints.txt > constraints.new
	$(PIP) freeze --exclude-editable | sed 's/+cpu$$//' >> constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "phi-edge needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "setting up .venv (once)"
	$(PIP) install -c constraints.txt -e ".[pull,export]"
	touch $@

.venv/test.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "setting up .venv for the tests (once)"
	$(PIP) install -c constraints.txt -e ".[test]"
	touch $@
