#!/bin/sh
# Installs what is missing: packages always; with the argument `test`, on Debian as root, the servers the tests run against.
set -eu
cd "$(dirname "$0")/.."
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  # Errors alone: the packages warn that npm's own Node is old, and they do not run on that one. Without its download of IBM's client
  # ibmmq installs anywhere; npm drops an optional package whose install script fails.
  MQIJS_NOREDIST=1 npm ci --no-audit --no-fund --loglevel=error
fi
[ "${1:-}" = test ] || exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
# Where Debian puts servers; not on the path of every root.
PATH="$PATH:/usr/sbin"
missing=""
for pair in redis-server:redis-server nats-server:nats-server rabbitmq-server:rabbitmq-server nginx:nginx chromium:chromium gcc:gcc; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -e /usr/lib/nginx/modules/ngx_nchan_module.so ] || missing="$missing libnginx-mod-nchan"
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -n "$missing" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
# A server that a package starts by itself would hold a port and memory: policy-rc.d forbids it (Debian Policy 9.3.3).
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && trap 'rm /usr/sbin/policy-rc.d' EXIT; }
apt-get update -qq || true
# One that cannot be had must not keep the others away, nor the tests: they say what they miss.
apt-get install -y -qq --no-install-recommends $missing ||
  for package in $missing; do apt-get install -y -qq --no-install-recommends "$package" || true; done
