# Both work on a fresh machine, offline but for the package index:
#   make demo    set up, and run the main job on drawn scenes
#   make test    set up, and run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Material for MkDocs, maintained until May 2027, says so at each build unless told not to.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.PHONY: demo test lint docs check-long clean

demo: $(VENV)/.export
	$(BIN)/python tools/demo.py

test: $(VENV)/.dev
	$(BIN)/pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SITE) --strict

# Opens at http://localhost:8000 with: python3 -m http.server -d site
docs: $(VENV)/.dev
	$(SITE)

# Every variant at every size, and the wheel on every Python that is there.
check-long: $(VENV)/.dev
	$(BIN)/pytest --long

clean:
	rm -rf $(VENV) build dist out site *.egg-info

$(VENV)/.export: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[export]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.export
