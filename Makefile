# Throughline. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
UV_VERSION := 0.13.9
UV = .venv/bin/uv --quiet pip install --system-certs --compile-bytecode
TEST_PROCESSES ?= 2
SHARED_OUT = -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder
RUN = PYTHONPATH=plugins:. .venv/bin/python
# an empty environment has neither: where programs are, and a home for caches
export PATH := $(if $(PATH),$(PATH),/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
export HOME := $(if $(HOME),$(HOME),$(CURDIR)/.local/home)

.PHONY: help demo down status test test-slow test-faults fuzz lint evaluate format bench psql lock clean \
	env env-dev env-superset chromium up up-demo

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: env ## the whole product on a simulated company: Postgres, Airflow, Superset (DEMO_SUPERSET=false leaves Superset out)
	@$(RUN) -m demo up

down: ## stop what `make demo` started, and nothing else
	@if [ -x .venv/bin/python ]; then $(RUN) -m demo down; else echo "nothing was started here"; fi

status: ## which servers of the demo are up
	@if [ -x .venv/bin/python ]; then $(RUN) -m demo status; else echo "nothing was started here"; fi

psql: ## an SQL prompt on the marts, as the role `bi`
	@$(RUN) -m demo psql

test: env env-dev env-superset chromium ## lint and every test but the long ones, on a Postgres of its own
	@$(MAKE) --no-print-directory lint
	@$(RUN) -m pytest -m "not slow" $(SHARED_OUT)

test-slow: env ## the long tests but the storms of faults
	@$(RUN) -m pytest -m "slow and not faults"

test-faults: env ## every connector through 1,000 seeds of random faults (THROUGHLINE_FAULT_SEEDS for more or fewer)
	@$(RUN) -m pytest -m faults $(SHARED_OUT) tests/connectors

fuzz: env ## 20,000 spoiled answers for every parser
	@THROUGHLINE_FUZZ_EXAMPLES=$${THROUGHLINE_FUZZ_EXAMPLES:-20000} $(RUN) -m pytest tests/connectors/test_fuzz.py

lint: env env-dev ## ruff, mypy, sqlfluff
	@.venv-dev/bin/ruff check .
	@.venv-dev/bin/ruff format --check .
	@.venv-dev/bin/mypy --python-executable .venv/bin/python
	@.venv-dev/bin/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models dbt_project/tests

evaluate: env ## dbt-project-evaluator over dbt_project (downloads it from dbt's package hub)
	@$(RUN) -m pytest -m slow -rs tests/warehouse/test_evaluator.py

format: env-dev ## format Python
	@.venv-dev/bin/ruff check --fix-only -q . ; .venv-dev/bin/ruff format -q .

bench: env ## figures with the machine's description, each beside its peer
	@$(RUN) -m bench landing
	@$(RUN) -m bench connectors
	@$(RUN) -m bench backfill
	@$(RUN) -m bench identity
	@$(RUN) -m bench identity_accuracy
	@$(RUN) -m bench attribution
	@$(RUN) -m bench attribution_agreement
	@$(RUN) -m bench accuracy
	@$(RUN) -m bench company
	@$(RUN) -m bench demo

up: .env ## production shape: docker compose up (writes .env with generated secrets first)
	docker compose up -d --wait

up-demo: | env ## the same with the simulated company (compose profile `demo`)
	@[ -f .env ] || $(RUN) -m demo.dotenv .env.example .env --demo
	docker compose --profile demo up -d --wait

.env: .env.example | env
	@$(RUN) -m demo.dotenv .env.example .env

lock: env ## resolve requirements*.in into the lock files again
	@for name in requirements requirements-dev requirements-superset; do \
		.venv/bin/uv pip compile --system-certs -q --no-header --no-annotate \
			--python-version 3.11 $$name.in -o $$name.txt || exit 1; done

clean: ## stop the demo and delete its data
	@if [ -x .venv/bin/python ]; then $(RUN) -m demo clean; fi

# browser tests drive the machine's own browser; without one they are skipped
chromium:
	@command -v chromium >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1 || \
		{ echo "  installing chromium for the browser tests"; \
		  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || true

env: .venv/.ready
env-dev: .venv-dev/.ready
env-superset: .venv-superset/.ready

.venv/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 is needed and '$(PYTHON)' is not it: install python3.11, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	@echo "  making the environment (.venv) from requirements.txt"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) --python .venv/bin/python -r requirements.txt
	@touch $@

.venv-dev/.ready: requirements-dev.txt | env
	@$(PYTHON) -m venv --without-pip .venv-dev
	@$(UV) --python .venv-dev/bin/python -r requirements-dev.txt
	@touch $@

.venv-superset/.ready: requirements-superset.txt | env
	@$(PYTHON) -m venv --without-pip .venv-superset
	@$(UV) --python .venv-superset/bin/python -r requirements-superset.txt
	@touch $@
