#!/usr/bin/env bash
# Builds the fuzz targets, and lets each look for inputs that break its promise.
#   tests/scripts/fuzz.sh [names of targets …]     (SECONDS_EACH=600)
# What breaks one is kept in fuzz/artifacts. Nothing is installed here.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${SECONDS_EACH:-60}

step() { printf '\n== %s\n' "$1"; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2
    exit 1
fi

# Whether this compiler is new enough, and builds programs that look after their memory.
can() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc "$@" --version 2>/dev/null | cut -d' ' -f2) || return 1
    printf '%s\n' "$needed" "${found%%-*}" | sort -CV || return 1
    echo 'fn main() {}' | rustc "$@" --edition 2024 -Zsanitizer=address -o "$scratch/it" - 2>/dev/null
}

step "looking for a compiler"
toolchain=()
if can +nightly; then
    toolchain=(+nightly)
elif RUSTC_BOOTSTRAP=1 can; then
    # The pinned one does as well, if it is made to.
    export RUSTC_BOOTSTRAP=1
else
    echo "no compiler can do it: rustup toolchain install nightly" >&2
    exit 1
fi
rustc "${toolchain[@]}" --version
fuzz() { cargo "${toolchain[@]}" fuzz "$@"; }

if [ $# -eq 0 ]; then
    mapfile -t targets < <(fuzz list)
    set -- "${targets[@]}"
fi

step "building"
for target in "$@"; do
    fuzz build --codegen-units 16 "$target"
done

failed=()
for target in "$@"; do
    step "$target, for $seconds s"
    mkdir -p "fuzz/corpus/$target"
    log="fuzz/target/$target.log"
    # What is new goes to the first folder. What takes 10 seconds hangs.
    if fuzz run --codegen-units 16 "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
        grep -E '^Done |^stat::average_exec_per_sec' "$log"
    else
        tail -n 60 "$log"
        failed+=("$target")
    fi
done

if [ ${#failed[@]} -gt 0 ]; then
    step "broken: ${failed[*]}"
    exit 1
fi
