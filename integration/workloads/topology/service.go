package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// A service is one process of the mesh: its workloads, and the services that they call.
type service struct {
	name   string
	truth  *truth
	middle *httpCaller
	http   *httpCaller
	h2c    *httpCaller
	grpc   *grpcCaller
}

func runService(args []string) error {
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	name := set.String("name", "", "which of the services")
	listen := set.String("listen", ":8080", "address to listen on")
	logFile := set.String("log", "", "where the log of what caused what goes")
	peers := set.String("peers", "", "NAME=HOST:PORT,...: where the other services are")
	if err := set.Parse(args); err != nil {
		return err
	}
	truth, err := newTruth(*logFile)
	if err != nil {
		return err
	}
	defer truth.flush()
	s, err := newService(*name, truth, parsePeers(*peers))
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	return s.serve(stop, listener)
}

func newService(name string, truth *truth, peers map[string]string) (*service, error) {
	if protocol(name) == "" {
		return nil, fmt.Errorf("no service is called %q", name)
	}
	numbers := &numbers{service: name}
	grpc, err := newGRPCCaller(truth, numbers, peers[leafGRPC])
	return &service{
		name:   name,
		truth:  truth,
		middle: newHTTPCaller(truth, numbers, peers[middle]),
		http:   newHTTPCaller(truth, numbers, peers[leafHTTP]),
		h2c:    newH2CCaller(truth, numbers, peers[leafH2C]),
		grpc:   grpc,
	}, err
}

func parsePeers(list string) map[string]string {
	peers := map[string]string{}
	for _, peer := range strings.Split(list, ",") {
		name, address, _ := strings.Cut(peer, "=")
		peers[name] = address
	}
	return peers
}

// serve answers until stop.
func (s *service) serve(stop context.Context, listener net.Listener) error {
	switch protocol(s.name) {
	case inboundHTTP, inboundPipelined:
		return s.serveHTTP(stop, listener, func(*http.Server) {})
	case inboundH2C:
		return s.serveHTTP(stop, listener, speakH2C)
	}
	return s.serveGRPC(stop, listener)
}

func (s *service) serveHTTP(stop context.Context, listener net.Listener, speak func(*http.Server)) error {
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(os.Stderr, "", 0)}
	speak(server)
	context.AfterFunc(stop, func() { server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// routes leads /NAME/NUMBER to the workload of that name. The services below do the same for any path.
func (s *service) routes() http.Handler {
	routes := map[string]http.Handler{}
	for _, w := range workloads() {
		switch {
		case w.service == s.name && w.serve != nil:
			routes[w.name] = w.serve(s)
		case w.service == s.name:
			routes[w.name] = s.answer(w.handle(s))
		}
	}
	otherwise := s.otherwise()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.truth.received(r.URL.Path)
		name, _, _ := strings.Cut(r.URL.Path[1:], "/")
		if route, known := routes[name]; known {
			route.ServeHTTP(w, r)
			return
		}
		otherwise.ServeHTTP(w, r)
	})
}

func (s *service) otherwise() http.Handler {
	switch s.name {
	case leafHTTP, leafH2C:
		return http.HandlerFunc(leafHandler)
	case middle:
		return s.answer(s.http.call)
	}
	return http.NotFoundHandler()
}

func (s *service) answer(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.conclude(w, r, handle(r.Context(), r.URL.Path))
	})
}

// conclude answers, and says what went wrong.
func (s *service) conclude(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, r.URL.Path, err)
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	io.WriteString(w, "done\n")
}
