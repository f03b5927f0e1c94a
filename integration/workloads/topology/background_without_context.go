package main

import "context"

// backgroundWithoutContext: as background, but the job knows nothing of the request's context.
func backgroundWithoutContext(s *service) handler {
	return func(_ context.Context, cause string) error {
		s.later(context.Background(), cause)
		return nil
	}
}
