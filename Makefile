# `make book` and `make test` do everything from a clean clone; a second run with nothing changed takes seconds.

PYTHON ?= python3
# Extra words for pip, pytest and the benchmark: make test PYTEST_ARGS="-k gap", make bench BENCH_ARGS=--quick
PIP_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help book test lab notebooks figures bench clean distclean

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: .venv/.book  ## Build the book and check it; open _build/html/index.html
	$(BIN)/python -m otprior_book.build

test: book  ## Build the book, then run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope $(PYTEST_ARGS)

lab: .venv/.lab  ## Open the chapters as notebooks in JupyterLab
	JUPYTER_CONFIG_DIR=$(CURDIR)/.venv/etc/jupyter $(BIN)/jupyter-lab book/chapters

notebooks: .venv/.book  ## Write plain .ipynb copies of the pages to notebooks/
	@mkdir -p notebooks
	@for page in $$(grep -l '^jupytext:' book/*.md book/chapters/*.md); do \
	  $(BIN)/jupytext --quiet --to ipynb --output notebooks/$$(basename $$page .md).ipynb $$page || exit 1; \
	done
	@ls notebooks

figures: .venv/.book  ## Write the published figures to figures/
	$(BIN)/otprior figures --out figures

bench: .venv-bench/.done  ## Compare the solver with its peers (half an hour); goes on where it stopped
	.venv-bench/bin/python benchmarks/semidiscrete.py $(BENCH_ARGS)

clean:  ## Remove what was built; keep .venv
	rm -rf _build notebooks .pytest_cache .hypothesis figures/*.svg figures/*.pdf figures/*.png

distclean: clean  ## Remove .venv, too
	rm -rf .venv .venv-bench *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("The pinned environment needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Choose another: make book PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# Installed again only when the list of packages changes.
.venv/.book: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -c constraints.txt -e ".[book,test]"
	@touch $@

.venv/.lab: .venv/.book
	$(PIP) -c constraints.txt -e ".[book,test,lab]"
	JUPYTER_CONFIG_DIR=$(CURDIR)/.venv/etc/jupyter $(BIN)/jupytext-config set-default-viewer markdown
	@touch $@

# The peers live apart, so that the book's environment stays as it is.
.venv-bench/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[bench]"
	@touch $@
