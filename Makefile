# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help install demo ui test test-fast check format audit bench screenshots pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/.installed ## make .venv with locked versions

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[questdb,dev]'
	@touch $@

demo: install ## synthetic markets and a real recording through the whole pipeline, in ./demo
	@mkdir -p demo && cd demo && ../$(BIN)/tributary demo

ui: install ## the Dagster UI on the demo's instance
	@test -f demo/tributary.yaml || { echo "error: no demo yet; run 'make demo' first" >&2; exit 1; }
	@cd demo && ../$(BIN)/tributary ui

check: install ## format, lint, types, import contracts, unused code and dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/vulture

format: install ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-fast: install ## the tests that need no server
	$(BIN)/python -m pytest -m 'not integration'

test: install ## every test, on real servers
	$(BIN)/python -m pytest

bench: install ## what is measured, as ratios within one run
	$(BIN)/python -m benchmarks

screenshots: demo ## the pictures in docs/images, from the demo's UI in a real browser
	$(BIN)/python -m docs.screenshots demo

pictures: install ## the pictures and examples of docs/calibration.md, from synthetic markets
	$(BIN)/python -m docs.calibration_pictures

# An environment of its own: the auditor's dependencies stay out of the locked ones. What could not be looked up fails.
audit: install ## known vulnerabilities of the locked versions (asks the package index's advisory service)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt

clean: ## remove what the targets made
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache
