# Every target installs what it needs into .venv. Requirements: Python 3.11 or 3.12, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
UV := uv>=0.8,<1
PIP_AUDIT := pip-audit>=2.9,<3
STOCKPYL := stockpyl==1.0.2
AUTOGLUON := autogluon.timeseries==1.6.3
DEMO := demo-company
SOURCES := schemas tasks flows deployments

# uv does not read pip's configuration, so it gets the places where pip looks for packages.
PLACES = $$(for place in $$($(BIN)/pip config get global.find-links 2>/dev/null); do echo "--find-links $$place"; done) \
	$$(for place in $$($(BIN)/pip config get global.index-url 2>/dev/null); do echo "--default-index $$place"; done)
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock $(PLACES)
# Python stores the bytecode of what it imports, even if the environment forbids it: without bytecode, every process
# imports for seconds longer. Compiling all packages in advance takes minutes of processor time, and most modules are never imported.
WITH_BYTECODE = env -u PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test checks style tests test-fast nightly fuzz mutation crash lint fmt types arch docs bench bench-accuracy bench-autogluon bench-inventory app ui serve cluster aws-twin audit lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/.installed-test ## make .venv with everything, tests included

demo: .venv/.installed ## write the demo company and run the weekly replenishment on it
	@$(WITH_BYTECODE) $(BIN)/restock demo --out $(DEMO)

test: .venv/.installed-test ## everything that must pass before a commit
	@$(MAKE) --no-print-directory -j 2 tests checks types  # types are checked while tests wait for servers

checks: style arch

# The cores that this process may use, in a container often fewer than the machine has.
CORES = $$($(BIN)/python -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())")

# pytest stores the tests with rewritten assertions, even if the environment forbids bytecode.
PYTEST = $(WITH_BYTECODE) $(BIN)/pytest

# The worker processes use all cores. More threads of linear algebra would wait for each other, and waiting uses a core.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# Four processes more than there are cores: tests of flows wait for their servers, approvals and kills.
tests: .venv/.installed-test .venv/.kernels
	$(ONE_THREAD) $(PYTEST) -n $$(($(CORES) + 4))

test-fast: .venv/.installed-test .venv/.kernels ## the fast tier: no flows, servers, training or real data
	$(ONE_THREAD) $(PYTEST) -q -n $(CORES) -m "not flow and not system and not shared_data and not slow"

nightly: .venv/.installed-test .venv/.kernels ## all tests with every case and ten times as many generated examples
	RESTOCK_NIGHTLY=1 $(PYTEST) -n $(CORES)

fuzz: .venv/.installed-test ## 2,000 damaged files and settings, 5,000 malformed requests to each server: a result, a message or quarantine
	RESTOCK_FUZZ_EXAMPLES=2000 RESTOCK_FUZZ_REQUESTS=5000 $(PYTEST) -q tests/fuzz

mutation: .venv/.installed-mutation ## score of the tests: mutants that they notice (ARGS="evaluation --mutants 20")
	$(BIN)/python -m tests.mutation $(ARGS)

# Once, before worker processes start: each of them would compile all kernels.
.venv/.kernels: $(wildcard tasks/inventory/*/*.py) | .venv/.installed-test
	@$(WITH_BYTECODE) $(BIN)/python -m tests.compile_kernels
	@touch $@

style: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style ## style, formatting and banned words
	$(PYTEST) -q -n 0 tests/architecture/test_words.py

fmt: .venv/.installed-test ## repair style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.installed-test ## static types
	nice $(BIN)/mypy

arch: .venv/.installed-test ## import directions
	$(BIN)/lint-imports

docs: .venv/.installed ## docs/settings.md from the settings model
	$(BIN)/python docs/settings_reference.py

bench: .venv/.installed-test ## time and memory of a weekly run on the full demo company
	$(BIN)/python benchmarks/weekly_run.py

bench-accuracy: .venv/.installed-bench ## accuracy of the champions and of other libraries on your data sets (DATA=FOLDER ARGS="--sets NAME")
	@test -n "$(DATA)" || { echo "Folder of the data sets missing. Set it: make bench-accuracy DATA=FOLDER"; exit 1; }
	$(BIN)/python -m benchmarks.accuracy "$(DATA)" $(ARGS)

bench-autogluon: .venv/.installed-bench .venv-autogluon/.installed ## accuracy of the champions and of AutoGluon on your data sets (DATA=FOLDER)
	@test -n "$(DATA)" || { echo "Folder of the data sets missing. Set it: make bench-autogluon DATA=FOLDER"; exit 1; }
	$(BIN)/python -m benchmarks.accuracy "$(DATA)" --peers autogluon $(ARGS)

bench-inventory: .venv/.installed-test .venv/.installed-stockpyl ## cost of the policies, lower bounds and other planners (ARGS="--problems FOLDER --seeds 1,2")
	$(BIN)/python benchmarks/inventory/run.py $(ARGS)

serve: .venv/.installed ## Prefect server, worker, deployments and schedule on this machine (SERVE="--settings FILE")
	@$(BIN)/python -m deployments.serve $(SERVE)

app: .venv/.installed ## the planner's app in a browser, on this machine (APP="--settings FILE")
	@$(BIN)/restock app $(if $(APP),$(APP),--settings $(DEMO)/settings.yaml)

ui: .venv/.installed ## Prefect server with its UI at http://127.0.0.1:4200
	$(BIN)/python -m deployments.prefect_server server start

cluster: .venv/.installed ## Dask scheduler and two workers on this machine, for compute.engine: dask (CLUSTER="--workers 4")
	@$(BIN)/python -m deployments.cluster $(CLUSTER)

aws-twin: .venv/.installed-test ## simulate S3 and SageMaker's DeepAR on this machine, without an AWS account
	@$(BIN)/python -m tests.aws_twin

crash: .venv/.installed-test ## interrupt publication, rollback, prune and storage at every call, in a folder and in a bucket (over an hour)
	$(BIN)/python -m tests.crash

audit: .venv/.installed-audit ## known vulnerabilities of the packages in requirements.lock; fails if it cannot look them up
	$(BIN)/python -m tests.audit

lock: .venv/bin/uv ## resolve requirements.lock again within pyproject.toml's ranges
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --python-version 3.11 --no-header --no-annotate \
		$(PLACES) --output-file requirements.lock pyproject.toml
	@sed -i 's/^\(torch==[^+]*\)+.*/\1/' requirements.lock  # without the name of a CPU build, which not every index has

clean: ## remove files of runs and tools; .venv stays
	rm -rf $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 not found. Install it, or set its path: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Restock needs Python 3.11 or 3.12. Set the path of one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing packages into .venv (some minutes the first time) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(UV)'

.venv/.installed: pyproject.toml requirements.lock | .venv/bin/uv
	@$(INSTALL) --editable '.[aws,deepar,app,dask]'
	@$(BIN)/python -m compileall -q $(SOURCES)
	@touch $@

# Everything at once, because a second installation takes as long as the first.
.venv/.installed-test: pyproject.toml requirements.lock | .venv/bin/uv
	@$(INSTALL) --editable '.[aws,deepar,app,dask,pretrained,test]'
	@$(BIN)/python -m compileall -q $(SOURCES)
	@touch .venv/.installed $@

# Without its requirements, such as an old Sphinx: its policies do not need them.
.venv/.installed-stockpyl: | .venv/.installed-test
	@$(INSTALL) --no-deps '$(STOCKPYL)' && touch $@ || echo "$(STOCKPYL) cannot be installed: the benchmark runs without it"

.venv/.installed-mutation: .venv/.installed-test
	@$(INSTALL) --editable '.[aws,deepar,app,dask,pretrained,test,mutation]'
	@touch $@

.venv/.installed-audit: .venv/.installed-test
	@$(INSTALL) '$(PIP_AUDIT)'
	@touch $@

# A separate environment, because it requires other versions of the same packages.
.venv-autogluon/.installed: | .venv/.installed
	@$(BIN)/python -m venv --clear .venv-autogluon
	@$(BIN)/uv pip install --quiet --python .venv-autogluon/bin/python $(PLACES) '$(AUTOGLUON)' 'torch==2.13.0'
	@touch $@

.venv/.installed-bench: .venv/.installed
	@$(INSTALL) --editable '.[aws,deepar,app,dask,bench]'
	@touch $@
