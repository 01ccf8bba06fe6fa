#!/usr/bin/env bash
# Checks and tests everything. What is missing on the machine (PostgreSQL) is installed or
# started here, and stopped again.
set -euo pipefail
cd "$(dirname "$0")/../.."

step() { printf '\n== %s\n' "$1"; }

tests/scripts/check.sh

step "building"
cargo build --workspace --all-targets --locked

state=$(mktemp -d)
cleanup() {
    tests/scripts/postgres.sh stop "$state/postgres" >/dev/null 2>&1 || true
    rm -rf "$state"
}
trap cleanup EXIT

step "starting PostgreSQL"
eval "$(tests/scripts/postgres.sh start "$state/postgres")"

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast "$@"
else
    echo "cargo-nextest is not installed; using cargo test (one process per test binary: slower)"
    cargo test --workspace --locked --no-fail-fast -- --test-threads=1 "$@"
fi
