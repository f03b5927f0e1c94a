package main

import (
	"context"
	"maps"
	"net"
	"testing"
	"time"
)

func grpcCallsOf(t *testing.T, flags grpcFlags) grpcReport {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newGRPCServer()
	defer server.Stop()
	go func() { _ = server.Serve(listener) }()
	flags.target = listener.Addr().String()
	flags.connections, flags.concurrency = max(flags.connections, 1), max(flags.concurrency, 1)
	load := &grpcLoad{flags: flags, total: grpcCounts{byStatus: map[string]int64{}}}
	report, err := load.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestEachKindOfCallCountsItsMessages(t *testing.T) {
	for kind, want := range map[string][2]int64{"unary": {6, 6}, "server": {6, 30}, "client": {30, 6}, "bidi": {30, 30}} {
		got := grpcCallsOf(t, grpcFlags{kind: kind, calls: 6, messages: 5, bytes: 10, connections: 2, concurrency: 2})
		if !maps.Equal(got.ByStatus, map[string]int64{"0": 6}) || [2]int64{got.Sent, got.Received} != want {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

func TestCallsEndAsTheyWereWished(t *testing.T) {
	for name, flags := range map[string]grpcFlags{
		"5":  {status: 5},
		"13": {status: 13, late: true},
		"4":  {sleep: 10 * time.Second, deadline: 20 * time.Millisecond},
		"1":  {sleep: 10 * time.Second, cancelAfter: 20 * time.Millisecond},
		"0":  {metadata: 20_000},
	} {
		for kind := range callKinds {
			flags.kind, flags.calls, flags.messages = kind, 2, 2
			if got := grpcCallsOf(t, flags); got.ByStatus[name] != 2 || got.Calls != 2 {
				t.Errorf("%s, expected %s: %+v", kind, name, got.ByStatus)
			}
		}
	}
}
