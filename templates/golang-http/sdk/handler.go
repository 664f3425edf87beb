// Package handler is what functions of the golang-http template exchange with their caller.
package handler

import (
	"context"
	"net/http"
)

// Request is one call of the function.
type Request struct {
	Body        []byte
	Header      http.Header
	QueryString string
	Method      string
	Host        string
	ctx         context.Context
}

// Context ends when the caller has left or the time is over.
func (r *Request) Context() context.Context {
	if r.ctx == nil {
		return context.Background()
	}
	return r.ctx
}

// WithContext sets the context of the request.
func (r *Request) WithContext(ctx context.Context) {
	r.ctx = ctx
}

// Response is what the caller gets; without a status that is 200.
type Response struct {
	Body       []byte
	StatusCode int
	Header     http.Header
}

// FunctionHandler is what the function is.
type FunctionHandler interface {
	Handle(req Request) (Response, error)
}
