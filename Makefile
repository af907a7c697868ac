# Both work on a fresh machine, offline but for the package index:
#   make demo    set up, and show the main job on drawn streets: first mask, INT8 export, video
#   make test    set up, and run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests run in this many processes of about 1 GB, one more than cores: some of them mostly wait.
WORKERS ?= 3
# Where .pyc files are forbidden, each process that a test starts would compile edgeseg anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Material for MkDocs, maintained until May 2027, says so at each build unless told not to.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.PHONY: demo test lint docs check-long clean

demo: $(VENV)/.export
	@$(BIN)/python tools/demo.py

# In the same order each time: a change is judged by itself, and what fails, fails again.
test: $(VENV)/.dev
	$(PYTEST) --randomly-seed=15 --durations=10

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sizes.py
	$(SITE) --strict

# Opens at http://localhost:8000 with: python3 -m http.server -d site
docs: $(VENV)/.dev
	$(SITE)

# Every variant at every size, the wheel on every Python that is there, and all tests in a new
# order; the first lines tell its seed.
check-long: $(VENV)/.dev
	$(PYTEST) --long --durations=30

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
