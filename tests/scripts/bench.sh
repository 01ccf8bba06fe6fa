#!/usr/bin/env bash
# Measures the release build against the same handlers without actors, and writes the figures to
# docs/benchmarks.md; a part of them is only shown.
#   tests/scripts/bench.sh [sqlite] [postgres] [instructions] [edge] [links] [accounts] [articles] [wordpress] [pictures] [streams] [purges] [large]   (ROUNDS=7 for a short look)
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/scripts/packages.sh bench
cargo build --release --locked -p panel-node -p panel-tests --bin panel-node --bin panel-bench

source tests/scripts/private-postgres.sh

if [ $# -eq 0 ] || [[ " $* " == *" wordpress "* ]]; then
    trap 'tests/scripts/wordpress.sh stop "$state/wordpress"; cleanup' EXIT
    server=$(tests/scripts/wordpress.sh start "$state/wordpress")
    eval "$server"
fi

target=${CARGO_TARGET_DIR:-target}
{
    cat tests/bench/preamble.md
    echo "Measured on $(date -u +%Y-%m-%d), $(nproc) processors, $(rustc --version | cut -d' ' -f1-2)."
    "$target/release/panel-bench" run "${ROUNDS:-31}" "$target/release/panel-node" "$@"
} | tee "$state/benchmarks.md"
if [ $# -eq 0 ]; then
    cp "$state/benchmarks.md" docs/benchmarks.md
fi
