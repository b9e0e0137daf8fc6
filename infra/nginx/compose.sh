#!/bin/sh
# Prints millrace.conf, the file beside this one, with its EDIT lines changed for infra/compose.yaml: a user that is not root (ports above
# 1024, everything written to /tmp), the servers by the name of their service, certificate and key from the secrets.
#   $1  the server's name; default _, any
set -eu
name="${1:-_}"
cd "$(dirname "$0")"
# `resolve`: a container that is replaced has a new address. Docker's own name server is 127.0.0.11.
# /metrics and /admin stay with who is in the container: to it all that comes from the host is one address, the network's.
sed \
  -e '/^ *# .*; # EDIT/d' \
  -e 's|^upstream millrace {|resolver 127.0.0.11 valid=5s ipv6=off;\n&|' \
  -e 's|server 127.0.0.1:8787 \(.*\); # EDIT|server edge-node:8787 resolve \1;|' \
  -e '/server 127.0.0.1:8789 /d' \
  -e 's|listen 80; # EDIT|listen 8080;|' \
  -e 's|listen 443 ssl http2; # EDIT.*|listen 8443 ssl http2;|' \
  -e "s|server_name events.example.com; # EDIT|server_name $name;|" \
  -e 's|/etc/ssl/events.example.com.pem; # EDIT.*|/run/secrets/tls.pem;|' \
  -e 's|/etc/ssl/events.example.com.key; # EDIT|/run/secrets/tls.key;|' \
  -e 's|/var/cache/nginx/|/tmp/|; s|use_temp_path=off; # EDIT.*|use_temp_path=off;|' \
  -e 's|/var/log/nginx/millrace.log millrace; # EDIT|/dev/stdout millrace;|' \
  -e 's|/var/log/nginx/millrace-error.log crit; # EDIT|stderr crit;|' \
  millrace.conf
