# Each target makes the virtual environment it needs: PYTHON is the Python to use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow lint bench docs-check clean

demo: $(VENV)/.core  ## train, score and plot on data that ships with a dependency
	$(BIN)/python experiments/train_classifier.py configs/train_classifier/quick.yaml

test: $(VENV)/.dev  ## the fast tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/.dev  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/.dev  ## paired timings; wants an idle machine
	for script in experiments/bench/*.py; do $(BIN)/python $$script || exit 1; done

docs-check: $(VENV)/.dev  ## the examples in docstrings and the commands in the README
	$(BIN)/python -m pytest jaxdl tests/test_readme.py

clean:
	rm -rf .venv runs build dist .pytest_cache .ruff_cache .hypothesis *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[dev,wandb]"
	touch $@ $(VENV)/.core
