# Every target makes the environment by itself when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# the demonstration needs less than the tests: no checkers, no test runner
DEMO := $(VENV)/.demo
# the documentation needs what builds it beside what the demonstration does
DOCS := $(VENV)/.docs
# Workers that run the tests. Each computes with one thread, so that they do not fight over the cores.
PYTEST_WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal
# `make test COVERAGE=yes` also counts the branches that the tests take, which makes them half as long again.
COVERAGE ?=
# The tests start many processes; each would compile the package again where this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test suite test-faults test-kernels lint style types bench docs clean

demo: $(DEMO)
	$(BIN)/specent run quickstart --folder demo --overwrite

# Types are checked beside the tests: without its cache mypy takes a minute of one core, and the tests wait at times.
test: style
	$(MAKE) --no-print-directory --jobs=2 types suite

suite: $(STAMP)
	OMP_NUM_THREADS=1 $(PYTEST) $(if $(COVERAGE),--cov --cov-report=term)

# Faults in their long form: hundreds of kills and thousands of mutations, where the tests above make do with a few.
test-faults: $(STAMP)
	OMP_NUM_THREADS=1 $(PYTEST) -m faults

# The numerical tests on the kernels of other processors than this one. Each kernel runs once, and the number of threads
# alternates: a number that depends on either shows in one of the three, and the full product would tell nothing more.
NUMERICAL := tests/exact tests/test_evidence.py tests/sampling tests/analysis tests/archive
# Left out: coverage of intervals, which takes hundreds of runs to judge a statistical procedure and not a kernel, and
# files that are damaged, and processes that are killed, race each other or check metadata, which compute nothing.
LEFT_OUT := intervals_cover or intervals_of_a_difference_cover or killed_writers or two_writers or threads_may or cf_checker or mutant
# a kernel crashes on a processor without its instructions, as SkylakeX does without AVX-512
THIRD := $(shell grep -qsw avx512f /proc/cpuinfo && echo SkylakeX || echo Sandybridge)

test-kernels: $(STAMP)
	$(call on_kernel,Haswell,1)
	$(call on_kernel,Prescott,2)
	$(call on_kernel,$(THIRD),1)

on_kernel = OPENBLAS_CORETYPE=$(1) ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=$(2) OPENBLAS_NUM_THREADS=$(2) \
	$(PYTEST) -q -k "not ($(LEFT_OUT))" $(NUMERICAL)

lint: style types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# What two cores do in a quarter of an hour; the options of a benchmark make it larger. `make bench CUDA=--cuda` is for a GPU.
CUDA ?=
bench: $(STAMP)
	$(BIN)/python benchmarks $(CUDA)

docs: $(DOCS)
	$(BIN)/python -m sphinx -W --keep-going -j 2 -b html docs docs/_build/html

clean:
	rm -rf $(VENV) build dist demo docs/_build docs/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*

# Python compiles a module when it is imported first; pip would compile all of them, of which few are ever imported
INSTALL := $(BIN)/pip install --quiet --no-compile --constraint constraints.txt

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEMO): $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo]"
	touch $@

$(DOCS): $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo,docs]"
	touch $@ $(DEMO)

$(STAMP): $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[dev]"
	touch $@ $(DEMO)
