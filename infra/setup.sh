#!/bin/sh
# Installs what is missing: packages always; with the argument `test` the servers the tests run against, on Debian as root, and one that
# speaks MongoDB's protocol anywhere.
set -eu
cd "$(dirname "$0")/.."
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  # Errors alone: the packages warn that npm's own Node is old, and they do not run on that one. Without its download of IBM's client
  # ibmmq installs anywhere; npm drops an optional package whose install script fails.
  MQIJS_NOREDIST=1 npm ci --no-audit --no-fund --loglevel=error
fi
[ "${1:-}" = test ] || exit 0
# Where Debian puts servers; not on the path of every root.
PATH="$PATH:/usr/sbin"

install_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  missing=""
  for pair in redis-server:redis-server nats-server:nats-server rabbitmq-server:rabbitmq-server nginx:nginx chromium:chromium prometheus:prometheus gcc:gcc; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
  done
  [ -e /usr/lib/nginx/modules/ngx_nchan_module.so ] || missing="$missing libnginx-mod-nchan"
  [ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
  [ -n "$missing" ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  # A server that a package starts by itself would hold a port and memory: policy-rc.d forbids it (Debian Policy 9.3.3).
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && trap 'rm /usr/sbin/policy-rc.d' EXIT; }
  apt-get update -qq || true
  # One that cannot be had must not keep the others away, nor the tests: they say what they miss.
  apt-get install -y -qq --no-install-recommends $missing ||
    for package in $missing; do apt-get install -y -qq --no-install-recommends "$package" || true; done
}

# Outside node_modules, which npm ci empties. test/support/mongodb.ts looks in the same places.
bring_mongodb() {
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/millrace"
  [ -z "${MONGODB_URI:-}" ] || return 0
  ! command -v mongod >/dev/null && [ ! -x "$cache/mongod" ] && [ ! -x "$cache/ferretdb" ] || return 0
  mkdir -p "$cache" && work="$(mktemp -d "$cache/work.XXXXXX")" || return 0
  download_mongod || build_ferretdb || echo "MongoDB: neither a download nor Go; the tests that need it are skipped" >&2
  chmod -R u+w "$work" && rm -rf "$work"
}

# 30 s at most: some machines have no way to the download, and no answer either.
download_mongod() {
  node -e '
    setTimeout(() => process.exit(1), 30_000);
    import("mongodb-memory-server-core")
      .then(({ MongoBinary }) => MongoBinary.getPath({ downloadDir: process.argv[1] }))
      .then((path) => require("fs").renameSync(path, process.argv[2]))
      .then(() => process.exit(0), () => process.exit(1));
  ' "$work" "$cache/mongod" >/dev/null 2>&1
}

# MongoDB's protocol over SQLite. Not by `go install`: a build of the plain module does not start without version.txt.
build_ferretdb() {
  module=github.com/FerretDB/FerretDB
  command -v go >/dev/null || return 1
  (
    # A module proxy may know a version and yet not the list of them: nothing here asks for that.
    cd "$work" && folder="$(go mod download -json "$module@v1.24.2" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" && [ -n "$folder" ] &&
      cp -R "$folder" source && chmod -R u+w source && cd source &&
      echo v1.24.2 >build/version/version.txt && go build -trimpath -buildvcs=false -o ../ferretdb ./cmd/ferretdb
  ) && mv "$work/ferretdb" "$cache/ferretdb"
}

install_packages
bring_mongodb
