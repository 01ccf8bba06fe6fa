#!/bin/sh
# Makes the authority of the Compose cluster and a certificate per node, where there is none yet.
# Each argument is NAME=ROLE,…; the node's volume is /nodes/NAME. With RENEW=1 every node gets a
# new certificate, which it takes while it runs.
set -eu
umask 077

if [ ! -e /authority/ca ]; then
    panel-node certs init --data-dir /authority
fi
for node in "$@"; do
    name=${node%%=*}
    home=/nodes/$name
    if [ "${RENEW:-}" = 1 ] || [ ! -e "$home/tls/node.pem" ]; then
        panel-node certs issue --data-dir /authority --name "$name" --roles "${node#*=}" --out "$home/tls"
    fi
    chown -R panel:panel "$home"
    chmod 700 "$home"
done
