package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// serve answers calls of the watchdog on 127.0.0.1:$http_port until SIGTERM, then finishes those under way.
func serve(handler http.Handler) {
	port := os.Getenv("http_port")
	if port == "" {
		port = "8082"
	}
	server := &http.Server{
		Handler:        handler,
		ReadTimeout:    duration("read_timeout", 0),
		WriteTimeout:   duration("write_timeout", 0),
		MaxHeaderBytes: 1 << 20,
	}
	// Caught before the port opens, which tells the watchdog that the function is ready.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatalf("http_port: %v", err)
	}
	go exitWithParent()

	done := make(chan struct{})
	go func() {
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), duration("write_timeout", 30*time.Second))
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Printf("calls were cut off: %v", err)
		}
		close(done)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-done
}

// duration is that of a variable: bare seconds, or as 1m30s; anything else is the fallback, as the watchdog has it.
func duration(name string, fallback time.Duration) time.Duration {
	text := os.Getenv(name)
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second
	}
	if parsed, err := time.ParseDuration(text); err == nil && parsed >= 0 {
		return parsed
	}
	return fallback
}

// exitWithParent ends the process with the watchdog, which holds our standard input open.
func exitWithParent() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return // started by hand
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}
