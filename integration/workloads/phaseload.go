package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A phaseLoad sends requests by hand, so that it knows when each byte was written and read.
type phaseLoad struct {
	moments *moments
	target  string
	body    []byte
	late    time.Duration
	fresh   bool
	conn    net.Conn
	reader  *bufio.Reader
}

// runPhaseLoad asks for the paths PATH/0, PATH/1, ... one after the other, and logs when it wrote each request and read
// its answer: wrote, first, last.
func runPhaseLoad(args []string) error {
	set := flag.NewFlagSet("phaseload", flag.ContinueOnError)
	target := set.String("target", "", "host:port")
	path := set.String("path", "/sleep", "what to ask for")
	requests := set.Int("requests", 50, "how many requests")
	body := set.Int("body", 0, "bytes of body")
	late := set.Duration("late", 0, "wait that long before an answer is read")
	fresh := set.Bool("fresh", false, "a new connection for each request")
	log := set.String("log", "", "where the log of what happened when goes")
	if err := set.Parse(args); err != nil {
		return err
	}
	moments, err := newMoments(*log)
	if err != nil {
		return err
	}
	defer moments.flush()
	load := phaseLoad{moments: moments, target: *target, body: filler(*body), late: *late, fresh: *fresh}
	for number := range *requests {
		if err := load.ask(*path, number); err != nil {
			return err
		}
	}
	return nil
}

// ask makes one request and reads its answer to the end.
func (l *phaseLoad) ask(path string, number int) error {
	if l.conn == nil {
		conn, err := net.Dial("tcp", l.target)
		if err != nil {
			return err
		}
		l.conn, l.reader = conn, bufio.NewReader(conn)
	}
	id := fmt.Sprintf("%s/%d", path, number)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: phases\r\nContent-Length: %d\r\n\r\n", id, len(l.body))
	if _, err := l.conn.Write(append([]byte(head), l.body...)); err != nil {
		return err
	}
	l.moments.at(id, "wrote")
	time.Sleep(l.late)
	if err := l.read(id); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	if l.fresh {
		l.conn.Close()
		l.conn = nil
	}
	return nil
}

func (l *phaseLoad) read(id string) error {
	if _, err := l.reader.Peek(1); err != nil {
		return err
	}
	l.moments.at(id, "first")
	response, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	l.moments.at(id, "last")
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}
