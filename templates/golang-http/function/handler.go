package function

import (
	"fmt"
	"net/http"

	handler "github.com/openfaas/templates-sdk/go-http"
)

// Handle answers a call: its body, headers, method and query are in req. An error makes the answer a 500.
func Handle(req handler.Request) (handler.Response, error) {
	return handler.Response{
		Body:       []byte(fmt.Sprintf("%s with: %s\n", req.Method, req.Body)),
		StatusCode: http.StatusOK,
	}, nil
}
