#!/usr/bin/env bash
# Runs the tests of faults on the release build under a larger load, and writes what they measured
# to docs/faults.md.
#   tests/scripts/faults.sh [names of tests …]     (SEED=7 MINUTES=20: faults by lot, for so long)
# With names the figures are only shown. Faults by lot go to docs/soak.md if they lasted 20 minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

ulimit -n "$(ulimit -Hn)" || true

cargo build --release --locked -p panel-node -p panel-tests --bin panel-node --bin panel-bench
cargo build --workspace --all-targets --locked

source tests/scripts/private-postgres.sh
tests/scripts/packages.sh

target=${CARGO_TARGET_DIR:-target}
export PANEL_NODE_BIN PANEL_FAULTS_REPORT="$state/figures.md"
PANEL_NODE_BIN=$(realpath "$target/release/panel-node")
run() {
    cargo nextest run --workspace --locked --no-fail-fast --profile faults "$@"
}

preamble=tests/faults/preamble.md page=
if [ -n "${MINUTES:-}" ]; then
    export PANEL_FAULTS_MINUTES=$MINUTES PANEL_FAULTS_SEED=${SEED:-$RANDOM}
    echo "SEED=$PANEL_FAULTS_SEED MINUTES=$MINUTES"
    preamble=tests/faults/soak.md
    [ "$MINUTES" -lt 20 ] || page=docs/soak.md
    run --no-capture -E 'test(/^faults::random::/)'
elif [ $# -gt 0 ]; then
    run -E "test(/^faults::/)" -- "$@"
else
    page=docs/faults.md
    run -E 'test(/^faults::/)'
fi

{
    cat "$preamble"
    echo "Measured on $(date -u +%Y-%m-%d), $(nproc) processors, $(rustc --version | cut -d' ' -f1-2)."
    [ -z "${MINUTES:-}" ] || echo "\`make faults SEED=$PANEL_FAULTS_SEED MINUTES=$MINUTES\`"
    echo
    echo "| fault | requests | failed | median before | longest before | p99 since | added | goal |"
    echo "|---|---|---|---|---|---|---|---|"
    # Rows of eight columns, then rows of four.
    grep -E '^(\|[^|]*){8}\|$' "$state/figures.md" || true
    echo
    echo "| | measured | goal | |"
    echo "|---|---|---|---|"
    grep -vE '^(\|[^|]*){8}\|$' "$state/figures.md" || true
} | tee "$state/page.md"
if [ -n "$page" ]; then
    cp "$state/page.md" "$page"
fi
