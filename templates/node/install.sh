#!/bin/sh
# Looks at the handler, and installs the packages of function/package.json; without any it needs no network.
set -eu
cd "$(dirname "$0")/function"

node ../runtime/check.mjs

grep -qs 'ependencies"' package.json || exit 0
count=$(node -p 'const p = require("./package.json"); Object.keys({ ...p.dependencies, ...p.optionalDependencies }).length')
[ "$count" -gt 0 ] || exit 0

if ! command -v npm >/dev/null; then
  echo "function/package.json lists $count dependencies, but npm is not installed" >&2
  exit 1
fi
if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then
  exec npm ci --omit=dev --no-audit --no-fund
fi
exec npm install --omit=dev --no-audit --no-fund
