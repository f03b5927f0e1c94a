package main

import (
	"context"
	"errors"
)

// fanOut: the handler starts a goroutine for each call and waits for all of them.
func fanOut(s *service) handler {
	const calls = 3
	return func(ctx context.Context, cause string) error {
		results := make(chan error, calls)
		for i := 0; i < calls; i++ {
			go func() { results <- s.http.call(ctx, cause) }()
		}
		var failed error
		for i := 0; i < calls; i++ {
			failed = errors.Join(failed, <-results)
		}
		return failed
	}
}
