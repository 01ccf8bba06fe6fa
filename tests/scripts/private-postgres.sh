# To be sourced: a PostgreSQL for this script alone, stopped when it ends; and `$state`, a directory
# that goes with it. Sets PANEL_TEST_POSTGRES.
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
