package main

import "context"

// pipelined: requests come several at a time on one connection, without waiting for answers, and the handler sends its own
// in the same way.
func pipelined(s *service) handler {
	wires := newWires(s.http.url.Host, 4096)
	return func(ctx context.Context, cause string) error {
		ids := []string{s.http.announce(cause), s.http.announce(cause)}
		return wires.with(ctx, func(w *wire) error {
			if err := w.send(ids...); err != nil {
				return err
			}
			for range ids {
				if err := w.receive(); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
