#!/usr/bin/env bash
# Measures the release build against the same handlers without actors, and writes the figures to
# docs/benchmarks.md.
#   tests/scripts/bench.sh [sqlite] [postgres] [links]     (ROUNDS=7 for a short look)
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --locked -p panel-node -p panel-tests --bin panel-node --bin panel-bench

state=$(mktemp -d)
# The server runs as another user where this runs as root, and must get through.
chmod 711 "$state"
cleanup() {
    tests/scripts/postgres.sh stop "$state/postgres" >/dev/null 2>&1 || true
    rm -rf "$state"
}
trap cleanup EXIT
# In two steps: a failure inside `eval` would go unnoticed.
server=$(tests/scripts/postgres.sh start "$state/postgres")
eval "$server"

target=${CARGO_TARGET_DIR:-target}
{
    cat tests/bench/preamble.md
    echo "Measured on $(date -u +%Y-%m-%d), $(nproc) processors, $(rustc --version | cut -d' ' -f1-2)."
    "$target/release/panel-bench" run "${ROUNDS:-31}" "$target/release/panel-node" "$@"
} | tee "$state/benchmarks.md"
cp "$state/benchmarks.md" docs/benchmarks.md
