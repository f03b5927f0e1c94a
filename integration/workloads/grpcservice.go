package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// grpcService is the service's full name; its messages are google.protobuf.BytesValue, so that nobody needs protoc.
const grpcService = "weft.lab.Echo"

// Bounds of what a call may ask for.
const (
	maxGRPCMessages = 100_000
	maxGRPCBytes    = 4 << 20
)

// An echoService answers calls as their metadata says:
//
//	x-status    the code to end with
//	x-late      true: only after the response's headers were sent; else without any, in trailers alone
//	x-messages  how many messages a ServerStream sends
//	x-bytes     bytes in each of them
//	x-sleep     how long to wait before the first message
//	x-metadata  bytes of response metadata
type echoService struct{}

// A wish is what a call's metadata asks for.
type wish struct {
	code     codes.Code
	late     bool
	messages int
	bytes    int
	sleep    time.Duration
	metadata int
}

func wishOf(ctx context.Context) wish {
	incoming, _ := metadata.FromIncomingContext(ctx)
	text := func(name string) string {
		return strings.Join(incoming.Get(name), "")
	}
	number := func(name string, most int) int {
		value, err := strconv.Atoi(text(name))
		if err != nil || value < 0 {
			return 0
		}
		return min(value, most)
	}
	sleep, _ := time.ParseDuration(text("x-sleep"))
	return wish{
		code:     codes.Code(number("x-status", 16)),
		late:     text("x-late") == "true",
		messages: number("x-messages", maxGRPCMessages),
		bytes:    number("x-bytes", maxGRPCBytes),
		sleep:    min(sleep, maxSleep),
		metadata: number("x-metadata", 64<<10),
	}
}

// begin waits, and sends the headers where the call wants them before its end. It returns an error where the call is
// to end with one now.
func (w wish) begin(ctx context.Context, sendHeader func(metadata.MD) error) error {
	if w.sleep > 0 {
		select {
		case <-time.After(w.sleep):
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	if w.code != codes.OK && !w.late {
		return w.end()
	}
	if w.metadata > 0 {
		return sendHeader(metadata.Pairs("x-filler", string(filler(w.metadata))))
	}
	return nil
}

func (w wish) end() error {
	if w.code == codes.OK {
		return nil
	}
	return status.Error(w.code, "as was wished: 100% äöü\n")
}

func (echoService) unary(ctx context.Context, request *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	wish := wishOf(ctx)
	header := func(md metadata.MD) error { return grpc.SendHeader(ctx, md) }
	if err := wish.begin(ctx, header); err != nil {
		return nil, err
	}
	if wish.late {
		if err := grpc.SendHeader(ctx, metadata.Pairs("x-late", "true")); err != nil {
			return nil, err
		}
	}
	if err := wish.end(); err != nil {
		return nil, err
	}
	if wish.bytes > 0 {
		return wrapperspb.Bytes(filler(wish.bytes)), nil
	}
	return request, nil
}

func (echoService) serverStream(stream grpc.ServerStream) error {
	var request wrapperspb.BytesValue
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	wish := wishOf(stream.Context())
	if err := wish.begin(stream.Context(), stream.SendHeader); err != nil {
		return err
	}
	for range wish.messages {
		if err := stream.SendMsg(wrapperspb.Bytes(filler(wish.bytes))); err != nil {
			return err
		}
	}
	return wish.end()
}

func (echoService) clientStream(stream grpc.ServerStream) error {
	wish := wishOf(stream.Context())
	if err := wish.begin(stream.Context(), stream.SendHeader); err != nil {
		return err
	}
	total := 0
	for {
		var message wrapperspb.BytesValue
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		total += len(message.Value)
	}
	if err := stream.SendMsg(wrapperspb.Bytes([]byte(strconv.Itoa(total)))); err != nil {
		return err
	}
	return wish.end()
}

func (echoService) bidi(stream grpc.ServerStream) error {
	wish := wishOf(stream.Context())
	if err := wish.begin(stream.Context(), stream.SendHeader); err != nil {
		return err
	}
	for {
		var message wrapperspb.BytesValue
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return wish.end()
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

// grpcDescription is what protoc would have written.
func grpcDescription() *grpc.ServiceDesc {
	unary := func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request wrapperspb.BytesValue
		if err := decode(&request); err != nil {
			return nil, err
		}
		return service.(echoService).unary(ctx, &request)
	}
	stream := func(call func(echoService, grpc.ServerStream) error) grpc.StreamHandler {
		return func(service any, stream grpc.ServerStream) error { return call(service.(echoService), stream) }
	}
	return &grpc.ServiceDesc{
		ServiceName: grpcService,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "ServerStream", Handler: stream(echoService.serverStream), ServerStreams: true},
			{StreamName: "ClientStream", Handler: stream(echoService.clientStream), ClientStreams: true},
			{StreamName: "Bidi", Handler: stream(echoService.bidi), ServerStreams: true, ClientStreams: true},
		},
	}
}

func newGRPCServer(options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options, grpc.MaxHeaderListSize(1<<20))...)
	server.RegisterService(grpcDescription(), echoService{})
	return server
}

func runGRPCServer(args []string) error {
	set := flag.NewFlagSet("grpcserver", flag.ContinueOnError)
	listen := set.String("listen", ":8080", "address to listen on; every family when the host is empty")
	streams := set.Uint("streams", 0, "the most concurrent streams of a connection; 0: as many as the client wants")
	if err := set.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	options := []grpc.ServerOption{}
	if *streams > 0 {
		options = append(options, grpc.MaxConcurrentStreams(uint32(*streams)))
	}
	server := newGRPCServer(options...)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	context.AfterFunc(stop, server.Stop)
	return server.Serve(listener)
}
