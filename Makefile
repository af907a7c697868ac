# Both work on a fresh machine, offline but for the package index:
#   make demo    set up, and run the main job on drawn scenes
#   make test    set up, and run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint check-long clean

demo: $(VENV)/.export
	$(BIN)/python tools/demo.py

test: $(VENV)/.dev
	$(BIN)/pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every variant at every size, and the wheel on every Python that is there.
check-long: $(VENV)/.dev
	$(BIN)/pytest --long

clean:
	rm -rf $(VENV) build dist out *.egg-info

$(VENV)/.export: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[export]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.export
