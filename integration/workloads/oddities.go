package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An oddity is something that TCP does and most clients do not: rare, and no attack.
type oddity struct {
	name, does string
	run        func(target string, met *oddOutcome) error
}

func oddities() []oddity {
	return []oddity{
		{"reuse-reset", "200 connections from one port, one after the other, each ended by a reset", reuseAfterReset},
		{"reuse-close", "the same, each ended by the server", reuseAfterClose},
		{"reset-answer", "20 connections that are reset while 2,000,000 bytes come", resetAnswer},
		{"reset-request", "20 connections that are reset within a request's body", resetRequest},
		{"zero-window", "an answer of 1 MiB that is not read for 3 s", zeroWindow},
		{"keepalive", "a request, 3.5 s with keep-alives every second, another", keepAlive},
		{"half-close", "20 requests, each behind which the sender ends its half", halfClose},
		{"fast-open", "20 requests in SYNs (TCP Fast Open)", fastOpen},
	}
}

// An oddOutcome is what the client counted itself. Its requests are GET /stock/KIND-N, but where they need a body.
type oddOutcome struct {
	Kind     string `json:"kind"`
	Asked    int    `json:"asked"`
	Answered int    `json:"answered"`
	Error    string `json:"error,omitempty"`
}

func runOdd(args []string) error {
	set := flag.NewFlagSet("odd", flag.ContinueOnError)
	target := set.String("target", "", "host:port")
	kinds := set.String("kind", "all", "comma-separated; all")
	output := set.String("json", "-", "where the report goes; -: stdout")
	if err := set.Parse(args); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(*target); err != nil {
		return fmt.Errorf("-target %q is not host:port", *target)
	}
	wanted := splitList(*kinds)
	outcomes := []*oddOutcome{}
	var running sync.WaitGroup
	for _, odd := range oddities() {
		if *kinds != "all" && !slices.Contains(wanted, odd.name) {
			continue
		}
		met := &oddOutcome{Kind: odd.name}
		outcomes = append(outcomes, met)
		running.Go(func() {
			if err := odd.run(*target, met); err != nil {
				met.Error = err.Error()
			}
		})
	}
	running.Wait()
	return writeReport(*output, map[string][]*oddOutcome{"oddities": outcomes})
}

// dialOdd connects with socket options that are set before connect(2), from a port of its own where one is given.
func dialOdd(target string, port int, options ...func(fd int) error) (*httpConn, *net.TCPConn, error) {
	control := func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			for _, option := range options {
				failed = errors.Join(failed, option(int(fd)))
			}
		})
		return errors.Join(err, failed)
	}
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: control, KeepAlive: -1}
	if port != 0 {
		dialer.LocalAddr = &net.TCPAddr{Port: port}
	}
	conn, err := dialer.Dial("tcp", target)
	if err != nil {
		return nil, nil, err
	}
	http := newHTTPConn(conn, 10*time.Second)
	return http, conn.(*net.TCPConn), http.extendDeadline(time.Now())
}

func integer(level, name, value int) func(fd int) error {
	return func(fd int) error { return syscall.SetsockoptInt(fd, level, name, value) }
}

// ask sends one GET and reads its answer to the end.
func (o *oddOutcome) ask(http *httpConn, path string) error {
	if err := o.send(http, path); err != nil {
		return err
	}
	return o.receive(http)
}

func (o *oddOutcome) send(http *httpConn, path string) error {
	_, err := fmt.Fprintf(http.conn, "GET %s HTTP/1.1\r\nHost: odd\r\n\r\n", path)
	if err == nil {
		o.Asked++
	}
	return err
}

func (o *oddOutcome) receive(http *httpConn) error {
	got, err := http.readAnswer(false)
	if err == nil && got.status != 200 {
		err = fmt.Errorf("status %d", got.status)
	}
	if err == nil {
		o.Answered++
	}
	return err
}

// path names a request by its kind and number.
func (o *oddOutcome) path() string {
	return fmt.Sprintf("/stock/%s-%d", o.Kind, o.Asked)
}

func reuseAfterReset(target string, met *oddOutcome) error {
	for range 200 {
		http, tcp, err := dialOdd(target, 20_001, integer(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
		if err != nil {
			return err
		}
		err = met.ask(http, met.path())
		err = errors.Join(err, tcp.SetLinger(0), tcp.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

func reuseAfterClose(target string, met *oddOutcome) error {
	for range 200 {
		http, tcp, err := dialOdd(target, 20_002, integer(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
		if err != nil {
			return err
		}
		if err := met.ask(http, "/close"); err != nil {
			return err
		}
		// The server's FIN first: then TIME_WAIT is on its side, and takes the next SYN (RFC 6191).
		if _, err := tcp.Read(make([]byte, 1)); err != io.EOF {
			return fmt.Errorf("no end of the connection: %w", err)
		}
		tcp.Close()
		time.Sleep(2 * time.Millisecond) // the last ACK has to arrive before the port is free
	}
	return nil
}

func resetAnswer(target string, met *oddOutcome) error {
	return met.resetAll(target, func(http *httpConn) error {
		if err := met.send(http, "/bytes/2000000"); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, http.reader, 100_000)
		return err
	})
}

func resetRequest(target string, met *oddOutcome) error {
	return met.resetAll(target, func(http *httpConn) error {
		request := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: odd\r\nContent-Length: 100000\r\n\r\n%s", met.Kind, strings.Repeat("x", 50_000))
		_, err := io.WriteString(http.conn, request)
		met.Asked++
		time.Sleep(20 * time.Millisecond) // else close(2) may throw away what was not sent yet
		return err
	})
}

// resetAll begins something on 20 connections and resets each.
func (o *oddOutcome) resetAll(target string, begin func(http *httpConn) error) error {
	for range 20 {
		http, tcp, err := dialOdd(target, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(begin(http), tcp.SetLinger(0), tcp.Close()); err != nil {
			return err
		}
	}
	return nil
}

func zeroWindow(target string, met *oddOutcome) error {
	http, tcp, err := dialOdd(target, 0, integer(syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096))
	if err != nil {
		return err
	}
	defer tcp.Close()
	if err := met.send(http, "/bytes/1048576"); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	return met.receive(http)
}

func keepAlive(target string, met *oddOutcome) error {
	http, tcp, err := dialOdd(target, 0, integer(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		integer(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 1), integer(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 1))
	if err != nil {
		return err
	}
	defer tcp.Close()
	if err := met.ask(http, met.path()); err != nil {
		return err
	}
	time.Sleep(3500 * time.Millisecond)
	return met.ask(http, met.path())
}

func halfClose(target string, met *oddOutcome) error {
	for range 20 {
		http, tcp, err := dialOdd(target, 0)
		if err != nil {
			return err
		}
		err = errors.Join(met.send(http, met.path()), tcp.CloseWrite())
		if err = errors.Join(err, met.receive(http), tcp.Close()); err != nil {
			return err
		}
	}
	return nil
}

// tcpFastOpenConnect is TCP_FASTOPEN_CONNECT (linux/tcp.h): connect(2) waits for the first write, which the SYN carries
// as soon as a cookie is known.
const tcpFastOpenConnect = 30

func fastOpen(target string, met *oddOutcome) error {
	for range 20 {
		http, tcp, err := dialOdd(target, 0, integer(syscall.IPPROTO_TCP, tcpFastOpenConnect, 1))
		if err != nil {
			return err
		}
		if err := errors.Join(met.ask(http, met.path()), tcp.Close()); err != nil {
			return err
		}
	}
	return nil
}
