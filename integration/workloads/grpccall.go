package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A callKind makes one call with these messages.
type callKind func(l *grpcLoad, ctx context.Context, connection *grpc.ClientConn, counts *grpcCounts) error

var callKinds = map[string]callKind{
	"unary":  (*grpcLoad).unary,
	"server": (*grpcLoad).serverStream,
	"client": (*grpcLoad).clientStream,
	"bidi":   (*grpcLoad).bidi,
}

// call makes one call and counts how it ended, and how long that was after begin.
func (l *grpcLoad) call(connection *grpc.ClientConn, begin time.Time, counts *grpcCounts) {
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(context.Background(), l.flags.outgoing()))
	defer cancel()
	if l.flags.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, l.flags.deadline)
		defer cancel()
	}
	if l.flags.cancelAfter > 0 {
		defer time.AfterFunc(l.flags.cancelAfter, cancel).Stop()
	}
	err := callKinds[l.flags.kind](l, ctx, connection, counts)
	code := status.Code(err)
	counts.byStatus[strconv.Itoa(int(code))]++
	if code == codes.OK && len(counts.latencies) < maxStored {
		counts.latencies = append(counts.latencies, time.Since(begin).Nanoseconds())
	}
}

func (l *grpcLoad) message() *wrapperspb.BytesValue {
	return wrapperspb.Bytes(filler(l.flags.bytes))
}

func (l *grpcLoad) unary(ctx context.Context, connection *grpc.ClientConn, counts *grpcCounts) error {
	var answer wrapperspb.BytesValue
	counts.sent++
	err := connection.Invoke(ctx, "/"+grpcService+"/Unary", l.message(), &answer)
	if err == nil {
		counts.received++
	}
	return err
}

func (l *grpcLoad) serverStream(ctx context.Context, connection *grpc.ClientConn, counts *grpcCounts) error {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+grpcService+"/ServerStream")
	if err != nil {
		return err
	}
	if err := l.send(stream, 1, counts); err != nil {
		return err
	}
	return receive(stream, counts)
}

func (l *grpcLoad) clientStream(ctx context.Context, connection *grpc.ClientConn, counts *grpcCounts) error {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/"+grpcService+"/ClientStream")
	if err != nil {
		return err
	}
	if err := l.send(stream, l.flags.messages, counts); err != nil {
		return err
	}
	return receive(stream, counts)
}

// bidi waits for each message's echo before it sends the next.
func (l *grpcLoad) bidi(ctx context.Context, connection *grpc.ClientConn, counts *grpcCounts) error {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, description, "/"+grpcService+"/Bidi")
	if err != nil {
		return err
	}
	for range l.flags.messages {
		// Where the server has ended the call, sending says no more than that; receiving says how.
		if err := stream.SendMsg(l.message()); err != nil {
			break
		}
		counts.sent++
		var answer wrapperspb.BytesValue
		if err := stream.RecvMsg(&answer); err != nil {
			return err
		}
		counts.received++
	}
	_ = stream.CloseSend()
	return receive(stream, counts)
}

func (l *grpcLoad) send(stream grpc.ClientStream, messages int, counts *grpcCounts) error {
	for range messages {
		err := stream.SendMsg(l.message())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		counts.sent++
	}
	return stream.CloseSend()
}

// receive takes messages to the call's end, and gives its status.
func receive(stream grpc.ClientStream, counts *grpcCounts) error {
	for {
		var answer wrapperspb.BytesValue
		err := stream.RecvMsg(&answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		counts.received++
	}
}
