// A server that starts a process for each request, as OpenFaaS's classic watchdog does: net/http reads the request whole,
// os/exec runs the program with the request's headers as Http_* variables, and what it prints is the answer. It is no
// watchdog: it has no limits, no probes, no metrics and no log, so it is a bar that such a watchdog stays below.
//
//	go run fork-server.go PROGRAM [ARGUMENT…]
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

func variables(r *http.Request) []string {
	env := os.Environ()
	for name, values := range r.Header {
		env = append(env, fmt.Sprintf("Http_%s=%s", strings.ReplaceAll(name, "-", "_"), values[0]))
	}
	env = append(env, "Http_Method="+r.Method, fmt.Sprintf("Http_ContentLength=%d", r.ContentLength))
	env = append(env, fmt.Sprintf("Http_Content_Length=%d", r.ContentLength))
	if r.URL.RawQuery != "" {
		env = append(env, "Http_Query="+r.URL.RawQuery)
	}
	return append(env, "Http_Path="+r.URL.Path, "Http_Host="+r.Host)
}

func main() {
	program, args := os.Args[1], os.Args[2:]
	handler := func(w http.ResponseWriter, r *http.Request) {
		startedAt := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		cmd := exec.Command(program, args...)
		cmd.Env = variables(r)
		cmd.Stdin = bytes.NewReader(body)
		output, err := cmd.CombinedOutput()
		if err != nil {
			http.Error(w, err.Error()+"\n"+string(output), http.StatusInternalServerError)
			return
		}
		w.Header().Set("X-Duration-Seconds", fmt.Sprintf("%f", time.Since(startedAt).Seconds()))
		w.Write(output)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(handler)))
}
