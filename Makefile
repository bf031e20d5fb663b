PYTHON ?= python3
BIN := .venv/bin

# Prints the version-independent reason for each step: people read this on their first minute.
.PHONY: setup demo test test-all lint clean

setup: .venv/.ready

.venv/.ready: pyproject.toml setup.py constraints.txt $(wildcard edge/core/*.[ch]) edge/core/build_binding.py | toolchain
	@test -d .venv || { echo "setup: creating the virtual environment .venv"; $(PYTHON) -m venv .venv; }
	@echo "setup: installing the pinned Python packages and building the C core (a few minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[host,dev]'
	@touch $@
