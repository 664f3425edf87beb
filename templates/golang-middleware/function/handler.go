package function

import (
	"fmt"
	"io"
	"net/http"
)

// Handle answers a call. Whatever net/http can do, it can: status, headers, streams.
func Handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s with: %s\n", r.Method, r.URL.Path, body)
}
