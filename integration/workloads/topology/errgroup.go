package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// errGroup: the handler fans out by golang.org/x/sync/errgroup, at most two goroutines at a time.
func errGroup(s *service) handler {
	return func(ctx context.Context, cause string) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(2)
		for i := 0; i < 3; i++ {
			group.Go(func() error { return s.http.call(ctx, cause) })
		}
		return group.Wait()
	}
}
