package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxHeaderLines bounds an answer's header section.
const maxHeaderLines = 256

// An httpConn is one kept-alive HTTP/1.1 connection of the load generator. net/http would cost more than the
// services under test on a machine that they share.
type httpConn struct {
	conn     net.Conn
	reader   *bufio.Reader
	timeout  time.Duration
	deadline time.Time
}

// An answer is what the load generator looks at.
type answer struct {
	status    int
	bodyBytes int64
	closes    bool // the server ends the connection after this answer
}

func dialHTTP(address string, timeout time.Duration) (*httpConn, error) {
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return nil, err
	}
	return newHTTPConn(conn, timeout), nil
}

func newHTTPConn(conn net.Conn, timeout time.Duration) *httpConn {
	return &httpConn{conn: conn, reader: bufio.NewReaderSize(conn, 16<<10), timeout: timeout}
}

// extendDeadline sets the connection's deadline at least timeout from now, but not at every request: timers cost.
func (c *httpConn) extendDeadline(now time.Time) error {
	if c.deadline.Sub(now) > c.timeout {
		return nil
	}
	c.deadline = now.Add(2 * c.timeout)
	return c.conn.SetDeadline(c.deadline)
}

// readAnswer reads one response to its last byte.
func (c *httpConn) readAnswer(head bool) (answer, error) {
	for {
		got, err := c.readHeader()
		if err != nil {
			return answer{}, err
		}
		if got.status >= 200 {
			return c.readBody(got, head)
		}
	}
}

// A header is what readBody has to know of a response's header section.
type header struct {
	answer
	length  int64 // -1: not announced
	chunked bool
}

func (c *httpConn) readHeader() (header, error) {
	got := header{length: -1}
	line, err := c.readLine()
	if err != nil {
		return got, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	got.status, err = strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return got, fmt.Errorf("not a status line: %.40q", line)
	}
	got.closes = version == "HTTP/1.0"
	for range maxHeaderLines {
		line, err := c.readLine()
		if err != nil || line == "" {
			return got, err
		}
		if err := got.field(line); err != nil {
			return got, err
		}
	}
	return got, errors.New("too many header lines")
}

func (h *header) field(line string) error {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "content-length":
		length, err := strconv.ParseInt(value, 10, 64)
		if err != nil || length < 0 {
			return fmt.Errorf("bad Content-Length %.20q", value)
		}
		h.length = length
	case "transfer-encoding":
		h.chunked = strings.EqualFold(value, "chunked")
	case "connection":
		h.closes = h.closes || strings.EqualFold(value, "close")
	}
	return nil
}

// readBody follows RFC 9112, 6.3.
func (c *httpConn) readBody(got header, head bool) (answer, error) {
	var err error
	switch {
	case head || got.status == 204 || got.status == 304:
	case got.chunked:
		got.bodyBytes, err = c.readChunks()
	case got.length >= 0:
		got.bodyBytes, err = io.CopyN(io.Discard, c.reader, got.length)
	default:
		got.closes = true
		got.bodyBytes, err = io.Copy(io.Discard, c.reader)
	}
	return got.answer, err
}

func (c *httpConn) readChunks() (int64, error) {
	total := int64(0)
	for {
		line, err := c.readLine()
		if err != nil {
			return total, err
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		if err != nil || size < 0 {
			return total, fmt.Errorf("bad chunk size %.20q", line)
		}
		if size == 0 {
			return total, c.skipTrailers()
		}
		if _, err := io.CopyN(io.Discard, c.reader, size); err != nil {
			return total, err
		}
		total += size
		if _, err := c.readLine(); err != nil {
			return total, err
		}
	}
}

func (c *httpConn) skipTrailers() error {
	for range maxHeaderLines {
		line, err := c.readLine()
		if err != nil || line == "" {
			return err
		}
	}
	return errors.New("too many trailer lines")
}

func (c *httpConn) readLine() (string, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
