# `make test` and `make demo` do all the set-up themselves: a private environment
# with the pinned versions. PYTHON=/path/to/python uses your own as it is.
.DEFAULT_GOAL := help
VENV ?= .venv
JOBS ?= 2
PYTHON ?=
SEED ?=
METHOD ?=
PYTEST_ARGS ?=

ifeq ($(strip $(PYTHON)),)
PY := $(abspath $(VENV))/bin/python
SET_UP = sh tools/make_env.sh "$(abspath $(VENV))"
export PYTHONNOUSERSITE := 1
else
PY := $(PYTHON)
SET_UP = "$(PYTHON)" tools/check_env.py $(NEEDS)
# Nothing is installed into an environment of yours.
export PYTHONPATH := $(CURDIR)
endif

export MPLBACKEND := Agg
# Pure-Python mmcv warns at every start about an operator that nothing here uses.
export PYTHONWARNINGS := ignore:Fail to import:UserWarning

.PHONY: help env test lint fuzz demo docs soak clean

help: ## show this list
	@echo 'make TARGET [PYTHON=/path/to/python]'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile

env: ## make the private environment (.venv), or check PYTHON
	@$(SET_UP)

lint test fuzz soak: NEEDS := --tests
lint: env ## ruff and mypy
	"$(PY)" -m ruff check .
	"$(PY)" -m ruff format --check .
	"$(PY)" -m mypy

test: lint ## lint, the test suite (JOBS=2 PYTEST_ARGS=...) and the doctests
	OMP_NUM_THREADS=1 "$(PY)" -m pytest -q --doctest-modules wsss_mm/functional
	OMP_NUM_THREADS=1 "$(PY)" -m pytest -q -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

fuzz: env ## read 20,000 damaged files of each kind (SEED=0), an hour
	WSSS_FUZZ=20000 WSSS_FUZZ_SEED=$(or $(SEED),0) OMP_NUM_THREADS=1 \
		"$(PY)" -m pytest -q -rP -n $(JOBS) tests/robustness/test_fuzz.py

demo: env ## tags to report on synthetic images (SEED=0 METHOD=seam)
	"$(PY)" tools/demo.py $(if $(SEED),--seed $(SEED)) $(if $(METHOD),--method $(METHOD))

ifeq ($(strip $(PYTHON)),)
MKDOCS = "$(abspath $(VENV))-docs/bin/mkdocs"
docs: $(VENV)-docs/installed
else
MKDOCS = "$(PYTHON)" -m mkdocs
endif

# It reads the sources and imports nothing of them: torch is not needed.
$(VENV)-docs/installed: requirements/docs.txt
	python3 -m venv "$(abspath $(VENV))-docs"
	"$(abspath $(VENV))-docs/bin/pip" install -q -r requirements/docs.txt
	touch "$@"

docs: ## the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(MKDOCS) build --strict

soak: env ## kill commands 300 times, compare what they leave (not in CI; SOAK_ARGS=...)
	OMP_NUM_THREADS=1 nice -n 10 "$(PY)" tests/soak/soak.py $(SOAK_ARGS)

clean: ## remove the private environment and the caches, keep work_dirs
	rm -rf "$(abspath $(VENV))" "$(abspath $(VENV))-docs" site build dist *.egg-info
	rm -rf .ruff_cache .mypy_cache .pytest_cache
	find wsss_mm tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
