# Every command makes the environment that it needs; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
PEERS  := .peers

# scikit-learn keeps its data sets here. Where the raw table lies beside the checkout, its
# cache file is written from that; elsewhere scikit-learn downloads it on first use.
export SCIKIT_LEARN_DATA := $(CURDIR)/.cache/scikit_learn_data
TABLE   := $(wildcard ../shared/data/cal_housing.csv.gz)
HOUSING := $(if $(TABLE),$(SCIKIT_LEARN_DATA)/cal_housing_py3.pkz)

.PHONY: help demo test smoke full lint format api bench bench-peers wheel clean

help:
	@sed -n 's/^## //p' Makefile

## make demo         train a network on the California housing data with a loop of one's own
demo: $(READY) $(HOUSING)
	$(VENV)/bin/headrace run examples/custom_training_loop.py

## make test         the tests (under 10 minutes on two cores)
test: $(READY) $(HOUSING)
	$(PY) -m pytest

## make smoke        a few tests that say in seconds whether the house stands
smoke: $(READY) $(HOUSING)
	$(PY) -m pytest -m smoke tests/house tests/cli tests/notes

## make full         all tests, the long ones included; functions by kernels alone and compiled at once, too
full: $(READY) $(HOUSING)
	$(PY) -m pytest -m "full or not full"
	HEADRACE_COMPILE=never $(PY) -m pytest tests/trace tests/keras tests/notes
	HEADRACE_COMPILE=always $(PY) -m pytest tests/trace tests/keras tests/notes

## make lint         ruff (rules and format) and the type checker
lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

## make format       let ruff rewrite what it can
format: $(READY)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

## make api          rewrite the API golden file and docs/ops.md
api: $(READY)
	$(PY) -m tools.api_golden
	$(PY) -m tools.ops_table

## make bench        measure Headrace, NumPy and the peers side by side
bench: $(READY)
	@$(PY) -m compileall -q headrace
	$(PY) -m benchmarks.run

## make bench-peers  make the environment of the peers (about 2 GB)
bench-peers: $(PEERS)/.ready

## make wheel        build dist/headrace-*.whl
wheel: $(READY)
	$(PY) -m pip wheel -q --no-deps -w dist .

## make clean        remove what these commands made, except the peers
clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check -e '.[examples,test]'
	$(PY) -m compileall -q headrace
	@touch $@

$(PEERS)/.ready: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -q --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@

ifneq ($(HOUSING),)
$(HOUSING): $(TABLE) tools/housing_cache.py | $(READY)
	$(PY) -m tools.housing_cache $(TABLE) $(SCIKIT_LEARN_DATA)
endif
