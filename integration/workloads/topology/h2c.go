package main

import "context"

// overH2C: requests come over one connection of HTTP/2 without TLS, and the calls go out over one.
func overH2C(s *service) handler {
	return func(ctx context.Context, cause string) error {
		if err := s.h2c.call(ctx, cause); err != nil {
			return err
		}
		return s.h2c.call(ctx, cause)
	}
}
