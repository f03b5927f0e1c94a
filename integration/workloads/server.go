package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// What every service is told.
type serviceFlags struct {
	listen   string
	upstream string
	h2c      bool
	upgrade  bool
}

func parseServiceFlags(name string, args []string, needsUpstream bool) (serviceFlags, error) {
	var flags serviceFlags
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.StringVar(&flags.listen, "listen", ":8080", "address to listen on; every family when the host is empty")
	set.BoolVar(&flags.h2c, "h2c", false, "also speak HTTP/2 without TLS, where the client begins with it")
	set.BoolVar(&flags.upgrade, "upgrade", false, "also speak HTTP/2 where the client asks for an upgrade (h2c)")
	if needsUpstream {
		set.StringVar(&flags.upstream, "upstream", "", "host:port of the service that this one asks")
	}
	if err := set.Parse(args); err != nil {
		return flags, err
	}
	if needsUpstream && flags.upstream == "" {
		return flags, errors.New("-upstream is missing: give the host:port of the service to ask")
	}
	return flags, nil
}

// serve answers until SIGTERM or SIGINT, then lets requests in flight finish for two seconds.
func serve(flags serviceFlags, routes http.Handler) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	listener, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	// No idle timeout: a server that closes a connection while its client reuses it makes the client send
	// the request again, and then nobody's count is the other's.
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(os.Stderr, "", 0)}
	if flags.h2c {
		server.Protocols = unencrypted(true)
	}
	if flags.upgrade {
		server.Handler = h2c.NewHandler(routes, &http2.Server{})
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
		return shutdown(server)
	}
}

func shutdown(server *http.Server) error {
	limit, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return server.Close()
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away: nothing to answer any more
}

// upstreamError tells the caller that the service behind this one failed, and stderr why.
func upstreamError(w http.ResponseWriter, err error) {
	fmt.Fprintln(os.Stderr, "upstream:", err)
	writeJSON(w, http.StatusBadGateway, map[string]string{"error": "upstream failed"})
}
