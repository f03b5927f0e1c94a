package main

import "context"

// grpcToHTTP: a gRPC call makes two requests over HTTP/1.1.
func grpcToHTTP(s *service) handler {
	return func(ctx context.Context, cause string) error {
		if err := s.http.call(ctx, cause); err != nil {
			return err
		}
		return s.http.call(ctx, cause)
	}
}
