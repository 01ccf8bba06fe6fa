#!/usr/bin/env bash
# Sees to it that there are the servers that tests start themselves, each its own: Redis, aiosmtpd to
# send mail to, Django's OAuth Toolkit to sign in through, Pebble to have certificates issued by, Chromium to look
# at pages with, tidy to see whether they are HTML, and moto to keep files in as in Amazon's S3.
#
#   tests/scripts/packages.sh          installs Debian's packages of those that are missing, and moto from PyPI
#   tests/scripts/packages.sh bench    those that benchmarks compare with, and measure by
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ $# -eq 0 ] || [ "$*" = bench ] || die 'usage: packages.sh [bench]'
what=${1:-tests}

missing() {
    if [ "$what" = bench ]; then
        command -v nginx >/dev/null || echo nginx-light
        command -v haproxy >/dev/null || echo haproxy
        command -v valgrind >/dev/null || echo valgrind
        [ -e /usr/share/wordpress/wp-load.php ] || echo wordpress wordpress-theme-twentytwentythree
        command -v mariadbd >/dev/null || echo mariadb-server
        php -m 2>/dev/null | grep -qi mysqli || echo php-cli php-fpm php-mysql
        return
    fi
    command -v redis-server >/dev/null || echo redis-server
    /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || echo python3-aiosmtpd
    /usr/bin/python3 -c 'import oauth2_provider' 2>/dev/null || echo python3-django-oauth-toolkit
    command -v pebble >/dev/null || echo pebble
    command -v tidy >/dev/null || echo tidy
    command -v chromium >/dev/null || echo chromium
    command -v chromedriver >/dev/null || echo chromium-driver
}

# A package would start a server of its own, which nobody asked for.
policy=/usr/sbin/policy-rc.d
forbid_start() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
}

# Debian has no moto.
moto=${XDG_CACHE_HOME:-$HOME/.cache}/panel-tests/moto
moto_version=5.2.5
install_moto() {
    [ "$what" = tests ] || return 0
    [ "$(cat "$moto/version" 2>/dev/null)" != $moto_version ] || return 0
    say "installing moto $moto_version in $moto"
    rm -rf "$moto"
    python3 -m venv "$moto"
    "$moto/bin/pip" install -q "moto[s3]==$moto_version" flask flask-cors >&2
    echo $moto_version >"$moto/version"
}

install_moto
packages=$(missing)
if [ -z "$packages" ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    die "install what the $what need (Debian: apt-get install" $packages")"
fi
say "installing Debian's packages for the $what:" $packages
apt-get update -q >&2
forbid_start
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages >&2
packages=$(missing)
[ -z "$packages" ] || die "these packages brought nothing that can be used:" $packages
