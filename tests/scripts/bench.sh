#!/usr/bin/env bash
# Measures the release build against the same handlers without actors, and prints the figures.
#   tests/scripts/bench.sh [sqlite] [postgres]
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --locked -p panel-node -p panel-tests --bin panel-node --bin panel-bench

state=$(mktemp -d)
cleanup() {
    tests/scripts/postgres.sh stop "$state/postgres" >/dev/null 2>&1 || true
    rm -rf "$state"
}
trap cleanup EXIT
eval "$(tests/scripts/postgres.sh start "$state/postgres")"

target=${CARGO_TARGET_DIR:-target}
"$target/release/panel-bench" run "$target/release/panel-node" "$@"
