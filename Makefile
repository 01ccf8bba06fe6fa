# The commands people type. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help run test check bench faults fuzz release-api fmt clean microservices-build microservices-up \
	microservices-health microservices-status microservices-logs microservices-certs microservices-down

# Compose, as a part of Docker or beside it. The image needs BuildKit.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
export DOCKER_BUILDKIT ?= 1
export COMPOSE_DOCKER_CLI_BUILD ?= 1

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

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

fuzz: ## Look for inputs that break what reads credentials and pictures (SECONDS_EACH=)
	SECONDS_EACH="$(SECONDS_EACH)" tests/scripts/fuzz.sh

release-api: ## Promise the API as it is now (docs/openapi.json); when a release is made
	@broken=$$(cargo run -q -p panel-node -- openapi --against docs/openapi.json) || printf '%s\n' "$$broken"
	cargo run -q -p panel-node -- openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

fmt: ## Format the sources
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

clean: ## Remove what was built
	cargo clean

microservices-build: .env ## Build the image of the cluster that docker-compose.yml describes
	$(COMPOSE) build

microservices-up: microservices-build ## Start that cluster, or bring it up to date: http://localhost:5000
	$(COMPOSE) up -d

microservices-health: ## Ask both gateways, and the ports of the services, how it is
	@for port in 5000 5010; do curl -sS localhost:$$port/api/v2/health; echo; done
	@for port in 5001 5002 5003 5004; do curl -sS localhost:$$port/health; echo; done

microservices-status: ## Show its containers and nodes, and who runs what
	$(COMPOSE) ps
	$(COMPOSE) exec -T api-gateway panel-node status

microservices-logs: ## Follow what it logs
	$(COMPOSE) logs -f --tail=100

microservices-certs: ## Give every node of it a new certificate, while it runs
	$(COMPOSE) run --rm -e RENEW=1 certs

microservices-down: ## Stop it; what is in its volumes stays
	$(COMPOSE) down

# The password is made once; who has it gets at everything that is stored.
.env:
	@umask 077; password=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n'); \
	sed "s/^POSTGRES_PASSWORD=$$/POSTGRES_PASSWORD=$$password/" .env.example > $@
	@echo "made .env, with a new password"
