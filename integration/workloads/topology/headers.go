package main

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
)

// rootHeader is what a driver's request brings for these two: the trace is the driver's, whose spans nobody collects.
func rootHeader(workload string) http.Header {
	trace := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	span := fmt.Sprintf("%016x", rand.Uint64())
	switch workload {
	case "traceparent":
		return http.Header{"Traceparent": {"00-" + trace + "-" + span + "-01"}}
	case "b3":
		return http.Header{"X-B3-Traceid": {trace}, "X-B3-Spanid": {span}, "X-B3-Sampled": {"1"}}
	}
	return nil
}

// withHeader hands a job to the workers whose context holds nothing but the header for the call.
func (s *service) withHeader(jobs chan job, header func(*http.Request) http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(context.Background(), headerKey{}, header(r))
		j := job{ctx: ctx, cause: r.URL.Path, done: make(chan error, 1)}
		jobs <- j
		s.conclude(w, r, <-j.done)
	})
}

// headerKey is under what a context holds the header fields of the calls that are made with it.
type headerKey struct{}
