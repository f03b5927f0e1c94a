package main

import (
	"context"
	"errors"
)

// fanOutWithoutContext: as fanOut, and nobody passes a context on, as with http.Get. That the goroutines are the handler's is
// all that leads from the request to the calls.
func fanOutWithoutContext(s *service) handler {
	return func(_ context.Context, cause string) error {
		other := make(chan error, 1)
		go func() { other <- s.http.call(context.Background(), cause) }()
		return errors.Join(s.http.call(context.Background(), cause), <-other)
	}
}
