# make demo     the main job in a minute, no broker to install      (make demo ARGS="--workers 5 --kill")
# make test     lint, types, and every test, those against a real Apache Kafka included
# make unit     the fast tests only
# make setup    the virtual environment in $(VENV), for development
# make docs     write the generated tables into the documentation
# make constraints   pin anew what the environment is made of
# make clean

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types unit docs constraints clean

VENV ?= .venv
ARGS ?=
PROCESSES ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
RUNTIME := $(VENV)/.runtime-is-installed
TOOLS := $(VENV)/.tools-are-installed
DOCUMENTS := README.md $(wildcard docs/*.md)

# the first Python of a version that is supported; a name on the PATH may be one that does not run
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 && echo "$$name" && break; \
	done)

help:
	@sed -n 's/^# make/make/p' Makefile

setup: $(TOOLS)

demo: $(RUNTIME)
	$(BIN)/pesto-stream demo $(ARGS)

# side by side, for most of the time goes by in waiting for brokers; the tests of a module stay together, and share what it started
test: lint types
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadscope

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/generate.py --check $(DOCUMENTS)

types: $(TOOLS)
	$(BIN)/mypy

unit: $(TOOLS)
	$(BIN)/python -m pytest tests/unit tests/test_architecture.py

docs: $(TOOLS)
	$(BIN)/python docs/generate.py $(DOCUMENTS)

$(RUNTIME): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on the PATH: install one, or name it with 'make PYTHON=...'" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(TOOLS): $(RUNTIME)
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@

# Names and versions of all extras. The two builds of the ONNX runtime cannot be installed side by side, so one is only asked for.
constraints:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on the PATH" >&2; exit 1; }
	@set -eu; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	"$(PYTHON)" -m venv "$$fresh/venv"; pip="$$fresh/venv/bin/python -m pip --disable-pip-version-check --no-input"; \
	$$pip install --quiet '.[test,onnx]'; \
	$$pip list --format=freeze --exclude pesto-stream --exclude pip --exclude setuptools >"$$fresh/all"; \
	$$pip install --quiet --dry-run --no-deps --report "$$fresh/report" onnxruntime-gpu; \
	"$(PYTHON)" -c 'import json, sys; m = json.load(open(sys.argv[1]))["install"][0]["metadata"]; print(m["name"] + "==" + m["version"])' \
		"$$fresh/report" >>"$$fresh/all"; \
	LC_ALL=C sort -f "$$fresh/all" >constraints.txt

clean:
	rm -rf build dist demo-out htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/kafka/target
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
