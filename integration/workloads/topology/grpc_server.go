package main

import (
	"context"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// maxNumber bounds the numbers of calls. A gRPC request has no path but its method's, so each call has a method of its
// own, of a service that is named after who calls: the numbers are registered beforehand.
const maxNumber = 1 << 17

// serveGRPC answers until stop.
func (s *service) serveGRPC(stop context.Context, listener net.Listener) error {
	server := grpc.NewServer()
	context.AfterFunc(stop, server.Stop)
	if s.name == leafGRPC {
		for _, caller := range grpcCallers() {
			server.RegisterService(s.unary(caller, leaf), nil)
		}
	}
	for _, w := range workloads() {
		switch {
		case w.service == s.name && w.stream != nil:
			server.RegisterService(s.streaming(w), nil)
		case w.service == s.name:
			server.RegisterService(s.unary(w.name, w.handle(s)), nil)
		}
	}
	return server.Serve(listener)
}

func (s *service) unary(name string, handle handler) *grpc.ServiceDesc {
	method := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		id, _ := grpc.Method(ctx)
		s.truth.received(id)
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, handle(ctx, id)
	}
	description := &grpc.ServiceDesc{ServiceName: name, Methods: make([]grpc.MethodDesc, maxNumber)}
	for number := range description.Methods {
		description.Methods[number] = grpc.MethodDesc{MethodName: strconv.Itoa(number), Handler: method}
	}
	return description
}

func (s *service) streaming(w workload) *grpc.ServiceDesc {
	handle := w.stream(s)
	stream := grpc.StreamDesc{ServerStreams: true, ClientStreams: w.inbound == inboundBidi}
	stream.Handler = func(_ any, stream grpc.ServerStream) error {
		id, _ := grpc.MethodFromServerStream(stream)
		s.truth.received(id)
		return handle(stream, id)
	}
	description := &grpc.ServiceDesc{ServiceName: w.name, Streams: make([]grpc.StreamDesc, maxNumber)}
	for number := range description.Streams {
		stream.StreamName = strconv.Itoa(number)
		description.Streams[number] = stream
	}
	return description
}

// grpcCallers are the services that call the gRPC leaf.
func grpcCallers() []string {
	callers := []string{}
	known := map[string]bool{}
	for _, w := range workloads() {
		if w.callsGRPC && !known[w.service] {
			known[w.service] = true
			callers = append(callers, w.service)
		}
	}
	return callers
}
