# Two commands set everything up on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two files at a time: most tests wait for programs and clocks.
SIDE_BY_SIDE := -n 2 --dist loadfile

.PHONY: help demo test lint types unit e2e docs bench soak clean

help:
	@echo "make demo   run an ordinary client under winsock run, and see what it did"
	@echo "make test   ruff, mypy --strict, pytest with branch coverage"
	@echo "make bench  the benchmarks, as tables"
	@echo "make soak   long runs: storms of signals, thousands of connections"
	@echo "make docs   write docs/map.md and docs/signatures.md anew"

$(BIN)/winsock: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	$(BIN)/python -m compileall -q src/winsock
	@touch $@

$(BIN)/pytest: $(BIN)/winsock
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(BIN)/winsock
	@$(BIN)/python examples/demo.py

test: lint types unit

lint: $(BIN)/pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/pytest
	$(BIN)/mypy

unit: $(BIN)/pytest
	$(BIN)/pytest $(SIDE_BY_SIDE) --cov --cov-report=term:skip-covered

e2e: $(BIN)/pytest
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/e2e

docs: $(BIN)/winsock
	$(BIN)/python docs/generate.py

bench: $(BIN)/pytest
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python benchmarks/supervised.py
	$(BIN)/python benchmarks/relay.py
	$(BIN)/python benchmarks/in_process.py
	$(BIN)/python benchmarks/waiting.py
	$(BIN)/python benchmarks/memory.py

soak: $(BIN)/pytest
	$(BIN)/pytest -m soak tests

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
