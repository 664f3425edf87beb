#!/usr/bin/env bash
# Run with: bash handler_test.sh
set -euo pipefail
cd "$(dirname "$0")"

expected=$'POST /greet with:\nhello'
actual=$(printf 'hello' | Http_Method=POST Http_Path=/greet bash handler.sh)
if [ "$actual" != "$expected" ]; then
  printf 'expected: %s\nactual:   %s\n' "$expected" "$actual" >&2
  exit 1
fi
echo ok
