#!/usr/bin/env bash
# A WordPress to compare with, as Debian packages it: MariaDB, PHP's process manager with its opcode cache, nginx; no plugins.
#
#   eval "$(tests/scripts/wordpress.sh start DIR)"   makes one with so many posts (POSTS=2000), starts it,
#                                                    prints PANEL_BENCH_WORDPRESS: where it listens
#   tests/scripts/wordpress.sh stop DIR              stops it and removes DIR
#
# It calls itself http://bench, and shows its posts at /article-1 and so on.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

usage='usage: wordpress.sh start|stop DIR'
[ $# -eq 2 ] || die "$usage"
action=$1
dir=$(realpath -m -- "$2")
marker=$dir/panel-bench-wordpress
site=$dir/site

wait_for() {
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    die "it does not start: $*"
}

stop() {
    [ -e "$marker" ] || return 0
    for server in nginx php mariadb; do
        [ -s "$dir/$server.pid" ] || continue
        pid=$(cat "$dir/$server.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 300); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    rm -rf "$dir"
}

start() {
    [ ! -e "$dir" ] || die "$dir is there already"
    mkdir -p "$dir/db"
    touch "$marker"
    trap 'stop' ERR
    local me posts=${POSTS:-2000} fpm
    me=$(id -un)
    mariadb-install-db --no-defaults --user="$me" --datadir="$dir/db" --auth-root-authentication-method=normal \
        --skip-test-db >"$dir/install.log" 2>&1
    mariadbd --no-defaults --user="$me" --datadir="$dir/db" --socket="$dir/db.sock" --skip-networking \
        --pid-file="$dir/mariadb.pid" --innodb-buffer-pool-size=256M >"$dir/mariadb.log" 2>&1 &
    wait_for mariadb-admin --no-defaults --user=root --socket="$dir/db.sock" ping
    mariadb --no-defaults --user=root --socket="$dir/db.sock" -e 'CREATE DATABASE wordpress'

    cp -rL /usr/share/wordpress "$site"
    cat >"$site/wp-config.php" <<CONFIG
<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:$dir/db.sock');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
define('WP_HOME', 'http://bench');
define('WP_SITEURL', 'http://bench');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
\$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', '$site/');
require_once ABSPATH . 'wp-settings.php';
CONFIG
    cat >"$dir/fill.php" <<FILL
<?php
define('WP_INSTALLING', true);
\$_SERVER['HTTP_HOST'] = 'bench';
require '$site/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter('pre_wp_mail', '__return_true');
wp_install('Bench', 'somebody', 'somebody@example.org', true, '', wp_generate_password());
\$text = '<!-- wp:paragraph --><p>' . str_repeat('Words of an ordinary length, and some more of them. ', 60) . '</p><!-- /wp:paragraph -->';
wp_defer_term_counting(true);
for (\$n = 1; \$n <= $posts; \$n++) {
    wp_insert_post([
        'post_title' => "Article \$n", 'post_name' => "article-\$n", 'post_excerpt' => 'A few lines.', 'post_content' => \$text,
        'post_status' => 'publish', 'post_author' => 1, 'tags_input' => ['news'], 'comment_status' => 'closed',
    ]);
}
wp_defer_term_counting(false);
global \$wp_rewrite;
\$wp_rewrite->set_permalink_structure('/%postname%/');
\$wp_rewrite->flush_rules();
FILL
    php -d memory_limit=512M "$dir/fill.php" >"$dir/fill.log" 2>&1 || die "$(tail -5 "$dir/fill.log")"

    cat >"$dir/fpm.conf" <<CONFIG
[global]
error_log = $dir/fpm.log
pid = $dir/php.pid
[www]
listen = $dir/php.sock
pm = static
pm.max_children = $((4 * $(nproc)))
CONFIG
    [ "$(id -u)" -ne 0 ] || printf 'user = %s\n' "$me" >>"$dir/fpm.conf"
    fpm=$(command -v php-fpm || ls /usr/sbin/php-fpm[0-9]* | tail -1)
    "$fpm" --daemonize --fpm-config "$dir/fpm.conf" $([ "$(id -u)" -ne 0 ] || echo --allow-to-run-as-root)

    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$dir/nginx.conf" <<CONFIG
daemon on;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
worker_processes $(nproc);
$([ "$(id -u)" -ne 0 ] || echo "user $me;")
events {}
http {
    include /etc/nginx/mime.types;
    access_log $dir/access.log;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp; uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    server {
        listen 127.0.0.1:$port;
        root $site;
        index index.php;
        location / { try_files \$uri \$uri/ /index.php?\$args; }
        location ~ \\.php\$ {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
            fastcgi_pass unix:$dir/php.sock;
        }
    }
}
CONFIG
    nginx -c "$dir/nginx.conf" >>"$dir/nginx.log" 2>&1
    wait_for curl -sf -H 'Host: bench' "http://127.0.0.1:$port/article-$posts/"
    echo "export PANEL_BENCH_WORDPRESS=127.0.0.1:$port"
}

case $action in
    start) start ;;
    stop) stop ;;
    *) die "$usage" ;;
esac
