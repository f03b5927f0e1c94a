package main

import (
	"context"

	"golang.org/x/sync/singleflight"
)

// flightChan: as flight, by DoChan, which starts a goroutine for the call.
func flightChan(s *service) handler {
	var group singleflight.Group
	return func(ctx context.Context, cause string) error {
		result := group.DoChan(flightKey(cause), func() (any, error) {
			return nil, s.http.call(context.WithoutCancel(ctx), cause)
		})
		return (<-result).Err
	}
}
