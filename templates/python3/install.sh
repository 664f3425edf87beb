#!/bin/sh
# Looks at the handler, and installs function/requirements.txt into packages/; without a requirement it ends at once and
# needs no network.
set -eu
cd "$(dirname "$0")"

python3 -B -m faaslane_runtime.check

grep -qsv '^[[:space:]]*\(#.*\)\{0,1\}$' function/requirements.txt || exit 0

if ! python3 -m pip --version >/dev/null 2>&1; then
  echo "function/requirements.txt lists packages, but python3 has no pip" >&2
  exit 1
fi
if [ -f function/pip.conf ]; then
  export PIP_CONFIG_FILE=function/pip.conf
fi
exec python3 -m pip install --disable-pip-version-check --no-input --upgrade \
  --target packages --requirement function/requirements.txt
