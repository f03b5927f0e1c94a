package main

import (
	"strconv"
	"sync/atomic"
)

// numbers gives a process's calls their ids.
type numbers struct {
	service string
	last    atomic.Int64
}

func (n *numbers) next() string {
	return "/" + n.service + "/" + strconv.FormatInt(n.last.Add(1), 10)
}

// announce logs a call that is about to be made, and gives its id.
func announce(truth *truth, numbers *numbers, cause string) string {
	id := numbers.next()
	truth.caused(cause, id)
	return id
}
