# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ASSETS := src/crm_web/static/vendor/icons.svg
PORT   ?= 8000

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with all that is needed; this takes about a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)  ## make the virtual environment in .venv

$(ASSETS): $(STAMP) src/crm_web/npm/package-lock.json src/crm_web/assets.py
	$(BIN)/crm assets install

demo: $(STAMP) $(ASSETS)  ## a school's worth of data, what happened to whom, and its web pages
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null || \
		{ echo "Port $(PORT) is taken, perhaps by a demo that still runs. Stop it, or: make demo PORT=8001"; exit 1; }
	$(BIN)/crm demo
	@CRM_DATABASE_URL=sqlite:///demo/demo.db $(BIN)/crm serve --port $(PORT)

test: $(STAMP) $(ASSETS)  ## the whole test suite, on SQLite and on a PostgreSQL started from a wheel
	tests/browser/install.sh
	$(BIN)/python -m pytest -n 3 --dist loadgroup

check: $(STAMP)  ## format, lint, types, borders, documents
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/docs

torture: $(STAMP)  ## the chaos tests of workers, schedule and imports at full length; takes long
	CRM_TEST_NIGHTS=1000 CRM_TEST_KILLS=50 CRM_TEST_NOTICES=10000 CRM_TEST_IMPORT_ROWS=200 \
		$(BIN)/python -m pytest -n 2 --dist loadgroup tests/jobs tests/races/test_import_kill.py

format: $(STAMP)  ## put the code into its form
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: $(STAMP)  ## measure, beside hand-written SQL and other queues in the same run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r bench/requirements.lock
	$(BIN)/python -m bench

lock:  ## pin all dependencies again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra web --extra jobs --extra redis --extra postgres --group dev pyproject.toml -o requirements.lock

clean:  ## remove what was built
	rm -rf $(VENV) src/crm_web/static/vendor dist build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help install demo test check torture format bench lock clean
