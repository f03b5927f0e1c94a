package main

import (
	"io"
	"net"
	"sync"
)

// Of a small request and its response.
const (
	requestBytes  = 130
	responseBytes = 120
)

// exchange sends so many requests over each of so many connections, and answers them.
func exchange(listener net.Listener, connections, requests int) {
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go reply(conn)
		}
	}()
	var clients sync.WaitGroup
	for i := 0; i < connections; i++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			ask(listener.Addr().String(), requests)
		}()
	}
	clients.Wait()
}

func reply(conn net.Conn) {
	defer conn.Close()
	request := make([]byte, 4096)
	response := make([]byte, responseBytes)
	for {
		if _, err := conn.Read(request); err != nil {
			return
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

func ask(address string, requests int) {
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	request := make([]byte, requestBytes)
	response := make([]byte, responseBytes)
	c := &call{conn: conn}
	for i := 0; i < requests; i++ {
		listened(c)
		if _, err := conn.Write(request); err != nil {
			panic(err)
		}
		if _, err := io.ReadFull(conn, response); err != nil {
			panic(err)
		}
	}
}
