package main

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// streamMessages is how many messages a stream has each way, where it has more than one.
const streamMessages = 3

// grpcServerStream: the answer is a stream, for each message of which the handler makes a call.
func grpcServerStream(s *service) streamHandler {
	return func(stream grpc.ServerStream, cause string) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		for i := 0; i < streamMessages; i++ {
			if err := s.grpc.call(stream.Context(), cause); err != nil {
				return err
			}
			if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
				return err
			}
		}
		return nil
	}
}
