package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// sinkChild is the hidden first argument of the processes that share a sink's connections.
const sinkChild = "sink-child"

// soReusePort is SO_REUSEPORT (asm-generic/socket.h), which package syscall does not name.
const soReusePort = 15

// runSink listens in several processes on one port, which the kernel spreads connections over, and holds every
// connection until SIGTERM. It neither reads nor writes. When all of them listen it prints a line of JSON.
func runSink(args []string) error {
	if len(args) > 1 && args[0] == sinkChild {
		return runSinkChild(args[1])
	}
	set := flag.NewFlagSet("sink", flag.ContinueOnError)
	listen := set.String("listen", ":9000", "address to listen on")
	connections := set.Int("connections", 10_000, "how many connections to be ready for")
	if err := set.Parse(args); err != nil {
		return err
	}
	// A tenth to spare: the kernel's hash does not spread them evenly.
	share := (int(raiseFileLimit(uint64(*connections)+spareFiles)) - spareFiles) * 9 / 10
	if share < 1 {
		return errors.New("too few files may be open: raise ulimit -n")
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	total := silence{Kind: "sink", Wanted: *connections}
	for served := 0; served < *connections; served += share {
		child, err := startChild("sink", sinkChild, *listen)
		if err != nil {
			return err
		}
		defer child.stop()
		if _, err := child.opened(); err != nil {
			return fmt.Errorf("a process cannot listen: %w", err)
		}
		total.Processes++
	}
	if err := json.NewEncoder(os.Stdout).Encode(total); err != nil {
		return err
	}
	<-stop.Done()
	return nil
}

func runSinkChild(listen string) error {
	raiseFileLimit(0)
	config := net.ListenConfig{Control: reusePort}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(silence{Kind: "sink", Processes: 1}); err != nil {
		return err
	}
	go acceptAll(listener)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func reusePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(socket uintptr) {
		failed = syscall.SetsockoptInt(int(socket), syscall.SOL_SOCKET, soReusePort, 1)
	})
	return errors.Join(err, failed)
}

func acceptAll(listener net.Listener) {
	held := []net.Conn{} // a connection without a reference would be closed by its finalizer
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintf(os.Stderr, "sink: %d connections held: %v\n", len(held), err)
			return
		}
		held = append(held, conn)
	}
}
