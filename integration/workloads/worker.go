package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// maxStored bounds the latencies that one connection keeps: 8 MiB. Further ones are counted, not kept.
const maxStored = 1 << 20

// A worker is one connection and what happened on it.
type worker struct {
	load      *load
	conn      *httpConn
	buffer    []byte
	counts    counts
	latencies []int64 // ns from where the request waits for nobody but the server to the answer's last byte, of 2xx answers
	errors    map[string]int64
}

// counts of requests. Every request that took a number is in sent or in notSent;
// sent = ok + otherStatus + failed.
type counts struct {
	sent        int64
	ok          int64
	otherStatus int64
	failed      int64
	notSent     int64
	notStored   int64
	bodyBytes   int64
	reconnects  int64
	lateMax     time.Duration
}

func (w *worker) work(stop context.Context) {
	for {
		asked := time.Now()
		number, due, more := w.load.turn(stop)
		if !more {
			break
		}
		w.request(number, due, due.Before(asked))
	}
	if w.conn != nil {
		w.conn.conn.Close()
	}
}

// connect opens the connection; a failure is counted, and the next request tries again.
func (w *worker) connect() bool {
	conn, err := dialHTTP(w.load.address, w.load.flags.timeout)
	if err != nil {
		w.fail("connect", err)
		return false
	}
	w.conn = conn
	return true
}

// request makes a request whose turn it is; late where its turn came while the connection waited for another answer. Then
// it has been waiting for the server since.
func (w *worker) request(number int64, due time.Time, late bool) {
	if w.conn == nil {
		w.counts.reconnects++
		if !w.connect() {
			w.counts.notSent++
			time.Sleep(10 * time.Millisecond) // a server that is gone is not asked in a busy loop
			return
		}
	}
	w.buffer = w.appendRequest(w.buffer[:0], number)
	begin := time.Now()
	w.counts.lateMax = max(w.counts.lateMax, begin.Sub(due))
	if err := w.send(begin); err != nil {
		w.counts.notSent++
		w.drop("write", err)
		return
	}
	w.counts.sent++
	got, err := w.conn.readAnswer(w.load.flags.method == "HEAD")
	if err != nil {
		w.counts.failed++
		w.drop("read", err)
		return
	}
	if late {
		begin = due
	}
	w.answered(got, time.Since(begin))
}

func (w *worker) appendRequest(to []byte, number int64) []byte {
	if w.load.prefix != "" {
		to = append(to, w.load.prefix...)
		to = strconv.AppendInt(to, number, 10)
	}
	return append(to, w.load.suffix...)
}

func (w *worker) send(now time.Time) error {
	if err := w.conn.extendDeadline(now); err != nil {
		return err
	}
	_, err := w.conn.conn.Write(w.buffer)
	return err
}

func (w *worker) answered(got answer, took time.Duration) {
	w.counts.bodyBytes += got.bodyBytes
	if got.closes {
		w.conn.conn.Close()
		w.conn = nil
	}
	if got.status < 200 || got.status > 299 {
		w.counts.otherStatus++
		w.count("status " + strconv.Itoa(got.status))
		return
	}
	w.counts.ok++
	if len(w.latencies) >= maxStored {
		w.counts.notStored++
		return
	}
	w.latencies = append(w.latencies, took.Nanoseconds())
}

func (w *worker) drop(during string, err error) {
	w.conn.conn.Close()
	w.conn = nil
	w.fail(during, err)
}

// fail counts by kind only: an error's text holds ports, and there would be one entry for each.
func (w *worker) fail(during string, err error) {
	var network *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		during += ": timeout"
	case errors.As(err, &network) && network.Err != nil:
		during += ": " + network.Err.Error()
	}
	w.count(during)
}

func (w *worker) count(kind string) {
	if w.errors == nil {
		w.errors = map[string]int64{}
	}
	if _, known := w.errors[kind]; !known && len(w.errors) >= 64 {
		kind = "other"
	}
	w.errors[kind]++
}
