//go:build cgo

package main

// With C code that has thread-local variables of its own, Go's pointer to the running goroutine is not where it is in other
// programs.

/*
static __thread char own[4096];

static char *thread_local_of_c(void) {
	own[0]++;
	return own;
}
*/
import "C"

func init() {
	C.thread_local_of_c()
}
