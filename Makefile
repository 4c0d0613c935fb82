# Two commands are enough: `make demo` and `make test`. Each does all of its own set-up.

# The first of these that is installed, unless you name one: make PYTHON=/path/to/python3.12
PYTHON ?= $(or $(firstword $(foreach version,3.11 3.13 3.12,$(shell command -v python$(version) 2>/dev/null))),python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATASET ?= demo
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
# GPUs that Snakemake may hand out at a time: none given means as many as jobs want (each takes one).
GPUS ?= $(shell nvidia-smi --list-gpus 2>/dev/null | wc -l)

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo viewer test lint unit test-tools test-gpu test-faults test-cluster test-cluster-short benchmark benchmark-audit benchmark-scale lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## the virtual environment, from the pinned lock

$(READY): envs/requirements.txt
	@case "$(CURDIR)" in *" "*) echo "$(CURDIR) has a blank, where Snakemake cannot start scripts: move the project to a path without blanks."; exit 1;; esac
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13: install one of them, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up $(VENV), once: what envs/requirements.txt locks is downloaded and installed (about 2 minutes, 7 GB)."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r envs/requirements.txt
	touch $@

demo: $(READY)  ## two studies of drawn X-rays, one with a fault planted, then one without (6 to 10 minutes on two cores)
	snakemake --cores $(CORES) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS)) --configfile presets/planted.yaml
	snakemake --cores $(CORES) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS))

viewer: $(READY)  ## the page that runs the network of DATASET (demo) in the browser, served to this machine only
	snakemake --cores $(CORES) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS)) --config dataset=$(DATASET) -- viewer
	python -m workflow_scripts.cxrcam.viewer.serve results/$(DATASET)/viewer

test: $(READY) lint unit  ## style, types and all tests

lint: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check --compact-diff Snakefile rules
	mypy
	mypy --python-version 3.13
	lint-imports
	snakemake --lint

unit: $(READY)
	pytest -n auto --maxprocesses 4

test-tools:  ## Chromium and Node.js, where they are missing: tests in a browser are skipped without (root, apt)
	bash tests/browser/install.sh

test-gpu: $(READY)  ## what only a GPU can show (skipped where PyTorch sees none)
	pytest tests/gpu

test-faults: $(READY)  ## kill runs at random moments, compare every byte; every broken input; new random examples (minutes)
	pytest -n auto --maxprocesses 4 tests/faults
	pytest tests/fuzz --every-input
	pytest tests/unit -m hypothesis --hypothesis-profile "new examples"

test-cluster: $(READY)  ## the cluster profiles, on a real Slurm set up here from Debian packages (root, apt; minutes)
	pytest -s tests/cluster

test-cluster-short: $(READY)  ## two of them: a stand-in scheduler, and a training cancelled on Slurm (skipped without root and apt)
	pytest -s -m short tests/cluster

benchmark: $(READY)  ## how fast it is here; run it with nothing else running
	python -m benchmarks.speed
	python -m benchmarks.workflow
	python -m benchmarks.duplicates
	python -m benchmarks.suspects
	python -m benchmarks.suspect_labels
	python -m benchmarks.slices
	python -m benchmarks.predict_images

benchmark-audit: $(READY)  ## does the audit find what was planted and leave clean data alone? (140 small studies)
	python -m benchmarks.planted_truth
	python -m benchmarks.planted_probe

benchmark-scale: $(READY)  ## time and memory at 1, 10 and 100 times the images, and the plan of a million (long)
	python -m benchmarks.scale
	python -m benchmarks.collection --images 1000000

lock: $(READY)  ## resolve envs/requirements.in anew, for every Python from 3.11 on and every platform (needs the network)
	$(BIN)/python -m pip install --quiet uv
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --custom-compile-command "make lock" --output-file envs/requirements.txt envs/requirements.in

clean:  ## remove the environment; results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
