package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEveryRouteLogsWhatItSpentItsTimeOn(t *testing.T) {
	upstream := phasesOf(t, "")
	server := phasesOf(t, upstream.address)
	for path, events := range map[string]string{
		"/sleep": "begin end", "/burn": "begin end", "/queue": "begin end queue", "/gc": "begin end gc",
		"/body": "begin end read", "/calls": "begin end down_begin down_end",
	} {
		log := filepath.Join(t.TempDir(), "client")
		if err := runPhaseLoad([]string{"-target", server.address, "-path", path, "-requests", "2", "-body", "9000", "-log", log}); err != nil {
			t.Fatal(path, err)
		}
		server.moments.flush()
		wantEvents(t, server.log, path+"/1", events)
		wantEvents(t, log, path+"/1", "wrote first last")
	}
}

func TestALateReaderLogsWhenItRead(t *testing.T) {
	server := phasesOf(t, "")
	log := filepath.Join(t.TempDir(), "client")
	if err := runPhaseLoad([]string{"-target", server.late, "-path", "/late", "-requests", "2", "-fresh", "-log", log}); err != nil {
		t.Fatal(err)
	}
	server.moments.flush()
	wantEvents(t, server.log, "/late/1", "read")
}

type phasesUnderTest struct {
	*phaseService
	address, late, log string
}

func phasesOf(t *testing.T, upstream string) phasesUnderTest {
	t.Helper()
	log := filepath.Join(t.TempDir(), "server")
	service, err := newPhaseService(log, upstream, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener
	}
	usual, late := listen(), listen()
	go http.Serve(usual, service.routes())
	go service.readLate(late)
	return phasesUnderTest{service, usual.Addr().String(), late.Addr().String(), log}
}

func wantEvents(t *testing.T, log, id, events string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range strings.Fields(events) {
		if !strings.Contains(string(text), id+" "+event+" ") {
			t.Errorf("%s: no %s in\n%s", id, event, text)
		}
	}
}
