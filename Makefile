# Every command a person or a pipeline needs; `make` alone lists them. Needs Python 3.11+, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIST ?= dist
# The packages stand in hash-locked files; a stamp says which of them the environment holds.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PEERS := $(VENV)-bench/.installed
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check format chaos bench bench-peers binary lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) ## Make .venv and install everything that development needs
	@echo "Ready: $(BIN)/llmgw --help"

demo: $(RUNTIME) ## Run the whole product with a simulated provider
	@$(BIN)/llmgw demo

test: $(DEV) ## Run every test
	@$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(DEV) ## Format, lint, types, import contracts, docs
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest --quiet tests/docs

format: $(DEV) ## Format the code and mend what the linter can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

chaos: $(DEV) ## Let stores fail at random under load (CHAOS_SEEDS=1,2,3 CHAOS_SECONDS=60)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-60} $(BIN)/python -m pytest -q tests/nodes/test_chaos.py

bench: $(DEV) ## Measure against nginx on this machine, about 10 minutes
	@$(BIN)/python -m bench

bench-peers: $(PEERS) ## Install LiteLLM proxy beside it, which `make bench` then measures too
	@echo "Ready: make bench"

binary: $(DEV) ## Build dist/llmgw, one file that needs no Python
	@$(BIN)/python -m PyInstaller --noconfirm --log-level WARN --distpath $(DIST) --workpath build packaging/llmgw.spec
	@echo "Built: $(DIST)/llmgw"

lock: $(DEV) ## Resolve the dependencies again (UPGRADE=1: to their newest releases)
	@$(COMPILE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock
	@$(COMPILE) --group build --output-file requirements-build.lock
	@$(COMPILE) --group peers --output-file requirements-peers.lock

clean: ## Remove the environment and everything that was built or cached
	rm -rf $(VENV) $(VENV)-bench build dist .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find llmgw tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) on PATH. Install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "llmgw needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make setup PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: its venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; } >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): requirements.lock requirements-build.lock | $(BIN)/python
	@echo "Installing what llmgw needs into $(VENV) ..."
	@$(INSTALL) --require-hashes --requirement requirements.lock --requirement requirements-build.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements.lock requirements-dev.lock requirements-build.lock | $(BIN)/python
	@echo "Installing what development needs into $(VENV) ..."
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@

$(PEERS): requirements-peers.lock | $(BIN)/python
	@echo "Installing LiteLLM proxy into $(VENV)-bench ..."
	@$(BIN)/python -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@
