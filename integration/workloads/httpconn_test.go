package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	cases := []struct {
		name, wire string
		head       bool
		want       answer
		left       string
	}{
		{"announced length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcnext", false, answer{200, 3, false}, "next"},
		{"chunked with extension and trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nnext", false, answer{200, 3, false}, "next"},
		{"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\nnext", false, answer{204, 0, false}, "next"},
		{"not modified", "HTTP/1.1 304 Not Modified\r\n\r\nnext", false, answer{304, 0, false}, "next"},
		{"head", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnext", true, answer{200, 0, false}, "next"},
		{"interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nnext", false, answer{200, 0, false}, "next"},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", false, answer{200, 9, true}, ""},
		{"close announced", "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", false, answer{500, 1, true}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := &httpConn{reader: bufio.NewReader(strings.NewReader(c.wire))}
			got, err := conn.readAnswer(c.head)
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
			}
			left, _ := io.ReadAll(conn.reader)
			if string(left) != c.left {
				t.Fatalf("left %q, want %q", left, c.left)
			}
		})
	}
}

func TestReadAnswerRefuses(t *testing.T) {
	for _, wire := range []string{
		"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n",
	} {
		conn := &httpConn{reader: bufio.NewReader(strings.NewReader(wire))}
		if got, err := conn.readAnswer(false); err == nil {
			t.Errorf("%.40q gave %+v", wire, got)
		}
	}
}
