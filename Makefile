# What a newcomer types. Each does its own set-up, says what it does, and can be run again.
#
#   make test TESTS=tests/record           some tests only; see CONTRIBUTING.md
#   make demo PYTHON=/path/to/python       the Python that .venv is made with
export PYTHON
TESTS ?= tests
BENCHMARKS ?=
SECONDS ?= 600
TARGETS ?=

.PHONY: help demo test lint bench fuzz docs clean
help:
	@echo "make demo    profile a bundled program and draw its flame graph"
	@echo "make test    run all tests"
	@echo "make lint    check style, types and the layers of the code"
	@echo "make bench   measure: overhead, start-up, parsing, drawing"
	@echo "make fuzz    read changed files and output for ten minutes, looking for what breaks"
	@echo "make docs    build the documentation site, and check its links"
	@echo "make clean   remove what these have made"

demo:
	@scripts/setup demo
	@scripts/demo

test:
	@scripts/setup test
	@scripts/test $(TESTS)

lint:
	@scripts/setup test
	@scripts/lint

bench:
	@scripts/setup test
	@.venv/bin/python -m benchmarks $(BENCHMARKS)

fuzz:
	@scripts/setup test
	@.venv/bin/python -m fuzz --seconds $(SECONDS) $(TARGETS)

docs:
	@scripts/setup docs
	@scripts/docs

clean:
	rm -rf .venv .cache .viewers demo artifacts build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
