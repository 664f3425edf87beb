#!/bin/sh
# Makes JavaScript of the handler and installs the packages of function/package.json. A handler with a script called build is
# built by that, and its main is the function; of all others only the types are taken away, which needs no package and no
# network.
set -eu
cd "$(dirname "$0")"

node runtime/prepare.mjs

cd function
built=$(node -p 'require("./package.json").scripts?.build ?? ""' 2>/dev/null || true)
count=$(node -p 'const p = require("./package.json"); Object.keys({ ...p.dependencies, ...p.optionalDependencies, ...(p.scripts?.build && p.devDependencies) }).length' 2>/dev/null || echo 0)
if [ "$count" -gt 0 ]; then
  if ! command -v npm >/dev/null; then
    echo "function/package.json lists $count dependencies, but npm is not installed" >&2
    exit 1
  fi
  omit=--omit=dev
  [ -z "$built" ] || omit=--include=dev
  if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then npm ci "$omit" --no-audit --no-fund
  else npm install "$omit" --no-audit --no-fund
  fi
fi
if [ -n "$built" ]; then
  npm run build
  [ "$count" -eq 0 ] || npm prune --omit=dev --no-audit --no-fund
  node ../runtime/prepare.mjs --built
fi
exec node ../runtime/check.mjs
