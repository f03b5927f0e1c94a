package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func loadOf(t *testing.T, flags loadFlags) report {
	t.Helper()
	flags.timeout = 5 * time.Second
	if flags.method == "" {
		flags.method = http.MethodGet
	}
	load, err := newLoad(flags)
	if err != nil {
		t.Fatal(err)
	}
	return load.run(context.Background())
}

func TestARateIsKeptExactlyAndEachNumberIsSentOnce(t *testing.T) {
	var paths sync.Map
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		paths.Store(r.URL.Path, true)
		served.Add(1)
	}))
	defer server.Close()
	got := loadOf(t, loadFlags{url: server.URL + "/x/{id}", rate: 333, connections: 7, duration: time.Second})
	distinct := 0
	paths.Range(func(_, _ any) bool { distinct++; return true })
	if got.Planned != 333 || got.Sent != 333 || got.OK != 333 || served.Load() != 333 || distinct != 333 {
		t.Fatalf("%+v, served %d, distinct %d", got, served.Load(), distinct)
	}
}

func TestUnthrottledCountsWhatTheServerCounts(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer server.Close()
	got := loadOf(t, loadFlags{url: server.URL, connections: 4, duration: 100 * time.Millisecond})
	if got.Sent == 0 || got.Sent != served.Load() || got.OK != got.Sent || got.LatencyMS == nil {
		t.Fatalf("%+v, served %d", got, served.Load())
	}
}

func TestOtherOutcomesAreCountedApart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path[len(r.URL.Path)-1] % 3 {
		case 0: // '0', '3', '6', '9'
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1: // '1', '4', '7'
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	got := loadOf(t, loadFlags{url: server.URL + "/{id}", rate: 100, connections: 3, duration: time.Second})
	if got.Sent != 100 || got.OtherStatus != 40 || got.Failed != 30 || got.OK != 30 {
		t.Fatalf("%+v", got)
	}
	if got.Errors["status 503"] != 40 {
		t.Fatalf("%+v", got.Errors)
	}
}

func TestAServerThatIsGoneIsNotSentTo(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	got := loadOf(t, loadFlags{url: server.URL, rate: 10, connections: 2, duration: time.Second})
	if got.Sent != 0 || got.NotSent != 10 || got.Sustained || got.LatencyMS != nil {
		t.Fatalf("%+v", got)
	}
}

func TestQuantilesAreMeasuredValues(t *testing.T) {
	values := []int64{}
	for i := range 1000 {
		values = append(values, int64(1000-i)*1_000_000)
	}
	got := summarise(values)
	want := latency{Min: 1, Mean: 500.5, P50: 500, P90: 900, P99: 990, P999: 999, Max: 1000}
	if *got != want {
		t.Fatalf("got %+v, want %+v", *got, want)
	}
	if one := summarise([]int64{7_000_000}); one.P50 != 7 || one.P999 != 7 {
		t.Fatalf("%+v", one)
	}
}
