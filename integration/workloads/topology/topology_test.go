package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// callsOf is how many requests each request of a workload causes, all told; 0: it depends.
var callsOf = map[string]int{
	"sequential": 3, "fanout": 3, "fanout-without-context": 2, "errgroup": 3, "worker-pool": 1, "worker-pool-without-context": 1, "background": 1,
	"background-without-context": 1, "background-net-conn": 1, "singleflight": 0, "singleflight-chan": 0, "retry": 3, "hedge": 0, "reverse-proxy": 1,
	"pooled": 2, "sql-pool": 2, "net-conn": 1, "pipelined": 2, "h2c": 2, "http-to-grpc": 2, "grpc-unary": 2,
	"grpc-server-stream": 3, "grpc-bidi": 3, "grpc-to-http": 2, "traceparent": 1, "b3": 1,
}

func TestEveryWorkloadSaysWhatCausedWhat(t *testing.T) {
	peers := map[string]string{}
	logs := map[string]string{}
	folder := t.TempDir()
	stop, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	for _, name := range serviceNames() {
		logs[name] = filepath.Join(folder, name)
		peers[name] = startService(t, stop, name, logs[name], peers)
	}
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			const requests = 41
			log := filepath.Join(folder, "driver-"+w.name)
			truth, err := newTruth(log)
			if err != nil {
				t.Fatal(err)
			}
			d := &drive{workload: w, target: peers[w.service], requests: requests, concurrency: 8, truth: truth}
			if err := d.run(stop); err != nil || d.failed.Load() > 0 {
				t.Fatalf("%d failed, %v", d.failed.Load(), err)
			}
			truth.flush()
			logs["driver-"+w.name] = log
			wantCaused(t, logs, w.name, requests, callsOf[w.name])
		})
	}
}

func startService(t *testing.T, stop context.Context, name, log string, peers map[string]string) string {
	truth, err := newTruth(log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(name, truth, peers)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := s.serve(stop, listener); err != nil {
			t.Error(name, err)
		}
	}()
	return listener.Addr().String()
}

// wantCaused waits until every request of the workload has caused so many others, each of which was received.
func wantCaused(t *testing.T, logs map[string]string, workload string, requests, each int) {
	t.Helper()
	var caused map[string]int
	var lost []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(flushEvery) {
		caused, lost = readLogs(t, logs, workload)
		complete := len(caused) == requests && len(lost) == 0
		for _, count := range caused {
			complete = complete && (each == 0 || count == each)
		}
		if complete {
			return
		}
	}
	t.Errorf("want %d requests with %d calls each; lost: %v; got %v", requests, each, lost, caused)
}

// readLogs counts what the requests of a workload caused, and names what was sent and not received.
func readLogs(t *testing.T, logs map[string]string, workload string) (caused map[string]int, lost []string) {
	t.Helper()
	cause := map[string]string{}
	settled := map[string]bool{}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			switch words := strings.Fields(line); {
			case len(words) == 3:
				cause[words[2]] = words[1]
			case len(words) == 2:
				settled[words[1]] = true
			}
		}
	}
	caused = map[string]int{}
	for id := range cause {
		root, depth := id, 0
		for cause[root] != "-" && cause[root] != "" {
			root, depth = cause[root], depth+1
		}
		if strings.HasPrefix(root, "/"+workload+"/") {
			caused[root] += min(depth, 1)
			if !settled[id] {
				lost = append(lost, id)
			}
		}
	}
	return caused, lost
}
