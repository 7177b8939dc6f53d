# `make` lists the targets. Each does the set-up it needs.
.DEFAULT_GOAL := help
.PHONY: help demo dev test torture fmt lint tidy bench postgres

ARGS ?=

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'
	@echo "  Arguments for backstitch go into ARGS: make demo ARGS='--orders 50'"

demo: postgres ## place orders that meet every outcome, and check the ledger (about a minute, after the build)
	cargo run --locked -- demo $(ARGS)

dev: postgres ## API, dashboard, worker, gateway simulator and Postgres in one process; data is kept in .backstitch
	cargo run --locked -- dev $(ARGS)

test: ## everything that CI runs
	@.ci/run

torture: postgres ## the network, disks, servers and clients at their worst, ten times as long as CI does it
	BACKSTITCH_TORTURE_ROUNDS=$${BACKSTITCH_TORTURE_ROUNDS:-10} cargo test --locked --test torture -- --nocapture --test-threads 1

fmt: ## format the code
	cargo fmt

lint: ## clippy, with warnings as errors
	cargo clippy --locked --all-targets -- -D warnings

tidy: ## the project's own rules: floors, sizes, names
	cargo test --locked --test tidy

bench: postgres ## the standard load, optimised build
	cargo run --locked --release -- bench $(ARGS)

postgres: ## make sure that Postgres binaries are installed
	@scripts/ensure-postgres.sh
