package main

import "context"

// workerPoolWithoutContext: as workerPool, but the worker calls with a context of its own. Nothing but the job's memory
// leads from the request to the call.
func workerPoolWithoutContext(s *service) handler {
	jobs := startWorkers(func(j job) error { return s.http.call(context.Background(), j.cause) })
	return submit(jobs)
}
