package main

import (
	"context"
	"net/http"

	"google.golang.org/grpc"
)

// How a driver asks for a workload.
const (
	inboundHTTP         = "http1"
	inboundPipelined    = "pipelined"
	inboundH2C          = "h2c"
	inboundUnary        = "grpc"
	inboundServerStream = "grpc-server-stream"
	inboundBidi         = "grpc-bidi"
)

// A handler is what a workload does for a request: cause is the request's id.
type handler func(ctx context.Context, cause string) error

// A streamHandler is the same for a gRPC stream.
type streamHandler func(stream grpc.ServerStream, cause string) error

// A workload is one way in which a request causes others: /NAME/NUMBER of its service. Exactly one of handle, serve and
// stream is there; each is called once, when the service starts.
type workload struct {
	name    string
	service string
	inbound string
	handle  func(*service) handler
	serve   func(*service) http.Handler
	stream  func(*service) streamHandler
	// It calls the gRPC leaf.
	callsGRPC bool
	// Nothing in the program leads from the request to what it causes but memory that the program alone understands.
	untellable bool
}

func workloads() []workload {
	return []workload{
		{name: "sequential", service: "front", inbound: inboundHTTP, handle: sequential},
		{name: "fanout", service: "front", inbound: inboundHTTP, handle: fanOut},
		{name: "fanout-without-context", service: "front", inbound: inboundHTTP, handle: fanOutWithoutContext},
		{name: "errgroup", service: "front", inbound: inboundHTTP, handle: errGroup},
		{name: "worker-pool", service: "workers", inbound: inboundHTTP, handle: workerPool},
		{name: "worker-pool-without-context", service: "workers", inbound: inboundHTTP, handle: workerPoolWithoutContext, untellable: true},
		{name: "background", service: "workers", inbound: inboundHTTP, handle: background},
		{name: "background-without-context", service: "workers", inbound: inboundHTTP, handle: backgroundWithoutContext},
		{name: "background-net-conn", service: "workers", inbound: inboundHTTP, handle: backgroundNetConn},
		{name: "singleflight", service: "flights", inbound: inboundHTTP, handle: flight},
		{name: "singleflight-chan", service: "flights", inbound: inboundHTTP, handle: flightChan},
		{name: "retry", service: "flights", inbound: inboundHTTP, handle: retry},
		{name: "hedge", service: "flights", inbound: inboundHTTP, handle: hedge},
		{name: "reverse-proxy", service: "proxy", inbound: inboundHTTP, serve: reverseProxy},
		{name: "pooled", service: "pools", inbound: inboundHTTP, handle: pooled},
		{name: "sql-pool", service: "pools", inbound: inboundHTTP, handle: sqlPool},
		{name: "net-conn", service: "pools", inbound: inboundHTTP, handle: netConn},
		{name: "pipelined", service: "pools", inbound: inboundPipelined, handle: pipelined},
		{name: "h2c", service: "h2c-front", inbound: inboundH2C, handle: overH2C},
		{name: "http-to-grpc", service: "bridge", inbound: inboundHTTP, handle: httpToGRPC, callsGRPC: true},
		{name: "grpc-unary", service: "grpc-front", inbound: inboundUnary, handle: grpcUnary, callsGRPC: true},
		{name: "grpc-server-stream", service: "grpc-front", inbound: inboundServerStream, stream: grpcServerStream, callsGRPC: true},
		{name: "grpc-bidi", service: "grpc-front", inbound: inboundBidi, stream: grpcBidi},
		{name: "grpc-to-http", service: "grpc-front", inbound: inboundUnary, handle: grpcToHTTP},
		{name: "traceparent", service: "headers", inbound: inboundHTTP, serve: traceparent},
		{name: "b3", service: "headers", inbound: inboundHTTP, serve: b3},
	}
}

// What the services below the others are called.
const (
	leafHTTP = "leaf-http"
	leafH2C  = "leaf-h2c"
	leafGRPC = "leaf-grpc"
	middle   = "middle"
)

// serviceNames are all services, those first that others need.
func serviceNames() []string {
	names := []string{leafHTTP, leafH2C, leafGRPC, middle}
	known := map[string]bool{}
	for _, w := range workloads() {
		if !known[w.service] {
			known[w.service] = true
			names = append(names, w.service)
		}
	}
	return names
}

// protocol is what a service speaks.
func protocol(service string) string {
	switch service {
	case leafHTTP, middle:
		return inboundHTTP
	case leafH2C:
		return inboundH2C
	case leafGRPC:
		return inboundUnary
	}
	for _, w := range workloads() {
		if w.service == service {
			return w.inbound
		}
	}
	return ""
}
