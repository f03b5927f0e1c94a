package main

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestHTTP2WithoutTLSIsCountedByStatus(t *testing.T) {
	server := httptest.NewUnstartedServer(testRoutes())
	server.Config.Protocols = unencrypted(true)
	server.Start()
	defer server.Close()
	load := newH2Load(h2Flags{
		urls:   []string{server.URL + "/bytes/1000", server.URL + "/status/404"},
		method: "GET", requests: 5, concurrency: 3, header: 30_000,
	})
	load.run()
	got := load.report
	if got.Requests != 10 || got.ByStatus["200"] != 5 || got.ByStatus["404"] != 5 || got.BodyBytes != 5000 || got.Failed != 0 {
		t.Fatalf("%+v", got)
	}
	slow := newH2Load(h2Flags{
		urls: []string{server.URL + "/slow?ms=20000"}, method: "GET", requests: 2, concurrency: 2, cancelAfter: 20 * time.Millisecond,
	})
	slow.run()
	if slow.report.Failed != 2 || slow.report.Requests != 2 {
		t.Fatalf("%+v", slow.report)
	}
}
