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
	"time"
)

// silentChild is the hidden first argument of the processes that share the silent connections: one process
// alone may not hold as many files.
const silentChild = "silent-child"

// First and number of the source ports used of one address.
const (
	firstPort      = 1100
	portsPerSource = 64_000
)

// A silence is what was opened, and by how many processes. A sink reports only that it is ready, and by how many.
type silence struct {
	Kind      string `json:"kind"`
	Wanted    int    `json:"wanted"`
	Opened    int    `json:"opened"`
	Failed    int    `json:"failed"`
	Error     string `json:"first_failure,omitempty"`
	Processes int    `json:"processes"`
	FileLimit uint64 `json:"file_limit_of_each,omitempty"`
}

// runSilent opens the connections in as many processes as the file limit demands, reports, and holds them.
func runSilent(flags hostileFlags) error {
	limit := raiseFileLimit(uint64(flags.connections) + spareFiles)
	share := int(limit) - spareFiles
	if share < 1 {
		return fmt.Errorf("only %d files may be open: raise ulimit -n", limit)
	}
	total := silence{Kind: "silent", Wanted: flags.connections, FileLimit: limit}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	for first := 0; first < flags.connections; first += share {
		count := min(share, flags.connections-first)
		child, err := startSilentChild(flags, first, count)
		if err != nil {
			return err
		}
		defer child.stop()
		opened, err := child.opened()
		if err != nil {
			return fmt.Errorf("a process with %d connections died: %w", count, err)
		}
		total.add(opened)
	}
	if err := writeReport(flags.output, total); err != nil {
		return err
	}
	hold(stop, flags.hold)
	return nil
}

func (s *silence) add(part silence) {
	s.Processes++
	s.Opened += part.Opened
	s.Failed += part.Failed
	if s.Error == "" {
		s.Error = part.Error
	}
}

func hold(stop context.Context, long time.Duration) {
	if long > 0 {
		limited, cancel := context.WithTimeout(stop, long)
		defer cancel()
		stop = limited
	}
	<-stop.Done()
}

func startSilentChild(flags hostileFlags, first, count int) (*child, error) {
	args := []string{"hostile", silentChild, "-target", flags.target, "-first", fmt.Sprint(first), "-count", fmt.Sprint(count)}
	return startChild(append(args, flags.sources...)...)
}

// runSilentChild opens connections number first to first+count and keeps them until stdin ends.
func runSilentChild(args []string) error {
	set := flag.NewFlagSet(silentChild, flag.ContinueOnError)
	target := set.String("target", "", "host:port")
	first := set.Int("first", 0, "number of the first connection")
	count := set.Int("count", 0, "how many")
	if err := set.Parse(args); err != nil {
		return err
	}
	to, err := net.ResolveTCPAddr("tcp", *target)
	if err != nil {
		return err
	}
	raiseFileLimit(uint64(*count) + spareFiles)
	if err := json.NewEncoder(os.Stdout).Encode(openSilent(to, *first, *count, set.Args())); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func openSilent(to *net.TCPAddr, first, count int, sources []string) silence {
	var result silence
	for number := first; number < first+count; number++ {
		if err := connectSilently(to, number, sources); err != nil {
			result.Failed++
			if result.Error == "" {
				result.Error = err.Error()
			}
			continue
		}
		result.Opened++
	}
	return result
}

// connectSilently leaves a connected socket behind. Bare system calls: 100,000 net.Conns would cost 100,000
// entries in the poller for nothing.
func connectSilently(to *net.TCPAddr, number int, sources []string) error {
	family := syscall.AF_INET6
	if to.IP.To4() != nil {
		family = syscall.AF_INET
	}
	socket, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	// SO_SNDTIMEO bounds connect(2) too.
	limit := syscall.Timeval{Sec: 5}
	if err := syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit); err == nil {
		err = bindAndConnect(socket, to, number, sources)
		if err == nil {
			return nil
		}
		return errors.Join(err, syscall.Close(socket))
	}
	return errors.Join(err, syscall.Close(socket))
}

// bindAndConnect takes source address and port by the connection's number, so that no two processes try the same.
func bindAndConnect(socket int, to *net.TCPAddr, number int, sources []string) error {
	if len(sources) > 0 {
		source := net.ParseIP(sources[number/portsPerSource%len(sources)])
		if source == nil {
			return errors.New("-source: not an IP address")
		}
		if err := bindTo(socket, source, number%portsPerSource); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	err := syscall.Connect(socket, sockaddr(to.IP, to.Port))
	for err == syscall.EINTR { // Go's scheduler sends itself signals; connecting goes on meanwhile
		err = syscall.Connect(socket, sockaddr(to.IP, to.Port))
	}
	if err == syscall.EISCONN {
		return nil
	}
	return os.NewSyscallError("connect", err)
}

// bindTo takes the number's own port, or where something listens on that one a spare port above all of them.
func bindTo(socket int, source net.IP, number int) error {
	err := syscall.Bind(socket, sockaddr(source, firstPort+number))
	for spare := firstPort + portsPerSource; err == syscall.EADDRINUSE && spare <= 65535; spare++ {
		err = syscall.Bind(socket, sockaddr(source, spare))
	}
	return err
}

func sockaddr(ip net.IP, port int) syscall.Sockaddr {
	if four := ip.To4(); four != nil {
		return &syscall.SockaddrInet4{Addr: [4]byte(four), Port: port}
	}
	return &syscall.SockaddrInet6{Addr: [16]byte(ip.To16()), Port: port}
}
