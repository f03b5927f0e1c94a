package main

import (
	"bufio"
	"os"
	"sync"
	"time"
)

// A truth is the log of what caused what, which no tracer sees. Its lines:
//
//	C CAUSE ID   the request CAUSE made this process send the request ID; CAUSE is - for a driver's
//	R ID         this process has received the request ID
//	X ID         the request ID was given up by its sender; it may never have been sent
//
// An id is the path of its request, and unique.
type truth struct {
	mutex sync.Mutex
	lines *bufio.Writer
}

// flushEvery bounds how long a line stays in memory. Readers wait for what they miss.
const flushEvery = 20 * time.Millisecond

func newTruth(path string) (*truth, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	t := &truth{lines: bufio.NewWriterSize(file, 256<<10)}
	go t.keepFlushing()
	return t, nil
}

func (t *truth) keepFlushing() {
	for {
		time.Sleep(flushEvery)
		t.flush()
	}
}

// flush writes out what there is.
func (t *truth) flush() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.lines.Flush()
}

func (t *truth) caused(cause, id string) { t.line("C " + cause + " " + id + "\n") }
func (t *truth) received(id string)      { t.line("R " + id + "\n") }
func (t *truth) gaveUp(id string)        { t.line("X " + id + "\n") }

func (t *truth) line(line string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.lines.WriteString(line)
}
