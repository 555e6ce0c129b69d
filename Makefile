# Everything a contributor runs. Needs Python 3.11 and make, nothing else; all of it lives in .venv and models/.
SHELL := /bin/sh
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup models demo test bench-search bench-search-live bench-trust bench-trust-long bench-load bench-report faults check audit fmt clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv: vbench, its checks, and vLLM for the CPU (again: only what changed)
	@PYTHON="$(PYTHON)" tools/setup.sh

models: setup  ## make the small random models that demo and tests run (no download)
	@$(BIN)/python tools/demo_model.py

demo: models  ## sweep real vLLM on this machine's CPU (about 3 minutes) and write the report
	$(BIN)/vbench sweep sweeps/demo.yaml
	$(BIN)/vbench report

test: models  ## run the tests; pytest's own options in ARGS="-k store -x"
	$(BIN)/pytest $(ARGS)

SEARCH := benchmarks/search
bench-search: models  ## replay search methods on measured configurations (about 3 minutes): table, plot, one JSON line
	@$(BIN)/python -m benchmarks.search.replay $(ARGS)

bench-search-live: models  ## what only real runs can show of the search (about 25 minutes): five tables beside it
	$(BIN)/python -m benchmarks.search.startup --out $(SEARCH)/startup.md
	$(BIN)/python -m benchmarks.search.live --out $(SEARCH)/live.md
	$(BIN)/python -m benchmarks.search.truth --out $(SEARCH)/truth.md
	$(BIN)/python -m benchmarks.search.overhead --trials 10000 --out $(SEARCH)/overhead.md
	$(BIN)/python -m benchmarks.search.kills --out $(SEARCH)/kills.md

TRUST := benchmarks.trust
bench-trust: models  ## parity with vLLM's own benchmarks, A/A, cost of watching (under 20 quiet minutes): one JSON line
	@$(BIN)/python -m $(TRUST).every $(ARGS)

bench-trust-long: models  ## what of that takes longer (about 2 hours): power, fresh engines for each value, quality
	$(BIN)/python -m $(TRUST).power
	$(BIN)/python -m $(TRUST).aa --fresh --out benchmarks/trust/aa_fresh.md
	$(BIN)/python -m $(TRUST).power --fresh --out benchmarks/trust/power_fresh.md
	$(BIN)/python -m $(TRUST).quality

bench-load: models  ## the load generator beside its peers (8 minutes): GUIDELLM=…/bin/python AIPERF=…/bin/python
	$(BIN)/python -m $(TRUST).load_generator $(if $(GUIDELLM),--guidellm $(GUIDELLM)) $(if $(AIPERF),--aiperf $(AIPERF))

bench-report: setup  ## what a report of 1,000 and of 100,000 made-up trials takes (3 minutes): one JSON line
	@$(BIN)/python -m benchmarks.report_speed --out benchmarks/report_speed.md $(ARGS)

faults: models  ## everything that may go wrong, on real processes (about 25 minutes): a table, one JSON line
	@$(BIN)/python -m tests.faults.every $(ARGS)

check: setup audit  ## formatting, lint, types, and the audit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: setup  ## known vulnerabilities of the locked dependencies, where pip-audit can be asked
	@$(BIN)/python tools/audit.py $(ARGS)

fmt: setup  ## format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove .venv, models and caches; results and reports stay
	rm -rf .venv models build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find vbench tests tools benchmarks requirements -name __pycache__ -type d -prune -exec rm -rf {} +
