package main

import "context"

// httpToGRPC: a request over HTTP/1.1 makes gRPC calls over one connection that all share, two of them at a time.
func httpToGRPC(s *service) handler {
	return func(ctx context.Context, cause string) error {
		other := make(chan error, 1)
		go func() { other <- s.grpc.call(ctx, cause) }()
		if err := s.grpc.call(ctx, cause); err != nil {
			return err
		}
		return <-other
	}
}
