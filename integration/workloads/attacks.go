package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

func writeAll(conn net.Conn, data []byte) (int64, error) {
	if err := conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	n, err := conn.Write(data)
	return int64(n), err
}

// writeGarbage sends every byte value, from a fixed seed: two runs are the same.
func writeGarbage(conn net.Conn) (int64, error) {
	source := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 64<<10)
	for i := range garbage {
		garbage[i] = byte(source.Uint32())
	}
	return writeAll(conn, append(garbage, "\r\n\r\n"...))
}

func writeHalf(conn net.Conn) (int64, error) {
	return writeAll(conn, []byte("GET /bytes/10 HTTP/1.1\r\nHost: half\r\nX-Unfinis"))
}

func writeLongHeader(conn net.Conn) (int64, error) {
	request := append([]byte("GET /bytes/10 HTTP/1.1\r\nHost: long\r\nX-Long: "), bytes.Repeat([]byte{'x'}, 1<<20)...)
	return writeAll(conn, append(request, "\r\n\r\n"...))
}

func writeLongBody(conn net.Conn) (int64, error) {
	request := "POST /echo HTTP/1.1\r\nHost: body\r\nContent-Length: 1000\r\n\r\n"
	return writeAll(conn, append([]byte(request), filler(2000)...))
}

func writeOneByte(conn net.Conn) (int64, error) {
	request := fmt.Appendf(nil, "POST /echo HTTP/1.1\r\nHost: %s\r\nContent-Length: 20\r\n\r\n%s", "one-byte", filler(20))
	written := int64(0)
	for i := range request {
		n, err := writeAll(conn, request[i:i+1])
		written += n
		if err != nil {
			return written, err
		}
		time.Sleep(200 * time.Microsecond) // else the kernel joins bytes while the first is in flight
	}
	return written, nil
}

func writeReset(conn net.Conn) (int64, error) {
	written, err := writeHalf(conn)
	if err != nil {
		return written, err
	}
	if tcp, isTCP := conn.(*net.TCPConn); isTCP {
		err = tcp.SetLinger(0) // close(2) then sends RST
	}
	conn.Close()
	return written, err
}
