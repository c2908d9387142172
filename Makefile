# What a newcomer types. Each does its own set-up, says what it does, and can be run again.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests

.PHONY: help demo test lint bench clean
help:
	@echo "make demo    profile a bundled program and draw its flame graph"
	@echo "make test    run all tests"
	@echo "make lint    check style, types and the layers of the code"
	@echo "make bench   measure: overhead, start-up, parsing, drawing"
	@echo "make clean   remove what these have made"

demo:
	@PYTHON=$(PYTHON) scripts/setup demo
	@scripts/demo

test:
	@PYTHON=$(PYTHON) scripts/setup test
	@scripts/test $(TESTS)

lint:
	@PYTHON=$(PYTHON) scripts/setup test
	@scripts/lint

bench:
	@PYTHON=$(PYTHON) scripts/setup test
	@$(BIN)/python -m benchmarks

clean:
	rm -rf .venv demo artifacts build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
