# make setup | demo | test | test-all | fuzz | lint | clean. Each sets up what it needs; nothing has to be run first.
PYTHON ?= python3
BIN := .venv/bin
# A process a core. Quick tests of a file stay together, for the fixtures that they share.
PYTEST := $(BIN)/python -m pytest -q -n auto
DEMO_ARGS ?=
# Of `make fuzz`, shared by the core and the filter designs.
FUZZ_SECONDS ?= 600
CORE := $(wildcard edge/core/*.[ch]) edge/core/build_binding.py

# Programs that pip cannot bring, and Debian's packages that hold them.
DEBIAN_PACKAGES := gcc python3-venv python3-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static clang
TOOLS := cc arm-none-eabi-gcc qemu-system-arm aarch64-linux-gnu-gcc qemu-aarch64-static clang

.PHONY: setup demo test test-all fuzz lint clean toolchain

setup: .venv/.ready

demo: setup
	@$(BIN)/innervate demo $(DEMO_ARGS)

test: setup lint
	@$(PYTEST) --dist loadfile -m "not slow"

test-all: test
	@$(PYTEST) --dist worksteal -m slow

fuzz: setup
	@$(BIN)/python -m tests.fuzz_core --seconds $$(($(FUZZ_SECONDS) / 2))
	@$(BIN)/python -m tests.fuzz_designs --seconds $$(($(FUZZ_SECONDS) / 2))

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

.venv/.ready: pyproject.toml setup.py constraints.txt $(CORE) | toolchain
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "setup: $(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/pip || { echo "setup: creating the virtual environment .venv"; $(PYTHON) -m venv .venv; }
	@echo "setup: installing the pinned Python packages and building the C core (minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[host,dev]'
	@touch $@

# All but cc are wanted, not needed: without cross compiler and emulator the demo and the tests use `host:`, the same
# firmware compiled natively, and the tests of the core on other processors are left out.
toolchain:
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing venv"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "setup: missing:$$missing"; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "setup: installing Debian's $(DEBIAN_PACKAGES)"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN_PACKAGES); } >/dev/null || \
	        echo "setup: apt-get could not install them; the emulated board is left out, host: takes its place"; \
	else \
	    echo "setup: no right to install them here. Without cross compiler and emulator, host: takes the emulated board's place."; \
	    echo "setup: to have them: sudo apt-get install $(DEBIAN_PACKAGES)"; \
	fi

clean:
	@rm -rf .venv build out *.egg-info edge/_core*.so edge/_core.c
