#!/bin/sh
# Installs function/requirements.txt into packages/, and Flask, unless Python or the requirements have brought it: where they
# have, and nothing else is required, it needs no network. What this machine's Python has is not in an image's.
set -eu
cd "$(dirname "$0")"

python3 -B -m faaslane_runtime.check

# Paths in it are those beside it.
cd function
set --
! grep -qsv '^[[:space:]]*\(#.*\)\{0,1\}$' requirements.txt || set -- --requirement requirements.txt
{ [ -z "${TARGETPLATFORM:-}" ] && python3 -c 'import flask' 2>/dev/null; } || set -- "$@" --requirement ../requirements.txt
[ $# -gt 0 ] || exit 0

# The interpreter itself: where python3 is a stand-in of pyenv, that one wants to write to its own folder after an install.
python=$(python3 -c 'import sys; print(sys.executable)')
if ! "$python" -m pip --version >/dev/null 2>&1; then
  echo "packages have to be installed, but python3 has no pip" >&2
  exit 1
fi
if [ -f pip.conf ]; then
  export PIP_CONFIG_FILE=pip.conf
fi
export PIP_ROOT_USER_ACTION=ignore
. ../wheels.sh
install_packages "$@"
