package main

import (
	"bufio"
	"os"
	"strconv"
	"sync"
	"time"
)

// moments is the log of what happened to a request, and when, by the program's own clock. Its lines:
//
//	ID EVENT NS
//
// An id is the request's path. NS is the time since the epoch, or a duration where the event is one.
type moments struct {
	mutex sync.Mutex
	lines *bufio.Writer
}

func newMoments(path string) (*moments, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &moments{lines: bufio.NewWriter(file)}, nil
}

// at says that something happens now.
func (m *moments) at(id, event string) {
	m.note(id, event, time.Now().UnixNano())
}

// note keeps a line until flush: no write disturbs what is measured.
func (m *moments) note(id, event string, ns int64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.lines.WriteString(id + " " + event + " " + strconv.FormatInt(ns, 10) + "\n")
}

func (m *moments) flush() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.lines.Flush()
}
