# The package of requests and responses is part of the template, under the name that the handler imports it by; vendored, it
# is the handler's own.
sdk=github.com/openfaas/templates-sdk/go-http
old=github.com/openfaas-incubator/go-function-sdk
if grep -rqs --include='*.go' "\"$old\"" function; then sdk=$old; fi
if [ "$mode" = mod ]; then
  printf 'module %s\n\ngo 1.18\n' "$sdk" >sdk/go.mod
  (cd function && go mod edit -require="$sdk@v0.0.0" -replace="$sdk=../sdk")
fi
