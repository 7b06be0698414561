# Everything here sets itself up: Python 3.11 or later, make and pip are all a machine needs.

PYTHON ?= python3
BIN := .venv/bin
PIP = $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check -qq
COVERAGE := 95

.PHONY: test demo example-services lint types unit ecosystem fuzz survive bench bench-page simulate clean

# What a reviewer would ask for.
test: lint types unit ecosystem

demo: .venv/demo
	@$(BIN)/python examples/demo.py

# Three services on an afternoon on which one of them fails on a script; half a minute, no containers.
example-services: .venv/examples
	@$(BIN)/python examples/services $(SERVICES)

lint: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/dev
	@$(BIN)/mypy

# In two halves at once, which share no more than the machine. What the one prints is shown when the other has ended. A shell
# lets what runs beside it ignore Ctrl-C, so tests that send it are in the other half.
HALF := tests/compat tests/face tests/incoming tests/middlewares tests/pipeline
unit: .venv/dev
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q $(HALF) $(PYTEST) >.venv/half.log 2>&1 & half=$$!; \
	$(BIN)/coverage run -m pytest -q $(addprefix --ignore=,$(HALF) tests/ecosystem) $(PYTEST); rest=$$?; \
	wait $$half; half=$$?; cat .venv/half.log; \
	: "5: none of its tests was asked for"; \
	for code in $$half $$rest; do [ $$code -eq 0 ] || [ $$code -eq 5 ] || exit $$code; done
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=$(COVERAGE)

# Packages that expect httpx, on scallion. They have an environment of their own.
ecosystem: .venv/dev .venv/ecosystem/made
	@$(BIN)/python -m pytest -q tests/ecosystem $(PYTEST)

# The fast lane of HTTP/1.1 against h11, on all cores: make fuzz SECONDS=3600
SECONDS ?= 60
fuzz: .venv/dev
	@$(BIN)/python -m tests.fuzz.fast_lane --seconds $(SECONDS) --jobs $$(nproc) $(FUZZ)

# Real servers that are killed, stopped and replaced under load, for as long as you like; the tests do it for a minute.
MINUTES ?= 1
survive: .venv/dev
	@$(BIN)/python -m tests.survival --minutes $(MINUTES) --seed $(or $(SEED),1)

# What the same work costs scallion and other clients, which have environments of their own. A whole run is kept for
# the page: make bench bench-page. A part is not, unless it is to replace the part that is kept: make bench CASES=sync UPDATE=1
RESULTS := benchmarks/results.json
WHOLE = $(if $(CASES)$(CLIENTS)$(QUICK)$(BENCH),,--json $(RESULTS))
bench: .venv/bench/clients/made .venv/bench/niquests/made
	@.venv/bench/clients/bin/python benchmarks/run.py $(if $(CASES),--cases '$(CASES)') $(if $(CLIENTS),--clients '$(CLIENTS)') \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) $(if $(UPDATE),--update $(RESULTS),$(WHOLE)) $(BENCH)

# docs/benchmarks.md and its plot, from the run that is kept.
bench-page: .venv/bench/clients/made
	@.venv/bench/clients/bin/python benchmarks/page.py $(RESULTS)

# What the layers do on a bad day, in virtual time: plays all, writes benchmarks/simulation/results.json, docs/simulation.md and
# its plots, in five minutes. One scenario: make simulate SCENARIO=storm SEED=2
simulate: .venv/bench/simulation/made
	@cd benchmarks && ../.venv/bench/simulation/bin/python -m simulation $(if $(SCENARIO),--scenario '$(SCENARIO)') \
		$(if $(SEED),--seed $(SEED)) $(SIMULATE)

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

# What the services of the example need besides.
.venv/examples: .venv/made pyproject.toml
	@$(PIP) install --editable '.[examples]'
	@touch .venv/demo $@

# What testing needs, which is a superset.
.venv/dev: .venv/made pyproject.toml
	@$(PIP) install --editable '.[dev]'
	@touch .venv/demo .venv/examples $@

# What the packages of tests/ecosystem need.
.venv/ecosystem/made: .venv/made pyproject.toml tests/ecosystem/requirements.txt
	@$(PYTHON) -m venv --clear --without-pip .venv/ecosystem
	@$(PIP:$(BIN)/python=.venv/ecosystem/bin/python) install --editable . -r tests/ecosystem/requirements.txt
	@touch $@

# The clients that the benchmarks compare. One that does not install is absent there, which is no error.
.venv/bench/clients/made: .venv/made pyproject.toml benchmarks/requirements.txt
	@$(PYTHON) -m venv --clear --without-pip .venv/bench/clients
	@$(PIP:$(BIN)/python=.venv/bench/clients/bin/python) install --editable . -r benchmarks/requirements.txt || \
		{ $(PIP:$(BIN)/python=.venv/bench/clients/bin/python) install --editable . && \
		grep '==' benchmarks/requirements.txt | while read -r package; do \
			$(PIP:$(BIN)/python=.venv/bench/clients/bin/python) install "$$package" || echo "without $$package" >&2; \
		done; }
	@touch $@

.venv/bench/niquests/made: .venv/made benchmarks/requirements-niquests.txt
	@$(PYTHON) -m venv --clear --without-pip .venv/bench/niquests
	@$(PIP:$(BIN)/python=.venv/bench/niquests/bin/python) install -r benchmarks/requirements-niquests.txt || echo "without niquests" >&2
	@touch $@

# What draws the plots of the simulations.
.venv/bench/simulation/made: .venv/made pyproject.toml benchmarks/simulation/requirements.txt
	@$(PYTHON) -m venv --clear --without-pip .venv/bench/simulation
	@$(PIP:$(BIN)/python=.venv/bench/simulation/bin/python) install --editable . -r benchmarks/simulation/requirements.txt
	@touch $@
