#!/usr/bin/env bash
# Checks and tests everything. What is missing on the machine (PostgreSQL, Redis, aiosmtpd, Pebble, Chromium, moto) is installed
# here; the PostgreSQL that all tests share is started here, and stopped again.
set -euo pipefail
cd "$(dirname "$0")/../.."

step() { printf '\n== %s\n' "$1"; }

tests/scripts/check.sh

# Some tests hold hundreds of connections.
ulimit -n "$(ulimit -Hn)" || true

step "building"
cargo build --workspace --all-targets --locked

step "starting PostgreSQL"
source tests/scripts/private-postgres.sh

step "looking for Redis, an SMTP server, an OpenID Connect provider, an ACME server and a browser"
tests/scripts/packages.sh

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast "$@"
else
    echo "cargo-nextest is not installed; using cargo test (one process per test binary: slower)"
    cargo test --workspace --locked --no-fail-fast -- --test-threads=1 "$@"
fi
