#!/usr/bin/env bash
# Sees to it that there is a redis-server for the tests, which start it themselves, each its own.
#
#   tests/scripts/redis.sh    installs Debian's package if the program is missing
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ $# -eq 0 ] || die 'usage: redis.sh'

find_program() { command -v redis-server >/dev/null; }

# The package would start a server of its own, which nobody asked for.
policy=/usr/sbin/policy-rc.d
forbid_start() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
}

if find_program; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    die "there is no Redis here: install the server (Debian: apt-get install redis-server)"
fi
say "there is no Redis here: installing Debian's package redis-server"
apt-get update -q >&2
forbid_start
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends redis-server >&2
find_program || die "Debian's package redis-server brought no redis-server"
