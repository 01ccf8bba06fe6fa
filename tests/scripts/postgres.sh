#!/usr/bin/env bash
# A private PostgreSQL for tests: many test processes share one server instead of starting one
# each.
#
#   eval "$(tests/scripts/postgres.sh start DIR)"   starts it, prints PANEL_TEST_POSTGRES
#   tests/scripts/postgres.sh stop DIR              stops it and removes DIR
#
# Works as root (the server then runs as `postgres`) and as an ordinary user. Durability is off:
# nothing in it outlives the tests.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

usage='usage: postgres.sh start|stop DIR'
[ $# -eq 2 ] || die "$usage"
action=$1
dir=$(realpath -m -- "$2")
marker=$dir/panel-test-postgres

# Runs a program as whoever the server runs as; PostgreSQL refuses to be root.
as_owner() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        (cd / && "$@")
    fi
}

# Prints the directory of initdb: the newest of Debian's, else what is in PATH.
find_programs() {
    local newest
    newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$newest" ]; then
        dirname "$newest"
    elif command -v initdb >/dev/null; then
        dirname "$(readlink -f "$(command -v initdb)")"
    else
        return 1
    fi
}

install_postgres() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        die "there is no PostgreSQL here: install the server (Debian: apt-get install" \
            "postgresql), or set PANEL_TEST_POSTGRES to one that runs"
    fi
    say "there is no PostgreSQL here: installing Debian's package postgresql"
    apt-get update -q >&2
    # Without a cluster of Debian's own: nothing but the programs is wanted.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/panel-test.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql >&2
}

# Prints a port that nobody listens on. PostgreSQL can't choose one itself; if somebody takes it
# first, the start fails and another one is tried.
random_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

url() { printf 'export PANEL_TEST_POSTGRES=postgres://panel@127.0.0.1:%s\n' "$1"; }

is_running() { [ -f "$marker" ] && as_owner "$1/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; }

start() {
    local bin port
    bin=$(find_programs) || { install_postgres; bin=$(find_programs); }
    if is_running "$bin"; then
        url "$(cat "$marker")"
        return
    fi
    if [ -e "$dir" ] && [ ! -f "$marker" ] && [ -n "$(ls -A "$dir")" ]; then
        die "$dir is not empty and was not made by this script"
    fi
    rm -rf "$dir"
    mkdir -p "$dir"
    : >"$marker"
    if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$dir"; fi
    as_owner "$bin/initdb" -D "$dir/data" -U panel --auth=trust --no-sync --no-locale -E UTF8 \
        >/dev/null
    for _ in 1 2 3 4 5; do
        port=$(random_port)
        # The socket lies in the data directory's parent; its path must be short.
        if as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -s \
            -o "-p $port -k '$dir' -c listen_addresses=127.0.0.1 -c fsync=off \
                -c full_page_writes=off -c max_connections=300" start >&2 3>&-; then
            echo "$port" >"$marker"
            url "$port"
            return
        fi
    done
    tail -n 20 "$dir/log" >&2 || true
    die "PostgreSQL did not start"
}

stop() {
    local bin
    [ -f "$marker" ] || die "$dir holds no server of this script"
    bin=$(find_programs) || die "there is no PostgreSQL here"
    # pg_ctl signals the process its pid file names, and no other.
    if is_running "$bin"; then as_owner "$bin/pg_ctl" -D "$dir/data" -m immediate -w -s stop; fi
    rm -rf "$dir"
}

case $action in
    start) start ;;
    stop) stop ;;
    *) die "$usage" ;;
esac
