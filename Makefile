# A convenience: everything here also works as the plain commands it runs.
PYTHON ?= python3
VENV ?= .venv
# Where a torch without CUDA is looked for, when pip's own configuration does not offer one.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := 2.13.0

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
RUN := OMP_NUM_THREADS=1 $(VENV)/bin/python
DEMO := demo

.PHONY: demo test check soak clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed ## fit a model that is far too big to a tiny board, and report
	$(VENV)/bin/edgesmith demo --out $(DEMO)
	@echo "The report: $(CURDIR)/$(DEMO)/report.html"

test: $(VENV)/.installed-dev ## every test, offline
	$(RUN) -m pytest -q -n auto

check: $(VENV)/.installed-dev ## style, types, doctests, layers, examples
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest -q --doctest-modules src/edgesmith
	$(RUN) -m pytest -q tests/test_layers.py
	@set -e; for example in $(wildcard examples/[0-9]*.py); do echo "$$example"; $(RUN) $$example; done

soak: $(VENV)/.installed-dev ## the property, mutation and kill tests at length
	$(RUN) -m pytest -m soak --soak -n auto -rA

clean: ## remove the environment, so that the next command makes it again
	rm -rf $(VENV)

# --no-deps: an index of torch alone must not decide the version of anything else.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgesmith: needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q --no-deps "torch==$(TORCH)+cpu" 2>/dev/null \
		|| $(PIP) install -q --no-deps --retries 1 --timeout 15 --index-url $(TORCH_INDEX) "torch==$(TORCH)" \
		|| $(PIP) install -q --no-deps "torch==$(TORCH)"
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install -q -c constraints.txt -e ".[fit,firmware,report]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/.installed
