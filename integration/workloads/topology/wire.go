package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

// A wire is a connection on which HTTP/1.1 is spoken by hand, as clients of databases and caches speak their protocols.
type wire struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dialWire(ctx context.Context, address string) (*wire, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// ask sends one request and reads its answer.
func (w *wire) ask(path string) error {
	if err := w.send(path); err != nil {
		return err
	}
	return w.receive()
}

// send writes requests in one go.
func (w *wire) send(paths ...string) error {
	var text strings.Builder
	for _, path := range paths {
		text.WriteString("GET " + path + " HTTP/1.1\r\nHost: leaf\r\n\r\n")
	}
	_, err := io.WriteString(w.conn, text.String())
	return err
}

// receive reads one answer to its end.
func (w *wire) receive() error {
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return statusError(response.StatusCode)
	}
	return nil
}

// wires is a free list of connections to one address.
type wires struct {
	address string
	free    chan *wire
}

func newWires(address string, most int) *wires {
	return &wires{address: address, free: make(chan *wire, most)}
}

// with lends a connection, and keeps it unless something went wrong.
func (w *wires) with(ctx context.Context, use func(*wire) error) error {
	var lent *wire
	select {
	case lent = <-w.free:
	default:
		dialled, err := dialWire(ctx, w.address)
		if err != nil {
			return err
		}
		lent = dialled
	}
	if err := use(lent); err != nil {
		lent.conn.Close()
		return err
	}
	select {
	case w.free <- lent:
	default:
		lent.conn.Close()
	}
	return nil
}
