#!/bin/sh
# Checks what would be deployed to Cloudflare, without an account and without the network: the bindings' types, and the bundle.
set -eu
cd "$(dirname "$0")/.."
export WRANGLER_SEND_METRICS=false WRANGLER_HIDE_BANNER=true WRANGLER_WRITE_LOGS=false CLOUDFLARE_CF_FETCH_ENABLED=false
wrangler types --include-runtime=false --check
for environment in "" staging production; do
  wrangler deploy --dry-run --env="$environment"
done
