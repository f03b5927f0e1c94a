package main

import "context"

// netConn: the handler starts a goroutine that speaks to a plain net.Conn, and waits for it.
func netConn(s *service) handler {
	wires := newWires(s.http.url.Host, 4096)
	return func(ctx context.Context, cause string) error {
		done := make(chan error, 1)
		go func() {
			id := s.http.announce(cause)
			done <- wires.with(ctx, func(w *wire) error { return w.ask(id) })
		}()
		return <-done
	}
}
