package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestEachRequestToCallsAsksTwice(t *testing.T) {
	var asked atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hello(w, r)
	}))
	defer upstream.Close()
	server := httptest.NewServer(benchRoutes(1, newUpstream(strings.TrimPrefix(upstream.URL, "http://"))))
	defer server.Close()
	for path, calls := range map[string]int64{"/hello": 0, "/work": 0, "/calls": 2} {
		before := asked.Load()
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %d %q, %v", path, response.StatusCode, body, err)
		}
		if made := asked.Load() - before; made != calls {
			t.Errorf("%s made %d calls, not %d", path, made, calls)
		}
	}
}

func TestMoreWorkIsMoreRounds(t *testing.T) {
	if string(work(1)) == string(work(2)) || calibrate(workTime) < 1 {
		t.Error("work does nothing")
	}
}
