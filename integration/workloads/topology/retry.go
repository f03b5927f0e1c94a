package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// retry: the leaf is unavailable twice (503), and the handler asks again after a pause.
func retry(s *service) handler {
	return func(ctx context.Context, cause string) error {
		for attempt := 1; attempt <= 2; attempt++ {
			err := s.http.get(ctx, s.http.announce(cause), "?status=503")
			var status statusError
			if !errors.As(err, &status) || status != http.StatusServiceUnavailable {
				return fmt.Errorf("the leaf was to be unavailable: %v", err)
			}
			time.Sleep(time.Duration(attempt) * 200 * time.Microsecond)
		}
		return s.http.call(ctx, cause)
	}
}
