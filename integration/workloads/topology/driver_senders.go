package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// pipelineDepth is how many requests are sent without waiting for an answer.
const pipelineDepth = 4

// A sender makes requests, as a rule one, and waits for their end.
type sender func(ctx context.Context, ids []string) error

func (d *drive) sender() (sender, error) {
	switch d.workload.inbound {
	case inboundHTTP:
		return d.overHTTP(newHTTPCaller(d.truth, nil, d.target)), nil
	case inboundH2C:
		return d.overHTTP(newH2CCaller(d.truth, nil, d.target)), nil
	case inboundPipelined:
		return d.overWires(), nil
	case inboundUnary, inboundServerStream, inboundBidi:
		return d.overGRPC()
	}
	return nil, fmt.Errorf("nobody knows how to ask for %s", d.workload.name)
}

func (d *drive) overHTTP(caller *httpCaller) sender {
	return func(ctx context.Context, ids []string) error {
		for _, id := range ids {
			with := context.WithValue(ctx, headerKey{}, rootHeader(d.workload.name))
			if err := caller.get(with, id, ""); err != nil {
				return err
			}
		}
		return nil
	}
}

func (d *drive) overWires() sender {
	wires := newWires(d.target, d.concurrency)
	return func(ctx context.Context, ids []string) error {
		return wires.with(ctx, func(w *wire) error {
			if err := w.send(ids...); err != nil {
				return err
			}
			for range ids {
				if err := w.receive(); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (d *drive) overGRPC() (sender, error) {
	caller, err := newGRPCCaller(d.truth, nil, d.target)
	if err != nil {
		return nil, err
	}
	call := caller.invoke
	switch d.workload.inbound {
	case inboundServerStream:
		call = func(ctx context.Context, id string) error { return caller.serverStream(ctx, id) }
	case inboundBidi:
		call = func(ctx context.Context, id string) error { return caller.bidi(ctx, id) }
	}
	return func(ctx context.Context, ids []string) error {
		for _, id := range ids {
			if err := call(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// serverStream asks once and reads a stream of answers.
func (c *grpcCaller) serverStream(ctx context.Context, id string) error {
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, id)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()); err != nil {
		return err
	}
	return drain(stream)
}

// bidi asks again whenever it was answered.
func (c *grpcCaller) bidi(ctx context.Context, id string) error {
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, id)
	if err != nil {
		return err
	}
	for i := 0; i < streamMessages; i++ {
		if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return drain(stream)
}

// drain reads a stream to its end.
func drain(stream grpc.ClientStream) error {
	for {
		err := stream.RecvMsg(&emptypb.Empty{})
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
