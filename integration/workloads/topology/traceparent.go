package main

import (
	"fmt"
	"math/rand"
	"net/http"
	"strings"
)

// traceparent: the application itself passes the trace on in W3C's header, as OpenTelemetry's SDKs do: the trace's id as it
// came, with a span id of its own. The worker that calls knows nothing of the request's context.
func traceparent(s *service) http.Handler {
	jobs := startWorkers(func(j job) error { return s.http.call(j.ctx, j.cause) })
	return s.withHeader(jobs, func(r *http.Request) http.Header {
		fields := strings.Split(r.Header.Get("Traceparent"), "-")
		if len(fields) != 4 {
			return nil
		}
		return http.Header{"Traceparent": {fmt.Sprintf("00-%s-%016x-01", fields[1], rand.Uint64())}}
	})
}
