# Both work on a fresh machine, offline but for the package index:
#   make demo    set up, and show the main job on drawn streets: first mask, INT8 export, video
#   make test    set up, and run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Material for MkDocs, maintained until May 2027, says so at each build unless told not to.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.PHONY: demo test lint docs check-long clean

demo: $(VENV)/.export
	@$(BIN)/python tools/demo.py

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

# What is installed, and into which environment: $(call install,EXTRA)
define install
	@echo "installing edgeseg[$(1)] into $(VENV): PyTorch and the engines, which takes a few minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(1)]' || \
	{ echo "the install failed, for the reason above; mend it and run make again" >&2; exit 1; }
endef

$(VENV)/.export: pyproject.toml constraints.txt
	$(call install,export)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,dev)
	@touch $@ $(VENV)/.export
