# Everything here sets itself up: Python 3.11 or later, make and pip are all a machine needs.

PYTHON ?= python3
BIN := .venv/bin
PIP = $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check -qq
COVERAGE := 95

.PHONY: test demo lint types unit ecosystem bench clean

# What a reviewer would ask for.
test: lint types unit ecosystem

demo: .venv/demo
	@$(BIN)/python examples/demo.py

lint: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/dev
	@$(BIN)/mypy

unit: .venv/dev
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q --ignore=tests/ecosystem $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=$(COVERAGE)

# Packages that expect httpx, on scallion. They have an environment of their own.
ecosystem: .venv/dev .venv/ecosystem/made
	@$(BIN)/python -m pytest -q tests/ecosystem $(PYTEST)

bench: .venv/dev
	@$(BIN)/python benchmarks/run.py $(BENCH)

clean:
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. Its stamps are made anew when pyproject.toml changes.

.venv/made:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "scallion needs Python 3.11 or later, and there is no '$(PYTHON)' here: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "scallion needs Python 3.11 or later, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1): make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null || \
		{ echo "'$(PYTHON)' has no pip: install it (python3-pip on Debian), or make PYTHON=/path/to/python3" >&2; exit 1; }
	@# Without pip of its own, so that machines lacking ensurepip (Debian's python3 alone) will do.
	@$(PYTHON) -m venv --without-pip .venv
	@touch $@

# What running needs.
.venv/demo: .venv/made pyproject.toml
	@$(PIP) install --editable .
	@touch $@

# What testing needs, which is a superset.
.venv/dev: .venv/made pyproject.toml
	@$(PIP) install --editable '.[dev]'
	@touch .venv/demo $@

# What the packages of tests/ecosystem need.
.venv/ecosystem/made: .venv/made pyproject.toml tests/ecosystem/requirements.txt
	@$(PYTHON) -m venv --clear --without-pip .venv/ecosystem
	@$(PIP:$(BIN)/python=.venv/ecosystem/bin/python) install --editable . -r tests/ecosystem/requirements.txt
	@touch $@
