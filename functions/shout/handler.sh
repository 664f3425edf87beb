#!/usr/bin/env bash
# Upper-cases its input. With ?sign=1 a last line proves that the text came from here: the SHA-256 of key, text and
# key, where the key is the secret shout-key.
set -euo pipefail

# The x keeps the line breaks at the end, which command substitution drops.
text=$(cat && printf x)
text=${text%x}
if ((BASH_VERSINFO[0] >= 4)); then
  # Letters beyond ASCII need a UTF-8 locale; where it is missing bash complains, and they stay as they are.
  { LC_ALL=C.UTF-8; } 2>/dev/null
  text=${text^^}
else
  text=$(printf '%sx' "$text" | tr '[:lower:]' '[:upper:]')
  text=${text%X}
fi
printf '%s' "$text"

[[ "&${Http_Query:-}&" == *"&sign=1&"* ]] || exit 0

key=${FAASLANE_SECRETS_DIR:-/var/openfaas/secrets}/shout-key
if [[ ! -r $key ]]; then
  echo "shout: the secret shout-key is missing" >&2
  exit 1
fi
# Only builtins and stdin touch the key: a command line could be seen by every process.
secret=$(<"$key")
digest=$(printf '%s%s%s' "$secret" "$text" "$secret" | sha256sum)
printf '\nsignature: %s\n' "${digest%% *}"
