package main

import (
	"fmt"
	"math/rand"
	"net/http"
)

// b3: as traceparent, with Zipkin's headers, one for each value.
func b3(s *service) http.Handler {
	jobs := startWorkers(func(j job) error { return s.http.call(j.ctx, j.cause) })
	return s.withHeader(jobs, func(r *http.Request) http.Header {
		return http.Header{
			"X-B3-Traceid":      {r.Header.Get("X-B3-Traceid")},
			"X-B3-Spanid":       {fmt.Sprintf("%016x", rand.Uint64())},
			"X-B3-Parentspanid": {r.Header.Get("X-B3-Spanid")},
			"X-B3-Sampled":      {"1"},
		}
	})
}
