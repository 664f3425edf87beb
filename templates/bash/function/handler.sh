#!/usr/bin/env bash
# stdin is the request's body, stdout the answer, stderr the log; an exit code other than 0 makes the answer a 500.
# Method, path, query and headers: Http_Method, Http_Path, Http_Query, Http_X_My_Header.
# Secrets are files in $FAASLANE_SECRETS_DIR.
set -euo pipefail

echo "${Http_Method:-} ${Http_Path:-} with:"
cat
