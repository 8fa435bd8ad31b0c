# Everything a person runs. `make ask` and `make test` are the two commands of a fresh machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
Q      ?= How do I avoid data leakage in ad click prediction?

.PHONY: help setup ask test test-fast check lint format types sources bench eval ui calibrate clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp is made anew when the dependencies change, so each target can ask for it at no cost.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (about five minutes the first time: llama.cpp is compiled) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(VENV)/.installed ## make the environment and install everything

ask: setup ## index the notes and answer a question: make ask Q="…"
	@$(BIN)/tutor ingest
	@$(BIN)/tutor ask "$$QUESTION"
ask: export QUESTION = $(Q)

test: setup ## run all tests
	@$(BIN)/pytest -q

test-fast: setup ## run the tests that need no model and no browser
	@$(BIN)/pytest -q -m "not models and not browser"

check: lint types ## lint and types
	@$(BIN)/tutor notes lint

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup
	@$(BIN)/mypy

sources: setup ## write corpus/SOURCES.md anew from the notes
	@$(BIN)/tutor notes sources > corpus/.sources && mv corpus/.sources corpus/SOURCES.md

bench: setup ## measure the targets, as ratios from one run
	@$(BIN)/python -m benchmarks

eval: setup ## score the answers on our questions
	@$(BIN)/tutor ingest
	@$(BIN)/tutor eval

ui: setup ## open the page
	@$(BIN)/tutor ui

calibrate: setup ## fit the abstention decision and the grounding checker anew
	@$(BIN)/tutor ingest
	@$(BIN)/python -m evals.calibrate_grounding
	@$(BIN)/python -m evals.calibrate_abstention

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
