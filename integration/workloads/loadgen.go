package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What the load generator is told.
type loadFlags struct {
	url         string
	method      string
	bodyBytes   int
	rate        int
	connections int
	duration    time.Duration
	timeout     time.Duration
	output      string
}

func parseLoadFlags(args []string) (loadFlags, error) {
	var flags loadFlags
	set := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	set.StringVar(&flags.url, "url", "", "http://host:port/path; {id} in it becomes the request's number")
	set.StringVar(&flags.method, "method", "GET", "method")
	set.IntVar(&flags.bodyBytes, "body", 0, "bytes of body, announced by Content-Length")
	set.IntVar(&flags.rate, "rate", 0, "requests a second over all connections (open loop); 0: each connection as fast as it is answered")
	set.IntVar(&flags.connections, "connections", 32, "connections, each with one request at a time")
	set.DurationVar(&flags.duration, "duration", 10*time.Second, "how long; 0: until SIGTERM or SIGINT")
	set.DurationVar(&flags.timeout, "timeout", 10*time.Second, "when an unanswered request counts as failed, at the latest after twice this time")
	set.StringVar(&flags.output, "json", "-", "where the report goes; -: stdout")
	if err := set.Parse(args); err != nil {
		return flags, err
	}
	if flags.connections < 1 || flags.rate < 0 || flags.bodyBytes < 0 || flags.timeout <= 0 {
		return flags, errors.New("-connections and -timeout must be above 0, -rate and -body not below")
	}
	return flags, nil
}

func runLoadgen(args []string) error {
	flags, err := parseLoadFlags(args)
	if err != nil {
		return err
	}
	load, err := newLoad(flags)
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	return writeReport(flags.output, load.run(stop))
}

// A load is one run: requests are numbered, and each worker takes the next number and waits for its turn.
type load struct {
	flags   loadFlags
	address string
	prefix  string // the request up to the id
	suffix  string // and after it
	next    atomic.Int64
	begin   time.Time
	end     time.Time // zero: none
	planned int64     // 0: unlimited
	workers []*worker
}

func newLoad(flags loadFlags) (*load, error) {
	target, err := url.Parse(flags.url)
	if err != nil || target.Scheme != "http" || target.Host == "" {
		return nil, fmt.Errorf("-url %q is not http://host:port/path", flags.url)
	}
	address := target.Host
	if target.Port() == "" {
		address = net.JoinHostPort(target.Hostname(), "80")
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(flags.url, "http://"), "/")
	before, after, numbered := strings.Cut(path, "{id}")
	head := " HTTP/1.1\r\nHost: " + target.Host + "\r\nUser-Agent: mesh-loadgen\r\n"
	if flags.bodyBytes > 0 {
		head += fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n", flags.bodyBytes)
	}
	load := &load{flags: flags, address: address, prefix: flags.method + " /" + before}
	load.suffix = after + head + "\r\n" + string(filler(flags.bodyBytes))
	if !numbered {
		load.prefix, load.suffix = "", load.prefix+load.suffix
	}
	load.planned = int64(float64(flags.rate) * flags.duration.Seconds())
	return load, nil
}

// run sends everything and returns when the last answer came or the time is up. At a rate every request is sent
// exactly once, however late; ten seconds behind the end of the schedule it gives up, and the report says so.
func (l *load) run(stop context.Context) report {
	for range l.flags.connections {
		worker := &worker{load: l}
		worker.connect()
		l.workers = append(l.workers, worker)
	}
	l.begin = time.Now()
	if l.flags.duration > 0 {
		l.end = l.begin.Add(l.flags.duration)
	}
	if l.flags.rate > 0 && l.flags.duration > 0 {
		l.end = l.end.Add(10 * time.Second)
	}
	var running sync.WaitGroup
	for _, worker := range l.workers {
		running.Go(func() { worker.work(stop) })
	}
	running.Wait()
	return l.report(time.Since(l.begin))
}

// turn returns the next request's number and when it is due, or false at the end.
func (l *load) turn(stop context.Context) (int64, time.Time, bool) {
	now := time.Now()
	if stop.Err() != nil || (!l.end.IsZero() && now.After(l.end)) {
		return 0, now, false
	}
	number := l.next.Add(1) - 1
	if l.flags.rate == 0 {
		return number, now, true
	}
	if l.planned > 0 && number >= l.planned {
		return 0, now, false
	}
	// In whole nanoseconds from the begin: no rounding error adds up.
	whole, rest := number/int64(l.flags.rate), number%int64(l.flags.rate)
	due := l.begin.Add(time.Duration(whole)*time.Second + time.Duration(rest*int64(time.Second)/int64(l.flags.rate)))
	return number, due, sleepUntil(stop, due)
}

// sleepUntil returns false when stop came first.
func sleepUntil(stop context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	if wait < 100*time.Millisecond {
		time.Sleep(wait)
		return stop.Err() == nil
	}
	select {
	case <-time.After(wait):
		return true
	case <-stop.Done():
		return false
	}
}

func writeReport(output string, report any) error {
	document, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	document = append(document, '\n')
	if output == "-" {
		_, err = io.Writer(os.Stdout).Write(document)
		return err
	}
	return os.WriteFile(output, document, 0o644)
}
