package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What the HTTP/2 client is told.
type h2Flags struct {
	urls        []string
	method      string
	bodyBytes   int
	requests    int64
	concurrency int
	cancelAfter time.Duration
	slow        time.Duration
	header      int
	output      string
}

func parseH2Flags(args []string) (h2Flags, error) {
	var f h2Flags
	set := flag.NewFlagSet("h2get", flag.ContinueOnError)
	set.StringVar(&f.method, "method", "GET", "method")
	set.IntVar(&f.bodyBytes, "body", 0, "bytes of body")
	set.Int64Var(&f.requests, "requests", 1, "requests for each URL")
	set.IntVar(&f.concurrency, "concurrency", 1, "requests at a time, on one connection")
	set.DurationVar(&f.cancelAfter, "cancel-after", 0, "give a request up (RST_STREAM); 0: never")
	set.DurationVar(&f.slow, "slow", 0, "wait that long before an answer's body is read")
	set.IntVar(&f.header, "header", 0, "bytes of a header field that each request has")
	set.StringVar(&f.output, "json", "-", "where the report goes; -: stdout")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	f.urls = set.Args()
	if len(f.urls) == 0 || f.requests < 1 || f.concurrency < 1 {
		return f, errors.New("at least one URL is needed behind the flags, -requests and -concurrency must be above 0")
	}
	return f, nil
}

// An h2Report is what the client prints. requests is the sum of by_status and failed.
type h2Report struct {
	Requests  int64            `json:"requests"`
	ByStatus  map[string]int64 `json:"by_status"` // with the response's headers; its body may be missing
	Failed    int64            `json:"failed"`    // without a response
	BodyBytes int64            `json:"body_bytes"`
	Errors    map[string]int64 `json:"errors"`
}

type h2Load struct {
	flags  h2Flags
	client *http.Client
	next   atomic.Int64
	mutex  sync.Mutex
	report h2Report
}

// unencrypted is HTTP/2 without TLS, by prior knowledge (RFC 9113, 3.3), and HTTP/1 beside it.
func unencrypted(http1 bool) *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(http1)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

func newH2Load(flags h2Flags) *h2Load {
	transport := &http.Transport{Protocols: unencrypted(false), DisableCompression: true}
	report := h2Report{ByStatus: map[string]int64{}, Errors: map[string]int64{}}
	return &h2Load{flags: flags, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, report: report}
}

func runH2Get(args []string) error {
	flags, err := parseH2Flags(args)
	if err != nil {
		return err
	}
	load := newH2Load(flags)
	load.run()
	return writeReport(flags.output, load.report)
}

func (l *h2Load) run() {
	var running sync.WaitGroup
	for range l.flags.concurrency {
		running.Go(func() {
			total := l.flags.requests * int64(len(l.flags.urls))
			for number := l.next.Add(1) - 1; number < total; number = l.next.Add(1) - 1 {
				l.get(l.flags.urls[number%int64(len(l.flags.urls))])
			}
		})
	}
	running.Wait()
	l.client.CloseIdleConnections()
}

func (l *h2Load) get(url string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if l.flags.cancelAfter > 0 {
		defer time.AfterFunc(l.flags.cancelAfter, cancel).Stop()
	}
	status, length, err := l.fetch(ctx, url)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.report.Requests++
	l.report.BodyBytes += length
	if status > 0 {
		l.report.ByStatus[strconv.Itoa(status)]++
	} else {
		l.report.Failed++
	}
	if err != nil {
		l.report.Errors[fmt.Sprintf("%T", errors.Unwrap(err))]++
	}
}

// fetch returns the status, 0 without one, and how many bytes of body came.
func (l *h2Load) fetch(ctx context.Context, url string) (int, int64, error) {
	var body io.Reader
	if l.flags.bodyBytes > 0 {
		body = bytes.NewReader(filler(l.flags.bodyBytes))
	}
	request, err := http.NewRequestWithContext(ctx, l.flags.method, url, body)
	if err != nil {
		return 0, 0, err
	}
	if l.flags.header > 0 {
		request.Header.Set("X-Filler", strings.Repeat("~", l.flags.header))
	}
	response, err := l.client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	time.Sleep(l.flags.slow)
	length, err := io.Copy(io.Discard, response.Body)
	return response.StatusCode, length, err
}
