package function

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSaysWhatItReceived(t *testing.T) {
	recorder := httptest.NewRecorder()
	Handle(recorder, httptest.NewRequest("POST", "/greet", strings.NewReader("hello")))
	if got, want := recorder.Body.String(), "POST /greet with: hello\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}
