package main

import "context"

// A job is what a handler hands to a pool of workers.
type job struct {
	ctx   context.Context
	cause string
	done  chan error
}

const (
	workers = 8
	backlog = 64 // jobs that wait: a worker that is not asleep takes the next one without being woken
)

// workerPool: the handler puts a job with its context into a buffered channel, and one of a few workers makes the call.
func workerPool(s *service) handler {
	jobs := startWorkers(func(j job) error { return s.http.call(j.ctx, j.cause) })
	return submit(jobs)
}

func startWorkers(work func(job) error) chan job {
	jobs := make(chan job, backlog)
	for i := 0; i < workers; i++ {
		go func() {
			for j := range jobs {
				j.done <- work(j)
			}
		}()
	}
	return jobs
}

func submit(jobs chan job) handler {
	return func(ctx context.Context, cause string) error {
		j := job{ctx: ctx, cause: cause, done: make(chan error, 1)}
		jobs <- j
		return <-j.done
	}
}
