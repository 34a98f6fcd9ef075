# `make demo` and `make test` need python3, git and make; they install the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# Containers like to set it. A platform is a dozen processes, and without what Python keeps of a module each of them compiles
# all of ours again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format serve bench bench-deploy bench-build bench-ledger-intake bench-ledger-sustained bench-proxy bench-growth bench-pages bench-stats screenshots lock clean test-oracles test-chdb bench-event-batches bench-ledger

help:  ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/ready haproxy  ## two branches pushed, visitors sent, a report; ONCE=1 checks itself and exits
	@$(BIN)/python examples/demo.py $(if $(ONCE),--once) $(ARGS)

# Three, on two cores: tests wait for what they have started. With four the cores had no rest and tests that look at the
# clock or at a share of a processor failed.
test: $(VENV)/ready haproxy  ## the tests; ARGS=… goes to pytest
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-oracles: $(VENV)/ready  ## the figures beside those of tea-tasting, which it installs
	@$(BIN)/pip install --disable-pip-version-check --no-input --quiet --require-hashes -r requirements/oracles.txt
	@$(BIN)/pytest tests/oracles $(ARGS)

test-chdb: $(VENV)/ready  ## the contract of the ledger's engines on today's ClickHouse too, by chDB
	@$(BIN)/pip install --disable-pip-version-check --no-input --quiet --require-hashes -r requirements/chdb.txt
	@$(BIN)/pytest tests/contract/test_ledger_engines.py tests/contract/test_ledger_cells_engines.py -k chdb $(ARGS)

check: lint test  ## format, lint, imports, types, tests

lint: $(VENV)/ready  ## what can be checked without running
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy

format: $(VENV)/ready  ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

serve: $(VENV)/ready haproxy  ## the platform, in the foreground
	@$(BIN)/balancer serve $(ARGS)

bench: bench-deploy bench-proxy bench-growth  ## every comparison

bench-deploy: $(VENV)/ready haproxy  ## what visitors notice of deploys; ARGS="--deploys 100"
	@PYTHONPATH=tests $(BIN)/python bench/deploy.py $(ARGS)

bench-build: $(VENV)/ready  ## how long builds take, first and again with the same dependencies
	@PYTHONPATH=tests $(BIN)/python bench/build.py

bench-ledger: $(VENV)/ready  ## the report over 10 M events, beside chDB and PostgreSQL; ARGS="--events 1000000", "--large"
	@sh scripts/install.sh postgres
	@$(BIN)/pip install --disable-pip-version-check --no-input --quiet --require-hashes -r requirements/chdb.txt
	@PYTHONPATH=bench $(BIN)/python bench/ledger.py $(ARGS)

bench-ledger-intake: $(VENV)/ready  ## how many lines of the edge log the ledger takes in; ARGS="--lines 200000"
	@$(BIN)/python bench/ledger_intake.py $(ARGS)

bench-ledger-sustained: $(VENV)/ready haproxy  ## a minute of 30,000 beacons and of 100,000 sent events a second; ARGS="--only batches"
	@sh scripts/install.sh wrk
	@PYTHONPATH=tests:bench $(BIN)/python bench/ledger_sustained.py $(ARGS)

bench-event-batches: $(VENV)/ready haproxy  ## how many events of batches are taken in, and when they are acknowledged
	@PYTHONPATH=tests:bench $(BIN)/python bench/event_batches.py $(ARGS)

bench-proxy: $(VENV)/ready haproxy  ## CPU time of a request beside nginx, Caddy, Envoy, bare HAProxy; ARGS="--rounds 3"
	@sh scripts/install.sh peers
	@$(BIN)/pip install --disable-pip-version-check --no-input --quiet --require-hashes -r requirements/bench.txt
	@PYTHONPATH=tests $(BIN)/python bench/proxy.py $(ARGS)

bench-growth: $(VENV)/ready haproxy  ## what 1, 10, 100, 1,000 apps cost; ARGS="--sizes 1 100"
	@sh scripts/install.sh wrk
	@PYTHONPATH=tests:bench $(BIN)/python bench/growth.py $(ARGS)

bench-pages: $(VENV)/ready haproxy  ## how long the dashboard takes with 3 and with 1,000 apps; ARGS="--loads 10"
	@PYTHONPATH=tests:bench $(BIN)/python bench/pages.py $(ARGS)

screenshots: $(VENV)/ready haproxy  ## pictures of the dashboard's pages, made by its tests, into docs/images
	@sh scripts/install.sh chromium
	@BALANCER_SCREENSHOTS=docs/images $(BIN)/pytest --quiet tests/browser $(ARGS)
	@for each in docs/images/*.png; do grep -rq "images/$${each##*/}" docs --include='*.md' || rm "$$each"; done
	@$(BIN)/uv run --quiet --no-project --with 'pillow==13.*' python scripts/shrink_pictures.py docs/images/*.png

bench-stats: $(VENV)/ready  ## how often the statistics are wrong, beside what people use instead; ARGS="--runs 20000"
	@PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python bench/stats.py $(ARGS)

lock: $(VENV)/ready  ## pin the requirements again, with their hashes
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev -o requirements/dev.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group bench -o requirements/bench.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group chdb -c requirements/dev.txt -o requirements/chdb.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group oracles -c requirements/dev.txt -o requirements/oracles.txt

clean:  ## remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/requirements: requirements/dev.txt
	@echo "-----> Making $(VENV) and installing the requirements"
	@$(PYTHON) -c 'import sys; sys.exit("Balancer needs Python 3.11.4 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 …") if sys.version_info < (3, 11, 4) else None'
	@sh scripts/install.sh venv $(PYTHON)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --disable-pip-version-check --no-input --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/ready: $(VENV)/requirements pyproject.toml
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: haproxy
haproxy:
	@sh scripts/install.sh haproxy
