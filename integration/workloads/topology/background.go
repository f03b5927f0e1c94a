package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// backgroundPause lets the request end before its job calls.
const backgroundPause = 2 * time.Millisecond

// background: the handler starts a goroutine that outlives the request, with the request's context less its end.
func background(s *service) handler {
	return func(ctx context.Context, cause string) error {
		s.later(context.WithoutCancel(ctx), cause)
		return nil
	}
}

// later calls when the request is likely to be over. The call is announced at once: whoever reads the log knows that it
// is still to come.
func (s *service) later(ctx context.Context, cause string) {
	id := s.http.announce(cause)
	go func() {
		time.Sleep(backgroundPause)
		if err := s.http.get(ctx, id, ""); err != nil {
			fmt.Fprintln(os.Stderr, id, err)
		}
	}()
}
