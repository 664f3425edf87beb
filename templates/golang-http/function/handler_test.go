package function

import (
	"testing"

	handler "github.com/openfaas/templates-sdk/go-http"
)

func TestSaysWhatItReceived(t *testing.T) {
	response, err := Handle(handler.Request{Method: "POST", Body: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(response.Body), "POST with: hello\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}
