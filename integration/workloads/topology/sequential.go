package main

import "context"

// sequential: the handler's goroutine makes one call after the other, the first of which causes another in turn.
func sequential(s *service) handler {
	return func(ctx context.Context, cause string) error {
		if err := s.middle.call(ctx, cause); err != nil {
			return err
		}
		return s.http.call(ctx, cause)
	}
}
