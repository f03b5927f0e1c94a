package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A grpcCaller calls one other service by gRPC, over one connection.
type grpcCaller struct {
	truth   *truth
	numbers *numbers
	conn    *grpc.ClientConn
}

func newGRPCCaller(truth *truth, numbers *numbers, address string) (*grpcCaller, error) {
	conn, err := grpc.NewClient(
		"passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(), // a call that is made again is two on the wire
	)
	return &grpcCaller{truth, numbers, conn}, err
}

// call asks for what cause needs.
func (c *grpcCaller) call(ctx context.Context, cause string) error {
	return c.invoke(ctx, announce(c.truth, c.numbers, cause))
}

// invoke makes an announced call.
func (c *grpcCaller) invoke(ctx context.Context, id string) error {
	return c.conn.Invoke(ctx, id, &emptypb.Empty{}, &emptypb.Empty{})
}
