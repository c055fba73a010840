# make report: install, run the default experiment, print the report's path.   make test: install, run the tests.
# make check: the tests that start no workflow, 240 seconds of CPU time, a little over two minutes on two cores.
# make test-full-size: the paper's experiment with full-size networks and 1,000 classes on few images, half an hour or more, 8 GB of memory.
#   ZFREPRO_FULL_SIZE_DIR=FOLDER keeps its results there (20 GB) and resumes; without it they are deleted at the end.
# make test-cluster: runs on a SLURM that it sets up on this computer; as root, with Debian's or Ubuntu's slurm-wlm and munge.
# make lint: style, spelling, imports, types.
# make wheel: build dist/*.whl and dist/*.tar.gz.
# make test-wheel: install the wheel with all its libraries, gigabytes, outside the repository; run a small experiment there.
# make publish: copy the finished report to reports/ and rebuild the site there.
# CONFIG=NAME, of workflow/experiments/NAME.yaml, or CONFIG=FILE selects another experiment.
# CORES=N limits the cores; without it, all that may be used.
# As root on Debian and Ubuntu, missing system packages are installed with apt-get; otherwise the line to run is printed.
PYTHON ?= python3
CONFIG ?= config.yaml
CORES ?=
BIN := .venv/bin
READY := .venv/.ready
# A file's tests stay in one worker, with its fixtures (loadgroup of pytest-xdist 3.8 does nothing with pytest 9.2).
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: report plan test check test-workflow test-full-size test-cluster test-wheel lint bench publish wheel lock setup

report: $(READY)
	$(BIN)/zfrepro run --config $(CONFIG) $(if $(CORES),--cores $(CORES))

plan: $(READY)
	$(BIN)/zfrepro plan --config $(CONFIG)

publish: $(READY)
	$(BIN)/zfrepro publish --config $(CONFIG)

test: $(READY)
	$(BIN)/python -m pytest $(IN_TWO) -m "not slow"

check: $(READY)
	$(BIN)/python -m pytest $(IN_TWO) -m "not workflow and not slow"

test-workflow: $(READY)
	$(BIN)/python -m pytest $(IN_TWO) -m workflow

test-full-size: $(READY)
	$(BIN)/python -m pytest -m slow tests/workflow/test_full_size.py

test-cluster: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[cluster]"
	$(BIN)/python -m pytest -x -m cluster --durations 0 tests/cluster

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/typos
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/snakemake --lint

wheel: $(READY)
	rm -f dist/zfrepro-*
	$(BIN)/python -m hatchling build --directory dist

test-wheel: wheel
	set -e; folder=$$(mktemp -d); trap 'rm -r "$$folder"' EXIT; cp tests/smoke.yaml "$$folder"; \
	$(PYTHON) -m venv "$$folder/env"; \
	"$$folder/env/bin/pip" install --quiet --disable-pip-version-check --constraint requirements.lock dist/zfrepro-*.whl; \
	cd "$$folder"; env/bin/zfrepro run --config smoke.yaml; test -s results/smoke/report/index.html

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[bench]"
	$(BIN)/python benchmarks/bench.py

setup: $(READY)

$(READY): pyproject.toml requirements.lock
	@PYTHON=$(PYTHON) sh workflow/envs/system-packages.sh
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[test]"
	@touch $@

lock: $(READY)
	@echo "# Exact versions that the tests run with; pyproject.toml holds the ranges. Made by: make lock" > requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> requirements.lock
