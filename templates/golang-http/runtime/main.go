package main

import (
	"io"
	"log"
	"net/http"

	handler "github.com/openfaas/templates-sdk/go-http"
	function "handler/function"
)

func main() {
	serve(http.HandlerFunc(call))
}

// call turns a request into a call of the function. An error is a 500, with the body that came beside it.
func call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		log.Printf("a request's body could not be read: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	req := handler.Request{
		Body:        body,
		Header:      r.Header,
		QueryString: r.URL.RawQuery,
		Method:      r.Method,
		Host:        r.Host,
	}
	req.WithContext(r.Context())
	response, err := function.Handle(req)
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	status := response.StatusCode
	if err != nil {
		log.Print(err)
		status = http.StatusInternalServerError
	}
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	_, _ = w.Write(response.Body)
}
