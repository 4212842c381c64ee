# All commands need nothing but Python 3.11 or later and make. First ones: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Exact versions that are tested; with an open range pip would fetch CUDA builds of torch.
INSTALL := $(PIP) install --quiet --constraint constraints.txt

.PHONY: demo test test-all lint typecheck pytest pytest-all coverage test-oldest docs fuzz clean

# One thread for each: the networks of the tests are too small to share. A worker that has nothing
# left takes tests from the end of another's list, so that most tests find the models that are
# fitted once for their file.
WORKERS ?= 2
THREADS := OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1
PARALLEL := --numprocesses $(WORKERS) --dist worksteal

# How long `make fuzz` looks for broken promises, and from which seed; without one it draws one.
FUZZ_MINUTES ?= 30
FUZZ_SEED ?=

demo: $(VENV)/.demo-installed
	$(BIN)/python docs/examples/plot_quickstart.py

# The short run has at least one case of each promise, `test-all` all of them.
test: lint typecheck pytest

test-all: lint typecheck pytest-all

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

typecheck: $(VENV)/.dev-installed
	$(BIN)/mypy
	$(BIN)/mypy --strict --follow-imports=silent tests/typed_usage.py

pytest: $(VENV)/.dev-installed
	$(THREADS) $(BIN)/python -m pytest $(PARALLEL) -m "not thorough"

pytest-all: $(VENV)/.dev-installed
	$(THREADS) $(BIN)/python -m pytest $(PARALLEL)

# Where tests go and do not go; the page is coverage/index.html.
coverage: $(VENV)/.dev-installed
	$(BIN)/coverage erase
	$(THREADS) $(BIN)/coverage run -m pytest $(PARALLEL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage html --quiet

# The oldest versions that are supported, in an environment of their own. ScoreMonitor's example is
# left out: it is for the callbacks of scikit-learn, which came with 1.9. The warning is about how
# scikit-learn 1.7 hands its checks to pytest.
OLDEST := .venv-oldest
test-oldest: $(OLDEST)/.installed
	$(THREADS) $(OLDEST)/bin/python -m pytest $(PARALLEL) \
		-W "ignore:Passing a non-Collection:pytest.PytestRemovedIn10Warning" \
		--deselect sklearn_aae/callbacks/monitors.py::sklearn_aae.callbacks.monitors.ScoreMonitor

# Warnings are errors; the examples run, and check their own results.
docs: $(VENV)/.docs-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --nitpicky --fail-on-warning --keep-going \
		-b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

fuzz: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz.py --minutes $(FUZZ_MINUTES) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or later is needed: make PYTHON=/path/to/python3.11')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[plot]"
	touch $@

# pip reads dependency groups from 25.1 on.
$(VENV)/.dev-installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet "pip>=25.1"
	$(INSTALL) --editable ".[plot]" --group dev
	touch $@

$(VENV)/.docs-installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet "pip>=25.1"
	$(INSTALL) --editable ".[plot]" --group docs
	touch $@

$(OLDEST)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(OLDEST)
	sed -e 's/^numpy==.*/numpy==2.0.2/' -e 's/^scipy==.*/scipy==1.13.1/' \
		-e 's/^scikit-learn==.*/scikit-learn==1.7.2/' constraints.txt > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet "pip>=25.1"
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt \
		--editable ".[plot]" --group dev
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* coverage \
		docs/_build docs/api docs/auto_examples docs/benchmark_tables.md
