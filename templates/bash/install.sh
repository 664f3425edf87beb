#!/bin/sh
# Runs function/install.sh, if the function brings one: to compile a program, say, that `fprocess` then names.
set -eu
cd "$(dirname "$0")/function"

[ -f install.sh ] || exit 0
exec sh install.sh
