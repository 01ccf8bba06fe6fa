# The commands people type. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help run test check bench faults fmt clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## Run the platform on this machine (data under ./data, http://127.0.0.1:5000)
	cargo run --release -p panel-node

test: ## Check and test everything; installs and starts what the tests need
	tests/scripts/test.sh

check: ## Formatting, lints and documentation, without tests
	tests/scripts/check.sh

bench: ## Measure, and write the figures to docs/benchmarks.md
	tests/scripts/bench.sh

faults: ## Break a cluster under load, and write the figures to docs/faults.md (SEED= MINUTES=)
	SEED="$(SEED)" MINUTES="$(MINUTES)" tests/scripts/faults.sh

fmt: ## Format the sources
	cargo fmt --all

clean: ## Remove what was built
	cargo clean
