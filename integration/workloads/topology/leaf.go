package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// leaf calls nobody.
func leaf(context.Context, string) error { return nil }

// leafHandler answers as the query says: ?status=503, ?sleep=3ms.
func leafHandler(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if pause, err := time.ParseDuration(query.Get("sleep")); err == nil {
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
		}
	}
	if status, err := strconv.Atoi(query.Get("status")); err == nil {
		w.WriteHeader(status)
	}
	io.WriteString(w, "done\n")
}
