#!/usr/bin/env bash
# Run with: bash handler_test.sh
set -euo pipefail
cd "$(dirname "$0")"

expect() { # rule, expected, actual
  if [[ $2 != "$3" ]]; then
    printf '%s\nexpected: %q\nactual:   %q\n' "$1" "$2" "$3" >&2
    exit 1
  fi
}

secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT
export FAASLANE_SECRETS_DIR=$secrets

expect "upper-cases" "HELLO, ÜBER-MÜNCHEN!" "$(printf 'Hello, über-München!' | bash handler.sh)"
expect "keeps line breaks" $'A\n\nx' "$(printf 'a\n\n' | bash handler.sh && printf x)"
expect "empty stays empty" "" "$(bash handler.sh </dev/null)"

if printf a | Http_Query=sign=1 bash handler.sh >/dev/null 2>&1; then
  echo "signed without a key" >&2
  exit 1
fi

printf 'key-1\n' >"$secrets/shout-key"
signed=$(printf 'hi' | Http_Query='a=b&sign=1' bash handler.sh)
expect "signs" $'HI\nsignature: '"$(printf 'key-1HIkey-1' | sha256sum | cut -d' ' -f1)" "$signed"
expect "signs only when asked" "HI" "$(printf 'hi' | Http_Query=sign=10 bash handler.sh)"
echo ok
