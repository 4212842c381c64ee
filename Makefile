# Two commands need nothing but Python 3.11 or later and make: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Exact versions that are tested; with an open range pip would fetch CUDA builds of torch.
INSTALL := $(PIP) install --quiet --constraint constraints.txt

.PHONY: demo test lint typecheck pytest clean

demo: $(VENV)/.demo-installed
	$(BIN)/python docs/examples/plot_quickstart.py

test: lint typecheck pytest

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.dev-installed
	$(BIN)/mypy

# One thread: the networks of the tests are too small to share.
pytest: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(BIN)/python -m pytest

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

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
