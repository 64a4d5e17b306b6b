# The commands of this project. Each installs what it needs into .venv/ first.

PYTHON ?= python3
PORT ?= 8000
POSTGRES_PORT ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

.PHONY: run
run: .venv/local ## Serve on http://127.0.0.1:8000 (PORT=… for another) with a PostgreSQL of its own
	@TASKAPP_PORT=$(PORT) POSTGRES_PORT=$(POSTGRES_PORT) exec $(BIN)/python -m taskapp.dev.run

.PHONY: demo
demo: .venv/local ## Let three people have tasks in what `make run` serves, and print how to play with them
	@$(BIN)/python -m demo

# PostgreSQL 17, which pip does not bring.
POSTGRES_17 := tests/postgres17/node_modules/.package-lock.json

PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: test
test: .venv/test ## Test the API, isolation, the schema and the commands on throw-away PostgreSQL servers: 4 minutes
	@$(PYTEST) $(ARGS)

.PHONY: test-all
test-all: .venv/dev $(POSTGRES_17) ## The same, and what needs other programs or longer: browsers, clients, poolers, pages, the matrix (not with ARGS)
	@$(if $(ARGS),echo "  skipping the matrix: it takes no arguments of pytest; run it by make matrix ARGS=--quick",cd tests && ../$(BIN)/python -m postgres_matrix --quick)
	@$(PYTEST) -m "not endurance and not mutants" $(ARGS)

.PHONY: mutants
mutants: .venv/dev ## Break isolation on purpose, in many ways, and see that the tests notice each
	@$(BIN)/python -m pytest -m mutants $(ARGS)

.PHONY: score
score: .venv/dev ## Break isolation in every way the doctor has a rule for; tell which of them tests of behaviour notice
	@cd tests && ../$(BIN)/python -m isolation.mutation_score $(ARGS)

.PHONY: matrix
matrix: .venv/dev $(POSTGRES_17) ## Run the tests on each of the servers that people have: other versions, poolers, TLS, collations, clocks
	@cd tests && ../$(BIN)/python -m postgres_matrix $(ARGS)

.PHONY: endurance
endurance: .venv/dev ## Run tests/endurance at full length: what compares times, failures, overload, load for many minutes
	@TASKAPP_TEST_FULL_LENGTH=1 $(BIN)/python -m pytest -m "not mutants" $(if $(findstring tests/,$(ARGS)),,tests/endurance) $(ARGS)

.PHONY: check
check: .venv/dev ## Lint (Dockerfile too), types, import rules, secrets in the repository, known flaws of what is pinned
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@cd tests && ../$(BIN)/python -m security.leaks
	@cd tests && ../$(BIN)/python -m security.audit || test $$? -eq 2

.PHONY: audit
audit: .venv/dev ## Ask PyPI for known flaws of what is pinned; fails too where it cannot be asked
	@cd tests && ../$(BIN)/python -m security.audit

.PHONY: sqlmap
sqlmap: .venv/dev ## Try SQL injection at every place of every operation
	@TASKAPP_TEST_FULL_LENGTH=1 $(BIN)/python -m pytest -m "not mutants" tests/security/test_sql_injection.py $(ARGS)

.PHONY: openapi
openapi: .venv/dev ## Write docs/openapi.json, the contract of the API
	@$(BIN)/flask --app tests/contract/publishing.py openapi write docs/openapi.json

.PHONY: configuration
configuration: .venv/dev ## Write docs/configuration.md, about all settings
	@$(BIN)/flask config describe > docs/configuration.md

.PHONY: catalogue
catalogue: .venv/dev $(POSTGRES_17) ## Write the golden catalogue, which the doctor compares databases with, after any change of a migration
	@cd tests && ../$(BIN)/python -m isolation.golden_catalogue $(ARGS)

.PHONY: messages
messages: .venv/dev ## Write into docs/performance.md how many messages each operation takes
	@cd tests && ../$(BIN)/python -m isolation.message_table

.PHONY: contract
contract: .venv/dev ## Lint docs/openapi.json, use clients generated from it, attack a server through it
	@TASKAPP_TEST_FULL_LENGTH=1 $(BIN)/python -m pytest -m extended tests/contract $(ARGS)

.PHONY: bench
bench: .venv/dev benchmarks/.venv/made ## Measure how fast it is, next to others: ARGS=throughput for one
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: format
format: .venv/dev ## Put the code in its usual form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The stamps .venv/local, .venv/test and .venv/dev say which requirements the environment was made from. Only what is imported
# is compiled, when it is imported: compiling everything takes a third of the installation.
#
# Each is made by a second make that has locked this file, so that commands started at once install one after the other.
LOCKED = $(PYTHON) -c 'import fcntl, subprocess, sys; lock = open("Makefile"); fcntl.flock(lock, fcntl.LOCK_EX); \
	sys.exit(subprocess.call(sys.argv[1:]))' $(MAKE) --silent LOCK=held

.venv/local: requirements.txt requirements-local.txt setup.cfg
ifndef LOCK
	@$(LOCKED) $@
else
	@echo "  installing into .venv/ …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "taskapp needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-local.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endif

.venv/test: .venv/local requirements-test.txt requirements-tracing.txt
ifndef LOCK
	@$(LOCKED) $@
else
	@echo "  installing what the tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-test.txt
	@touch $@
endif

# Apart, so that `make test` in a fresh clone does not wait for the installation of linters and client generators.
.venv/dev: .venv/test requirements-dev.txt
ifndef LOCK
	@$(LOCKED) $@
else
	@echo "  installing what the checks need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt
	@touch $@
endif

# Without npm, or on another platform than Linux on x86-64, its tests are skipped.
$(POSTGRES_17): tests/postgres17/package-lock.json
ifndef LOCK
	@$(LOCKED) $@
else
	@if command -v npm >/dev/null; then \
		npm ci --prefix tests/postgres17 --ignore-scripts --no-audit --no-fund --loglevel=error; fi
endif

# The contenders need other versions of what the application needs, so they live apart. Without --no-deps, pip would add what
# the file does not pin; `pip check` says what that is.
benchmarks/.venv/made: benchmarks/requirements.txt .venv/local
	@echo "  installing what it is measured against …"
	@test -x benchmarks/.venv/bin/python || $(PYTHON) -m venv benchmarks/.venv
	@benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/requirements.txt
	@benchmarks/.venv/bin/python -m pip --quiet check
	@touch $@
