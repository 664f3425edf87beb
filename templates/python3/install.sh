#!/bin/sh
# Looks at the handler, and installs function/requirements.txt into packages/; without a requirement it ends at once and
# needs no network.
set -eu
cd "$(dirname "$0")"

python3 -B -m faaslane_runtime.check

# Paths in it are those beside it.
cd function
grep -qsv '^[[:space:]]*\(#.*\)\{0,1\}$' requirements.txt || exit 0

# The interpreter itself: where python3 is a stand-in of pyenv, that one wants to write to its own folder after an install.
python=$(python3 -c 'import sys; print(sys.executable)')
if ! "$python" -m pip --version >/dev/null 2>&1; then
  echo "function/requirements.txt lists packages, but python3 has no pip" >&2
  exit 1
fi
if [ -f pip.conf ]; then
  export PIP_CONFIG_FILE=pip.conf
fi
export PIP_ROOT_USER_ACTION=ignore
. ../wheels.sh
install_packages --requirement requirements.txt
