#!/bin/sh
# Builds ./handler out of function/ and the program in runtime/, which becomes a package of the function's own module: so
# its name, its vendored modules and its replacements stay as they are. Without modules to fetch it needs no network.
set -eu
cd "$(dirname "$0")"

export CGO_ENABLED="${CGO_ENABLED:-0}" GO111MODULE=on GOWORK=off
# For an image of another machine; tools that are run meanwhile are for this one all the same.
[ -z "${TARGETARCH:-}" ] || export GOOS="${GOOS:-linux}" GOARCH="${GOARCH:-$TARGETARCH}"
export GOPATH="${TMPDIR:-/tmp}/go" GOFLAGS="${GOFLAGS:-} -modcacherw"
# Empty is what build arguments that nobody has set are; Go takes it for no proxy at all.
[ -n "${GOPROXY:-}" ] || unset GOPROXY

module=$(sed -n 's/^module[[:space:]]\{1,\}"\{0,1\}\([^"[:space:]]*\).*/\1/p' function/go.mod | head -n 1)
if [ -z "$module" ]; then
  echo "function/go.mod names no module: it begins with a line such as: module handler/function" >&2
  exit 1
fi

# Go before 1.21 knows neither patch releases nor toolchains in a go.mod.
minor=$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')
if [ "$minor" -lt 21 ]; then
  sed -e '/^toolchain /d' -e 's/^go \([0-9]*\.[0-9]*\)\.[0-9].*/go \1/' function/go.mod >go.mod.plain
  cat go.mod.plain >function/go.mod
  rm go.mod.plain
fi

# The sample's test, left beside a handler of another package.
package_of() { sed -n 's/^package \([[:alnum:]_]*\).*/\1/p' "$1" | head -n 1; }
if [ -f function/handler.go ] && [ -f function/handler_test.go ]; then
  case $(package_of function/handler_test.go) in
    "$(package_of function/handler.go)" | "$(package_of function/handler.go)_test") ;;
    *) rm function/handler_test.go ;;
  esac
fi

mode=mod
[ ! -d function/vendor ] || mode=vendor
[ ! -f sdk.sh ] || . ./sdk.sh

# The package for events is part of the template too, and needs a line in the go.mod of those that import it.
events=faaslane/cloudevent
if grep -rqs --include='*.go' "\"$events\"" function; then
  printf 'module %s\n\ngo 1.18\n' "$events" >cloudevent/go.mod
  (cd function && go mod edit -require="$events@v0.0.0" -replace="$events=../cloudevent")
  if [ "$mode" = vendor ]; then
    mkdir -p "function/vendor/$events"
    cp cloudevent/*.go "function/vendor/$events/"
    printf '# %s v0.0.0 => ../cloudevent\n## explicit; go 1.18\n%s\n# %s => ../cloudevent\n' "$events" "$events" "$events" \
      >>function/vendor/modules.txt
  fi
fi

main=function/faaslane_main
mkdir "$main"
for file in runtime/*.go; do
  sed -e "s#handler/function#$module#" -e "s#github.com/openfaas/templates-sdk/go-http#${sdk:-}#" "$file" >"$main/$(basename "$file")"
done
(cd function && go build -mod="$mode" -trimpath -ldflags="-s -w" -o ../handler ./faaslane_main)
rm -r "$main"
