package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// backgroundNetConn: as background, but the goroutine speaks to a plain net.Conn. By then its creator handles another request.
func backgroundNetConn(s *service) handler {
	wires := newWires(s.http.url.Host, 4096)
	return func(_ context.Context, cause string) error {
		id := s.http.announce(cause)
		go func() {
			time.Sleep(backgroundPause)
			if err := wires.with(context.Background(), func(w *wire) error { return w.ask(id) }); err != nil {
				fmt.Fprintln(os.Stderr, id, err)
			}
		}()
		return nil
	}
}
