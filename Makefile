# Every target makes the environment by itself when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# the demonstration needs less than the tests: no checkers, no test runner
DEMO := $(VENV)/.demo

.PHONY: demo test lint bench docs clean

demo: $(DEMO)
	$(BIN)/specent run quickstart --folder demo --overwrite

test: lint
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

docs: $(STAMP)
	$(BIN)/pip install --quiet --editable ".[docs]" --constraint constraints.txt
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEMO): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable ".[demo]" --constraint constraints.txt
	touch $@

$(STAMP): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@ $(DEMO)
