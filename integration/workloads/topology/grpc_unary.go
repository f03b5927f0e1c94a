package main

import "context"

// grpcUnary: a unary gRPC call makes two others, over one connection that all share.
func grpcUnary(s *service) handler {
	return func(ctx context.Context, cause string) error {
		if err := s.grpc.call(ctx, cause); err != nil {
			return err
		}
		return s.grpc.call(ctx, cause)
	}
}
