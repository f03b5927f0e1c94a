package main

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// grpcBidi: for each message that comes the handler makes a call, and answers.
func grpcBidi(s *service) streamHandler {
	return func(stream grpc.ServerStream, cause string) error {
		for {
			err := stream.RecvMsg(&emptypb.Empty{})
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := s.http.call(stream.Context(), cause); err != nil {
				return err
			}
			if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
				return err
			}
		}
	}
}
