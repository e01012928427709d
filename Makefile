# The bare call lists the targets. Everything installs into .venv, nothing outside this folder.
.DEFAULT_GOAL := help
.PHONY: help setup run watch test lint format bench soak clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
CONFIG ?= .run/quickstart.yaml
SOAK   ?= 10m

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml config/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("ingestor needs Python 3.11 or newer; call make PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); $(PYTHON) -m pip install --quiet --target .run/virtualenv virtualenv && PYTHONPATH=.run/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint config/constraints.txt 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint config/constraints.txt --editable . --group dev
	@touch $@

run: setup ## the main job once: sandbox API, sample images, manifest
	@$(BIN)/python tests/samples.py .run/inbox
	@cp config/quickstart.yaml .run/quickstart.yaml
	@INGESTOR_LOG__FORMAT=console $(BIN)/ingestor backfill --verbose --config $(CONFIG); code=$$?; \
	  echo; echo "The manifest ($$(wc -l < .run/var/manifest.jsonl) lines, .run/var/manifest.jsonl):"; cat .run/var/manifest.jsonl; \
	  test $$code -eq 0 -o $$code -eq 3

watch: setup ## the daemon on the same settings; drop images into .run/inbox
	@mkdir -p .run/inbox && cp config/quickstart.yaml .run/quickstart.yaml
	@exec $(BIN)/ingestor watch --config $(CONFIG)

# Three at once: on two cores, half of the time goes into waiting for programs.
test: setup ## the whole test suite
	@tests/install.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 3 tests

lint: setup ## ruff, mypy (strict), import floors
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: setup ## benchmarks: ratios against peers measured in the same run
	@$(BIN)/python -m tests.benchmarks

soak: setup ## long runs under faults: make soak SOAK=10m
	@$(BIN)/python -m pytest -n 0 -m soak --soak $(SOAK) -s tests

clean: ## remove what the other targets made
	rm -rf .venv .run .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
