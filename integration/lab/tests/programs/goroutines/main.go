// goroutines says who it is: each of its goroutines sends, receives and calls a function, and prints by which goroutine it did.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// call is what a probe finds its way through: the members lie where the test's layout says.
type call struct {
	id       uint64
	conn     net.Conn
	ctx      context.Context
	streamID uint32
}

// wrapped hides a connection as TLS does.
type wrapped struct {
	net.Conn
	name string
}

// listened is where the probe is attached.
//
//go:noinline
func listened(c *call) uint64 {
	return helper(c) + c.id
}

//go:noinline
func helper(c *call) uint64 { return uint64(c.streamID) }

// ids finds the running goroutine's id and its creator's in a stack trace, the one place where Go tells them.
func ids() (own, creator uint64) {
	buffer := make([]byte, 16<<10)
	trace := string(buffer[:runtime.Stack(buffer, false)])
	own = number(trace, "goroutine ")
	if at := strings.LastIndex(trace, " in goroutine "); at >= 0 {
		creator = number(trace[at:], " in goroutine ")
	}
	return own, creator
}

func number(text, after string) uint64 {
	_, rest, _ := strings.Cut(text, after)
	digits := strings.FieldsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	value, _ := strconv.ParseUint(digits[0], 10, 64)
	return value
}

var output sync.Mutex

func say(what string, length int) {
	own, creator := ids()
	output.Lock()
	defer output.Unlock()
	fmt.Println(what, length, own, creator)
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[1])
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	// The test attaches now.
	io.ReadFull(os.Stdin, make([]byte, 1))
	if len(os.Args) > 2 {
		connections, _ := strconv.Atoi(os.Args[2])
		exchange(listener, connections, rounds)
		fmt.Println("done")
		return
	}
	go serve(listener)
	var clients sync.WaitGroup
	for i := 0; i < rounds; i++ {
		i := i
		clients.Add(1)
		go func() {
			defer clients.Done()
			client(listener.Addr().String(), i)
		}()
	}
	clients.Wait()
	fmt.Println("done")
	io.ReadFull(os.Stdin, make([]byte, 1))
}

// client sends as many bytes as nobody else does, so that the test knows its records again.
func client(address string, i int) {
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	length := 1000 + i
	say("send", length)
	if _, err := conn.Write(make([]byte, length)); err != nil {
		panic(err)
	}
	reply := make([]byte, length+10000)
	if _, err := io.ReadFull(conn, reply); err != nil {
		panic(err)
	}
	probe(conn, i)
}

// probe calls with a chain of two contexts behind which is the root.
func probe(conn net.Conn, i int) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), "key", i))
	defer cancel()
	switch i % 4 {
	case 1, 3:
		conn = &wrapped{conn, "wrapped"}
	case 2:
		conn = withNothingBehind(conn)
	}
	if i == 0 {
		say("gc", 1000)
		runtime.GC()
	}
	say("call", 1000+i)
	listened(&call{conn: conn, ctx: ctx, streamID: uint32(1000 + i)})
}

// withNothingBehind puts a connection's eight bytes before memory that cannot be read, as they may lie at the end of the heap.
func withNothingBehind(conn net.Conn) net.Conn {
	page := os.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err == nil {
		err = syscall.Mprotect(pages[page:], syscall.PROT_NONE)
	}
	if err != nil {
		panic(err)
	}
	last := (*net.TCPConn)(unsafe.Pointer(&pages[page-int(unsafe.Sizeof(net.TCPConn{}))]))
	*last = *conn.(*net.TCPConn)
	return last
}

func serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	request := make([]byte, 64<<10)
	n, err := conn.Read(request)
	if err != nil {
		panic(err)
	}
	say("recv", n)
	say("send", n+10000)
	conn.Write(make([]byte, n+10000))
}
