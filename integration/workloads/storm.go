package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A storm is what a peer sends in order to cost whoever reads it as much as possible.
type storm struct {
	name, does string
	send       func(target string, met *stormOutcome) error
}

func storms() []storm {
	return []storm{
		{"byte-flood", "1,200,000 writes of one byte over four connections, 48,000 a second, a million segments or more: pipelined requests, then a body; HTTP/2: frames of a body", byteFlood},
		{"byte-trickle", "100,000 of them, 10,000 a second", byteTrickle},
		{"byte-storm", "1,000,000 of them as fast as they go", byteStorm},
		{"endless-head", "64 KiB of header without an end", endlessHead},
		{"header-names", "256 requests, each with a byte value of its own in a header's name", headerNames},
		{"noise", "16 connections with 64 KiB of random bytes behind a valid request", noise},
		{"hpack-bomb", "HTTP/2: a field of 4,000 bytes that 16,000 bytes of each request name again and again", hpackBomb},
		{"settings-flood", "HTTP/2: 20,000 SETTINGS frames, and as many PINGs", settingsFlood},
		{"rapid-reset", "HTTP/2: 5,000 requests, each broken off at once", rapidReset},
		{"continuation-flood", "HTTP/2: a head that goes on for 10,000 CONTINUATION frames", continuationFlood},
		{"window-zero", "HTTP/2: 50 requests whose answers get no window", windowZero},
	}
}

// A stormOutcome is what the peer counted itself.
type stormOutcome struct {
	Kind string `json:"kind"`
	// Requests whose last byte was written; whether the server saw them is another matter.
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
	Answers  int64  `json:"answers"`
	Error    string `json:"error,omitempty"` // a server may well end a storm: no failure
	mutex    sync.Mutex
}

func runStorm(args []string) error {
	set := flag.NewFlagSet("storm", flag.ContinueOnError)
	target := set.String("target", "", "host:port")
	kind := set.String("kind", "", "one of them; empty: each")
	output := set.String("json", "-", "where the report goes; -: stdout")
	if err := set.Parse(args); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(*target); err != nil {
		return fmt.Errorf("-target %q is not host:port", *target)
	}
	outcomes := []*stormOutcome{}
	for _, storm := range storms() {
		if *kind != "" && *kind != storm.name {
			continue
		}
		met := &stormOutcome{Kind: storm.name}
		if err := storm.send(*target, met); err != nil {
			met.Error = err.Error()
		}
		outcomes = append(outcomes, met)
	}
	return writeReport(*output, map[string][]*stormOutcome{"storms": outcomes})
}

func (o *stormOutcome) add(requests, bytes, answers int64) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.Requests += requests
	o.Bytes += bytes
	o.Answers += answers
}

// write sends all of data and counts it, as so many requests.
func (o *stormOutcome) write(conn net.Conn, data []byte, requests int64) error {
	n, err := writeAll(conn, data)
	if err != nil {
		requests = 0
	}
	o.add(requests, n, 0)
	return err
}

// mostPipelined bounds the requests of a connection that wait for their answers: no client has 1,024 (weft's own limit).
const mostPipelined = 500

// on runs something on several connections at once.
func (o *stormOutcome) on(connections int, target string, send func(conn net.Conn) error) error {
	failures := make([]error, connections)
	var running sync.WaitGroup
	for i := range connections {
		running.Go(func() {
			conn, err := net.DialTimeout("tcp", target, 5*time.Second)
			if err == nil {
				err = send(conn)
				conn.Close()
			}
			failures[i] = err
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

func byteFlood(target string, met *stormOutcome) error {
	return flood(target, met, 300_000, 12_000)
}

func byteTrickle(target string, met *stormOutcome) error {
	return flood(target, met, 25_000, 2_500)
}

func byteStorm(target string, met *stormOutcome) error {
	return flood(target, met, 250_000, 0)
}

// flood sends so many segments on each of two connections of HTTP/1 and two of HTTP/2, so many a second; 0: as fast as they go.
func flood(target string, met *stormOutcome, segments, rate int) error {
	var failures [2]error
	var running sync.WaitGroup
	running.Go(func() { failures[0] = floodBytes(target, met, segments, rate) })
	running.Go(func() { failures[1] = floodFrames(target, met, segments, rate) })
	running.Wait()
	return errors.Join(failures[:]...)
}

// floodBytes sends pipelined requests, and one with a body.
func floodBytes(target string, met *stormOutcome, segments, rate int) error {
	request := []byte("GET /bytes/0 HTTP/1.1\r\nHost: flood\r\n\r\n")
	requests := segments / 2 / len(request)
	body := segments - requests*len(request)
	post := fmt.Appendf(nil, "POST /discard HTTP/1.1\r\nHost: flood\r\nContent-Length: %d\r\n\r\n", body)
	return met.on(2, target, func(conn net.Conn) error {
		pace := newPace(rate)
		answered := make(chan error, 1)
		pipelined := make(chan struct{}, mostPipelined+1)
		go func() { answered <- met.readPipelined(conn, requests+1, pipelined) }()
		for range requests {
			select {
			case pipelined <- struct{}{}:
			case err := <-answered:
				return err
			}
			if err := met.byByte(conn, request, pace); err != nil {
				return err
			}
		}
		if err := met.write(conn, post, 0); err != nil {
			return err
		}
		return errors.Join(met.byByte(conn, filler(body), pace), <-answered)
	})
}

// byByte writes one request, a byte at a time: without Nagle's algorithm, which Go turns off, each is a segment.
func (o *stormOutcome) byByte(conn net.Conn, data []byte, pace *pace) error {
	err := o.trickle(conn, data, pace)
	if err == nil {
		o.add(1, 0, 0)
	}
	return err
}

// trickle writes a byte at a time.
func (o *stormOutcome) trickle(conn net.Conn, data []byte, pace *pace) error {
	for i := range data {
		if pace.wait() {
			if err := conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				return err
			}
		}
		if _, err := conn.Write(data[i : i+1]); err != nil {
			return err
		}
	}
	o.add(0, int64(len(data)), 0)
	return nil
}

// A pace is when the next byte is due: a writer that was held up goes on faster until it has made up for it.
type pace struct {
	rate, sent int
	begin      time.Time
}

func newPace(rate int) *pace {
	return &pace{rate: rate, begin: time.Now()}
}

// wait returns when the next byte is due; it looks at the clock at every tenth, and says whether it did.
func (p *pace) wait() bool {
	p.sent++
	if p.sent%10 != 0 {
		return false
	}
	if p.rate > 0 {
		time.Sleep(time.Until(p.begin.Add(time.Duration(p.sent) * time.Second / time.Duration(p.rate))))
	}
	return true
}

func (o *stormOutcome) readAnswers(conn net.Conn, count int) error {
	return o.readPipelined(conn, count, nil)
}

// readPipelined reads answers, and makes room for another request after each.
func (o *stormOutcome) readPipelined(conn net.Conn, count int, pipelined <-chan struct{}) error {
	http := newHTTPConn(conn, time.Minute)
	for range count {
		if err := http.extendDeadline(time.Now()); err != nil {
			return err
		}
		if _, err := http.readAnswer(false); err != nil {
			return err
		}
		o.add(0, 0, 1)
		select {
		case <-pipelined:
		default: // the body's answer, or a reader whom nobody waits for
		}
	}
	return nil
}

func endlessHead(target string, met *stormOutcome) error {
	head := slices.Concat([]byte("GET /stock/endless HTTP/1.1\r\nHost: endless\r\nX-Endless: "), filler(64<<10))
	return met.on(8, target, func(conn net.Conn) error {
		for part := range slices.Chunk(head, 1000) {
			if err := met.write(conn, part, 0); err != nil {
				return err
			}
		}
		time.Sleep(200 * time.Millisecond)
		return nil
	})
}

func headerNames(target string, met *stormOutcome) error {
	for value := range 256 {
		request := fmt.Appendf(nil, "GET /stock/header-names-%d HTTP/1.1\r\nHost: names\r\nX-%cY: z\r\n\r\n", value, 'N')
		request[slices.Index(request, 'N')] = byte(value)
		err := met.on(1, target, func(conn net.Conn) error {
			return errors.Join(met.write(conn, request, 1), met.readAnswers(conn, 1))
		})
		if err != nil {
			return fmt.Errorf("byte %#x: %w", value, err)
		}
	}
	return nil
}

func noise(target string, met *stormOutcome) error {
	return met.on(16, target, func(conn net.Conn) error {
		if err := met.write(conn, []byte("GET /stock/noise HTTP/1.1\r\nHost: noise\r\n\r\n"), 1); err != nil {
			return err
		}
		if err := met.readAnswers(conn, 1); err != nil {
			return err
		}
		written, _ := writeGarbage(conn) // the server hangs up in the middle
		met.add(0, written, 0)
		_, _ = io.Copy(io.Discard, conn)
		return nil
	})
}
